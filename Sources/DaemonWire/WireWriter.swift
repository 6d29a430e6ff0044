/// Gathers values of the worker protocol, to be sent in one piece.
public struct WireWriter: Sendable {
    /// What was written and not taken yet.
    public private(set) var bytes: [UInt8] = []

    /// Starts with nothing written.
    public init() {}

    /// Takes what was written, leaving nothing.
    public mutating func take() -> [UInt8] {
        let taken = bytes
        bytes.removeAll(keepingCapacity: true)
        return taken
    }

    /// Appends an integer.
    public mutating func integer(_ value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Appends a truth value.
    public mutating func bool(_ value: Bool) { integer(value ? 1 : 0) }

    /// Appends a string.
    public mutating func string(_ value: [UInt8]) {
        integer(UInt64(value.count))
        bytes += value
        bytes += [UInt8](repeating: 0, count: (8 - value.count % 8) % 8)
    }

    /// Appends the UTF-8 encoding of a text.
    public mutating func text(_ value: String) { string([UInt8](value.utf8)) }

    /// Appends a list; `item` writes one item.
    public mutating func list<C: Collection>(
        _ items: C, _ item: (inout WireWriter, C.Element) -> Void
    ) {
        integer(UInt64(items.count))
        for element in items { item(&self, element) }
    }

    /// Appends one frame of a framed stream; an empty one ends it.
    public mutating func frame(_ piece: UnsafeRawBufferPointer) {
        integer(UInt64(piece.count))
        bytes += piece
    }
}
