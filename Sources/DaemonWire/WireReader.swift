/// Where a reader's bytes come from.
public protocol ByteSource {
    /// Puts at least one byte into `buffer`, or none when there will be no more.
    ///
    /// May block.
    ///
    /// - Returns: The number of bytes.
    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int
}

/// Reads values of the worker protocol from a stream.
///
/// Integers are 64 bits, little-endian; a string is its length, its bytes, and zeros to the next
/// multiple of 8; a list is its count and its items. A length is compared with its limit before
/// anything is reserved for it.
public struct WireReader<Source: ByteSource> {
    private var source: Source
    private var buffer: [UInt8]
    private var start = 0
    private var end = 0

    /// How many bytes of the stream were read.
    public private(set) var offset: UInt64 = 0

    /// Reads from `source`, at most `bufferSize` bytes ahead.
    public init(_ source: Source, bufferSize: Int = 1 << 16) {
        self.source = source
        buffer = [UInt8](repeating: 0, count: bufferSize)
    }

    /// Whether the stream ends here, between two values.
    ///
    /// May block.
    public mutating func isAtEnd() throws(WireError) -> Bool {
        if start == end { try refill() }
        return start == end
    }

    /// The next integer.
    public mutating func integer() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 8) { value |= UInt64(try byte()) << shift }
        return value
    }

    /// The next integer, refused above `limit`.
    public mutating func integer(limit: UInt64) throws(WireError) -> UInt64 {
        let at = offset
        let value = try integer()
        guard value <= limit else { throw .tooLong(value, at: at, limit: limit) }
        return value
    }

    /// The next integer as a truth value: everything but 0 is true.
    public mutating func bool() throws(WireError) -> Bool { try integer() != 0 }

    /// The next string.
    public mutating func string(limit: UInt64 = WireLimits.string) throws(WireError) -> [UInt8] {
        let length = try integer(limit: limit)
        let bytes = try self.bytes(Int(length))
        for _ in 0..<((8 - length % 8) % 8) {
            let at = offset
            guard try byte() == 0 else { throw .padding(at: at) }
        }
        return bytes
    }

    /// The next string as text, which must be UTF-8.
    public mutating func text(limit: UInt64 = WireLimits.string) throws(WireError) -> String {
        let at = offset
        guard let text = String(validating: try string(limit: limit), as: UTF8.self) else {
            throw .malformed("text in UTF-8", at: at)
        }
        return text
    }

    /// The next list; `item` reads one item.
    public mutating func list<T>(
        limit: UInt64 = WireLimits.list, _ item: (inout WireReader) throws(WireError) -> T
    ) throws(WireError) -> [T] {
        var items: [T] = []
        // Nothing is reserved: a count is cheap to send, items are not.
        for _ in 0..<(try integer(limit: limit)) { items.append(try item(&self)) }
        return items
    }

    /// The bytes of a framed stream: pieces of any size up to the empty frame, passed on as they come.
    ///
    /// When `body` throws, the frames are read to their end first, so that the connection stays usable.
    public mutating func frames<E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> Void
    ) throws(WireError) -> Result<Void, E> {
        var result = Result<Void, E>.success(())
        while true {
            var left = Int(try integer(limit: WireLimits.frame))
            if left == 0 { return result }
            while left > 0 {
                if start == end { try refill() }
                guard start < end else { throw .truncated(at: offset) }
                let count = min(left, end - start)
                if case .success = result {
                    result = buffer.withUnsafeBytes { bytes in
                        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
                        return Result { () throws(E) in try body(piece) }
                    }
                }
                consume(count)
                left -= count
            }
        }
    }

    /// The next `count` bytes, gathered as they come.
    public mutating func bytes(_ count: Int) throws(WireError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            if start == end { try refill() }
            guard start < end else { throw .truncated(at: offset) }
            let piece = min(count - bytes.count, end - start)
            bytes += buffer[start..<start + piece]
            consume(piece)
        }
        return bytes
    }

    private mutating func byte() throws(WireError) -> UInt8 {
        if start == end { try refill() }
        guard start < end else { throw .truncated(at: offset) }
        defer { consume(1) }
        return buffer[start]
    }

    private mutating func consume(_ count: Int) {
        start += count
        offset += UInt64(count)
    }

    private mutating func refill() throws(WireError) {
        start = 0
        end = 0
        end = try Self.fill(&buffer, from: &source).get()
    }

    private static func fill(
        _ buffer: inout [UInt8], from source: inout Source
    ) -> Result<Int, WireError> {
        buffer.withUnsafeMutableBytes { bytes in
            Result { () throws(WireError) in try source.fill(bytes) }
        }
    }
}
