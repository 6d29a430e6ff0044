public import LaunchModel

/// One system call: its name, its group and its number on every architecture.
public struct Syscall: Hashable, Sendable {
    /// The name the kernel gives it.
    public let name: String
    /// The one group it is in, without the `@`.
    public let group: String
    private let numbers: [Int32]

    /// The number on an architecture that has the call.
    public func number(on architecture: Architecture) -> UInt32? {
        UInt32(exactly: numbers[Int(architecture.rawValue)])
    }

    /// Every call that Kiln knows, sorted by name.
    public static let all: [Syscall] = (rowsAToF + rowsGToQ + rowsRToZ).map {
        Syscall(name: $0.name, group: $0.group, numbers: $0.numbers)
    }

    /// Every call by its name.
    public static let byName: [String: Syscall] = Dictionary(
        uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// The names of all groups, without the `@`.
    public static let groups: Set<String> = Set(all.map(\.group))

    /// The calls of one architecture by number.
    public static func byNumber(on architecture: Architecture) -> [UInt32: Syscall] {
        var table: [UInt32: Syscall] = [:]
        for call in all {
            if let number = call.number(on: architecture) { table[number] = call }
        }
        return table
    }

    /// One line of the table.
    struct Row {
        let name: String
        let group: String
        let numbers: [Int32]

        init(
            _ name: String, _ group: String, _ x86_64: Int32, _ aarch64: Int32, _ x86: Int32,
            _ arm: Int32
        ) {
            self.name = name
            self.group = group
            numbers = [x86_64, aarch64, x86, arm]
        }
    }
}
