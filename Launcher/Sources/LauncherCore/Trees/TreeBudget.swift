import LaunchModel

/// What is left of the limits of one hand-over.
struct TreeBudget {
    private(set) var bytes: UInt64
    private(set) var entries: UInt64
    let depth: Int

    init(_ limits: OutputLimits) {
        bytes = limits.bytes
        entries = limits.entries
        depth = Int(limits.depth)
    }

    /// Takes one entry off; false if there was none left.
    mutating func spendEntry() -> Bool {
        guard entries > 0 else { return false }
        entries -= 1
        return true
    }

    /// Takes the length of one regular file off; false if less was left.
    mutating func spend(bytes count: UInt64) -> Bool {
        guard count <= bytes else { return false }
        bytes -= count
        return true
    }
}
