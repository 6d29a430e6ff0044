/// Why bytes from the other side of a boundary were refused.
public enum CodingFault: Error, Hashable, Sendable {
    /// The bytes end at this offset, in the middle of a value.
    case truncated(at: Int)
    /// The count at this offset is larger than allowed.
    case tooLarge(UInt64, at: Int, limit: Int)
    /// The value at this offset means nothing.
    case unknownValue(UInt64, at: Int)
    /// The store object name at this offset is not one.
    case name(StoreObjectName.Fault, at: Int)
    /// The byte string at this offset is not what it must be, such as a path that is not absolute.
    case malformed(at: Int)
    /// Bytes are left over from this offset on.
    case trailing(at: Int)
}

/// Writes the fixed little-endian encoding that engine and launcher share.
///
/// Integers are little-endian and of fixed width; a byte string or a list is a 32-bit count and its items.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// Starts with nothing written.
    public init() {}

    /// Appends an integer, least significant byte first.
    public mutating func write<I: FixedWidthInteger & UnsignedInteger>(_ value: I) {
        var rest = value
        for _ in 0..<(I.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            if I.bitWidth > 8 { rest >>= 8 }
        }
    }

    /// Appends one byte that is 0 or 1.
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Appends a count of 32 bits, then the bytes.
    public mutating func write(_ value: [UInt8]) {
        write(UInt32(value.count))
        bytes += value
    }

    /// Appends a count of 32 bits, then every item as `body` writes it.
    public mutating func write<T>(list: [T], _ body: (inout ByteWriter, T) -> Void) {
        write(UInt32(list.count))
        for item in list { body(&self, item) }
    }
}

/// Reads the fixed little-endian encoding that engine and launcher share.
///
/// Every count is compared with the caller's limit before anything is reserved for it.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]

    /// How many bytes were read.
    public private(set) var offset = 0

    /// Reads from the front of `bytes`.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next integer, least significant byte first.
    public mutating func read<I: FixedWidthInteger & UnsignedInteger>(_: I.Type) throws(CodingFault)
        -> I
    {
        let width = I.bitWidth / 8
        guard bytes.count - offset >= width else { throw .truncated(at: offset) }
        var value: I = 0
        for index in 0..<width { value |= I(bytes[offset + index]) << I(8 * index) }
        offset += width
        return value
    }

    /// The next byte as a truth value; only 0 and 1 are.
    public mutating func readBool() throws(CodingFault) -> Bool {
        let start = offset
        let byte = try read(UInt8.self)
        guard byte <= 1 else { throw .unknownValue(UInt64(byte), at: start) }
        return byte == 1
    }

    /// The next count, refused if it is above `limit`.
    public mutating func readCount(limit: Int) throws(CodingFault) -> Int {
        let start = offset
        let count = try read(UInt32.self)
        guard UInt64(count) <= UInt64(limit) else {
            throw .tooLarge(UInt64(count), at: start, limit: limit)
        }
        return Int(count)
    }

    /// The next byte string, refused before it is copied if it is longer than `limit`.
    public mutating func readBytes(limit: Int) throws(CodingFault) -> [UInt8] {
        let count = try readCount(limit: limit)
        guard bytes.count - offset >= count else { throw .truncated(at: offset) }
        defer { offset += count }
        return [UInt8](bytes[offset..<offset + count])
    }

    /// The next `count` bytes, without a count in front.
    public mutating func readExactly(_ count: Int) throws(CodingFault) -> [UInt8] {
        guard bytes.count - offset >= count else { throw .truncated(at: offset) }
        defer { offset += count }
        return [UInt8](bytes[offset..<offset + count])
    }

    /// The next byte string, which must hold no NUL because the kernel would end it there.
    public mutating func readString(limit: Int) throws(CodingFault) -> [UInt8] {
        let start = offset
        let value = try readBytes(limit: limit)
        guard !value.contains(0) else { throw .malformed(at: start) }
        return value
    }

    /// The next byte string, which must be an absolute path without `.` and `..` components.
    public mutating func readPath(limit: Int = 4095) throws(CodingFault) -> [UInt8] {
        let start = offset
        let value = try readString(limit: limit)
        guard isAbsoluteCleanPath(value) else { throw .malformed(at: start) }
        return value
    }

    /// The next store object name.
    public mutating func readName() throws(CodingFault) -> StoreObjectName {
        let start = offset
        let bytes = try readBytes(limit: 244)
        do {
            return try StoreObjectName(parsing: bytes)
        } catch {
            throw .name(error, at: start)
        }
    }

    /// The next list of at most `limit` items.
    public mutating func readList<T>(
        limit: Int, _ body: (inout ByteReader) throws(CodingFault) -> T
    ) throws(CodingFault) -> [T] {
        let count = try readCount(limit: limit)
        var items: [T] = []
        for _ in 0..<count { items.append(try body(&self)) }
        return items
    }

    /// Refuses bytes that are left over.
    public func finish() throws(CodingFault) {
        guard offset == bytes.count else { throw .trailing(at: offset) }
    }
}

/// Whether `path` starts with a slash and has no empty, `.` or `..` component (`/` alone is one).
public func isAbsoluteCleanPath(_ path: [UInt8]) -> Bool {
    guard let first = path.first, first == UInt8(ascii: "/") else { return false }
    if path.count == 1 { return true }
    var length = 0
    var dots = 0
    for index in 1...path.count {
        if index == path.count || path[index] == UInt8(ascii: "/") {
            guard length > 0, !(dots == length && length <= 2) else { return false }
            length = 0
            dots = 0
        } else {
            length += 1
            if path[index] == UInt8(ascii: ".") { dots += 1 }
        }
    }
    return true
}
