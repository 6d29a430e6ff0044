/// Why bytes are not a Nix Archive.
///
/// Offsets count from the start of the archive.
public enum NARFault: Error, Hashable, Sendable {
    /// The string at this offset is not the one that the grammar has there.
    case expected(String, at: UInt64)
    /// The archive ends at this offset, in the middle.
    case truncated(at: UInt64)
    /// Bytes follow the end of the archive, at this offset.
    case trailing(at: UInt64)
    /// The string at this offset is longer than its place allows.
    case tooLong(UInt64, at: UInt64, limit: UInt64)
    /// Padding at this offset is not zero.
    case padding(at: UInt64)
    /// Directories are nested deeper than allowed, at this offset.
    case tooDeep(at: UInt64, limit: Int)
    /// The name at this offset is empty, `.`, `..`, or holds a slash or NUL.
    case name(at: UInt64)
    /// The name at this offset does not come after the one before it.
    case order(at: UInt64)
    /// The link target at this offset is empty or holds NUL.
    case target(at: UInt64)
}

/// What an archive may hold at most.
public struct NARLimits: Hashable, Sendable {
    /// Directories inside one another.
    public var depth: Int
    /// Bytes of one file.
    public var fileSize: UInt64

    /// The longest name of a directory entry, in bytes: the kernel's `NAME_MAX`.
    public static let nameLength: UInt64 = 255
    /// The longest target of a symbolic link, in bytes: the kernel's `PATH_MAX` less the NUL.
    public static let targetLength: UInt64 = 4095

    /// Puts limits together.
    public init(depth: Int = 64, fileSize: UInt64 = 1 << 50) {
        self.depth = depth
        self.fileSize = fileSize
    }
}

extension NARFault: CustomStringConvertible {
    /// One sentence that says what is wrong, and at which byte.
    public var description: String {
        switch self {
        case .expected(let what, let offset): "the archive should have '\(what)' at byte \(offset)"
        case .truncated(let offset): "the archive ends too early, at byte \(offset)"
        case .trailing(let offset): "the archive is over at byte \(offset), and more follows"
        case .tooLong(let length, let offset, let limit):
            "\(length) bytes at byte \(offset) are more than the limit of \(limit)"
        case .padding(let offset): "the padding at byte \(offset) is not zero"
        case .tooDeep(let offset, let limit):
            "directories are nested deeper than \(limit) at byte \(offset)"
        case .name(let offset): "the name at byte \(offset) cannot be one of a file"
        case .order(let offset): "the name at byte \(offset) is out of order"
        case .target(let offset): "the link target at byte \(offset) is empty or holds NUL"
        }
    }
}
