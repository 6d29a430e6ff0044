import Glibc
public import LaunchModel

/// Who the engine becomes before it reads its first request.
public struct EngineIdentity: Hashable, Sendable {
    /// The user.
    public let user: UserID
    /// The group.
    public let group: GroupID

    /// The account that administrators make for it.
    public static let accountName = "kiln"

    /// The identity of an engine that root starts: the account `kiln`, or the reserved user.
    ///
    /// No account is ever created.
    public static func forRoot() -> EngineIdentity {
        if let account = getpwnam(accountName), account.pointee.pw_uid != 0 {
            return EngineIdentity(
                user: UserID(rawValue: account.pointee.pw_uid),
                group: GroupID(rawValue: account.pointee.pw_gid))
        }
        return EngineIdentity(
            user: UserID(rawValue: AutomaticUsers.reserved),
            group: GroupID(rawValue: AutomaticUsers.reserved))
    }

    /// The identity of an engine that an ordinary user starts: the user.
    public static func caller() -> EngineIdentity {
        EngineIdentity(user: UserID(rawValue: getuid()), group: GroupID(rawValue: getgid()))
    }
}

/// The ids that no account has and that builds may use, by Nix's default settings.
///
/// Source: `reference/nix-features.md`, `auto-allocate-uids`: `start-id` and `id-count`.
public enum AutomaticUsers {
    /// The first id of the first slot.
    public static let first: UInt32 = 872_415_232
    /// The number of slots, of 65,536 ids each; Kiln uses the first id of a slot.
    public static let slots: UInt16 = 128
    /// The first id behind the slots: no build has it, so it serves the engine.
    public static let reserved: UInt32 = first + UInt32(slots) * 65_536
}
