/// Why bytes of the worker protocol were refused.
///
/// Offsets count from the start of the stream.
public enum WireError: Error, Hashable, Sendable {
    /// The stream ends at this offset, in the middle of a value.
    case truncated(at: UInt64)
    /// The stream could not be read or written; the errno of the call that failed.
    case stream(errno: Int32)
    /// The count or length at this offset is larger than allowed.
    case tooLong(UInt64, at: UInt64, limit: UInt64)
    /// Padding at this offset is not zero.
    case padding(at: UInt64)
    /// The value at this offset means nothing; the text says what it should be.
    case malformed(String, at: UInt64)
}

extension WireError: CustomStringConvertible {
    /// One sentence that says what is wrong, and at which byte.
    public var description: String {
        switch self {
        case .truncated(let offset): "the peer's message ends too early, at byte \(offset)"
        case .stream(let errno): "the connection failed (errno \(errno))"
        case .tooLong(let length, let offset, let limit):
            "the length \(length) at byte \(offset) is more than the limit of \(limit)"
        case .padding(let offset): "the padding at byte \(offset) is not zero"
        case .malformed(let what, let offset): "expected \(what) at byte \(offset)"
        }
    }
}

/// What a connection may make us keep in memory at most.
public enum WireLimits {
    /// Bytes of one string.
    public static let string: UInt64 = 64 << 20
    /// Items of one list.
    public static let list: UInt64 = 1 << 20
    /// Bytes of a store path, or of anything else that is short.
    public static let short: UInt64 = 4096
    /// Bytes of one frame; longer ones are refused, since a sender chooses their size freely.
    public static let frame: UInt64 = 64 << 20
}
