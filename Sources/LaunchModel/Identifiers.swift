/// A user of the host, as the kernel counts them.
public struct UserID: RawRepresentable, Hashable, Sendable {
    /// The number, `uid_t`.
    public let rawValue: UInt32

    /// Names the user with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The superuser.
    public static let root = UserID(rawValue: 0)
}

/// A group of the host, as the kernel counts them.
public struct GroupID: RawRepresentable, Hashable, Sendable {
    /// The number, `gid_t`.
    public let rawValue: UInt32

    /// Names the group with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The superuser's group.
    public static let root = GroupID(rawValue: 0)
}

/// The engine's number for one build or one adopted tree.
///
/// The engine chooses it; the launcher refuses one that is in use.
public struct BuildID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt64

    /// Names the build with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A profile of the launcher's configuration, by position.
public struct ProfileNumber: RawRepresentable, Hashable, Sendable {
    /// The position in ``LauncherConfiguration/profiles``, from zero.
    public let rawValue: UInt16

    /// Names the profile at this position.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
}

/// The digest of one set of compiled policies: a SHA-256, 32 bytes.
///
/// A request names the generation it was planned for, and is refused if that is not the current one.
public struct Generation: Hashable, Sendable {
    /// The 32 bytes of the digest.
    public let bytes: [UInt8]

    /// Takes a digest of 32 bytes; traps otherwise.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 32)
        self.bytes = bytes
    }
}
