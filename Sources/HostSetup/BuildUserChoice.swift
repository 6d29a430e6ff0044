import Glibc
public import LaunchModel

/// Which users of the host builds are to run as.
public enum BuildUserChoice: Hashable, Sendable {
    /// The members of this group, as `build-users-group` says; it must exist.
    case group(String)
    /// At most so many slots of ids that no account has.
    case automatic(UInt16)
    /// The members of `nixbld`, if there are any, and else slots.
    case host

    /// The users.
    ///
    /// - Throws: ``HostSetupError/buildGroup(_:problem:repair:)``.
    public func users() throws(HostSetupError) -> BuildUsers {
        switch self {
        case .automatic(let count):
            return .automatic(
                first: UserID(rawValue: AutomaticUsers.first),
                count: min(count, AutomaticUsers.slots))
        case .host:
            guard let group = Self.members(of: Self.defaultGroup), !group.users.isEmpty else {
                return try Self.automatic(AutomaticUsers.slots).users()
            }
            return .group(group.id, group.users)
        case .group(let name):
            guard let group = Self.members(of: name) else {
                throw .buildGroup(
                    name, problem: "does not exist",
                    repair:
                        "make it with groupadd -r \(name), or leave the setting out for automatic users"
                )
            }
            guard !group.users.isEmpty else {
                throw .buildGroup(
                    name, problem: "has no members that are accounts",
                    repair:
                        "add some with useradd -r -g \(name) -G \(name) -s /usr/sbin/nologin \(name)1"
                )
            }
            return .group(group.id, group.users)
        }
    }

    /// The group that installers of Nix make.
    static let defaultGroup = "nixbld"

    private static func members(of name: String) -> (id: GroupID, users: [UserID])? {
        guard let group = getgrnam(name) else { return nil }
        let id = GroupID(rawValue: group.pointee.gr_gid)
        var names: [String] = []
        var next = group.pointee.gr_mem
        while let place = next, let member = place.pointee {
            names.append(String(cString: member))
            next = place + 1
        }
        var users: [UserID] = []
        for member in names {
            guard let account = getpwnam(member), account.pointee.pw_uid != 0 else { continue }
            users.append(UserID(rawValue: account.pointee.pw_uid))
        }
        return (id, users)
    }
}
