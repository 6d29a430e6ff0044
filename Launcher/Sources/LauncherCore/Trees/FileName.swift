import LaunchModel

/// The name of one entry of a directory: never a path, never `.` or `..`.
///
/// Every call that resolves a name takes one of these and a descriptor of the directory, so nothing
/// here can walk further than one step.
struct FileName: Equatable {
    /// The bytes.
    let bytes: [UInt8]

    /// The bytes with the NUL that the kernel wants behind them.
    var terminated: [CChar] { LauncherCore.terminated(bytes) }

    /// The longest name that Linux has, in bytes.
    static let limit = 255

    /// Checks a name that came from outside; nothing if it is not one.
    init?(parsing bytes: [UInt8]) {
        guard !bytes.isEmpty, bytes.count <= Self.limit else { return nil }
        for byte in bytes where byte == 0 || byte == UInt8(ascii: "/") { return nil }
        let isDot = bytes.count == 1 && bytes[0] == UInt8(ascii: ".")
        let isDotDot =
            bytes.count == 2 && bytes[0] == UInt8(ascii: ".") && bytes[1] == UInt8(ascii: ".")
        guard !isDot, !isDotDot else { return nil }
        self.bytes = bytes
    }

    /// The name of a store object, which is a name of this kind by its own rules.
    init(_ object: StoreObjectName) { bytes = object.bytes }

    /// A number in decimal.
    init(decimal number: Int) {
        precondition(number >= 0, "positions are not negative")
        bytes = LauncherCore.decimal(UInt64(number))
    }

    /// Where a replacement is built before it is renamed into place; no number, so no result either.
    static let replacement = FileName(literal: [0x6e, 0x65, 0x77])  // "new"

    private init(literal: [UInt8]) { bytes = literal }
}
