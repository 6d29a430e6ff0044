/// Bytes that are usually text: environment values, arguments, system names.
///
/// Equality and order are bytewise; a `String` would compare by canonical equivalence.
public struct ByteString: Hashable, Sendable {
    /// The bytes.
    public var bytes: [UInt8]

    /// Takes bytes as they are.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Takes the UTF-8 encoding of `text`.
    public init(_ text: String) { bytes = [UInt8](text.utf8) }
}

extension ByteString: Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// Orders bytewise.
    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// Takes the UTF-8 encoding of a literal.
    public init(stringLiteral text: String) { self.init(text) }

    /// The bytes as text; what is not UTF-8 shows as replacement characters.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
