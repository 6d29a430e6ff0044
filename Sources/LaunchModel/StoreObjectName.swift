/// The name of one object in the store directory, `<hash>-<name>`, never a path.
///
/// The launcher joins it to its own descriptor of the store directory, so a request cannot reach any
/// other place on the host. Names are bytes: two names are the same only if every byte is.
///
/// Source: Nix manual, "Store path"; 32 characters of nix-base32, a dash, and a name of 1 to 211
/// bytes of `[0-9A-Za-z+-._?=]` that is neither `.` nor `..` nor starts with `.-` or `..-`.
public struct StoreObjectName: Hashable, Sendable {
    /// The name, without a leading directory and without NUL.
    public let bytes: [UInt8]

    /// What is wrong with a name that was refused.
    public enum Fault: Error, Hashable, Sendable {
        /// The name has this many bytes, which is less than 34 or more than 244.
        case length(Int)
        /// This byte may not stand at this offset.
        case illegalByte(UInt8, at: Int)
        /// The part after the dash is `.`, `..`, or starts with `.-` or `..-`.
        case dotName
    }

    /// The number of bytes of the hash part, before the dash.
    public static let hashLength = 32

    /// The longest name after the dash, in bytes.
    public static let longestName = 211

    /// Parses the base name of a store path.
    ///
    /// - Throws: ``Fault`` at the first byte that does not fit.
    public init(parsing bytes: [UInt8]) throws(Fault) {
        let first = Self.hashLength + 1
        guard bytes.count > first, bytes.count <= first + Self.longestName else {
            throw .length(bytes.count)
        }
        for index in 0..<bytes.count {
            let byte = bytes[index]
            let fits =
                if index < Self.hashLength {
                    Self.isBase32(byte)
                } else if index == Self.hashLength {
                    byte == UInt8(ascii: "-")
                } else {
                    Self.isNameByte(byte)
                }
            guard fits else { throw .illegalByte(byte, at: index) }
        }
        guard !Self.isDotName(bytes[first...]) else { throw .dotName }
        self.bytes = bytes
    }

    /// The hash part: the first 32 bytes.
    public var hashPart: ArraySlice<UInt8> { bytes[..<Self.hashLength] }

    /// The part after the dash.
    public var name: ArraySlice<UInt8> { bytes[(Self.hashLength + 1)...] }

    /// Whether `byte` belongs to the nix-base32 alphabet, which has no `e`, `o`, `t` and `u`.
    public static func isBase32(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "e"), UInt8(ascii: "o"), UInt8(ascii: "t"), UInt8(ascii: "u"): false
        case UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: false
        }
    }

    /// Whether `byte` may stand in the name part of a store path.
    public static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "?"), UInt8(ascii: "="):
            true
        default: false
        }
    }

    /// Whether `name` is one of the names that mean a directory: `.`, `..`, `.-…`, `..-…`.
    public static func isDotName(_ name: ArraySlice<UInt8>) -> Bool {
        var dots = 0
        for byte in name {
            if byte == UInt8(ascii: ".") {
                dots += 1
                if dots > 2 { return false }
            } else {
                return dots > 0 && byte == UInt8(ascii: "-")
            }
        }
        return dots > 0
    }
}

extension StoreObjectName: Comparable {
    /// Orders names bytewise.
    public static func < (left: StoreObjectName, right: StoreObjectName) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
