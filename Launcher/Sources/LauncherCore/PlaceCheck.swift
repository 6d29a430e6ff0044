import CLinux
import LaunchModel

/// Opens places of the configuration and refuses those that somebody else could change.
///
/// Source: `security/hardening.md` §3, L2, and R9.
struct PlaceCheck {
    let mode: LauncherConfiguration.Mode

    /// Opens a directory component by component, none of them a link, each its owner's alone.
    ///
    /// - Parameters:
    ///   - path: An absolute path.
    ///   - owner: Who may own the directory itself, besides the launcher's user.
    ///   - isStore: Whether ``store(_:_:pool:)`` looks at the directory's own mode instead.
    /// - Returns: The directory, open for reading.
    /// - Throws: The refusal, which names the path.
    func open(_ path: [UInt8], owner: UserID = .root, isStore: Bool = false) throws(Refusal)
        -> Descriptor
    {
        try refusing(.storePermissions, path) { () throws(Failure) in
            var directory = try LauncherCore.open(
                workingDirectory, [UInt8(ascii: "/")], CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            var rest = path[...]
            while let component = nextComponent(&rest) {
                guard isAcceptable(try fileStatus(of: directory.number)) else {
                    throw Failure(errno: Int32(CLinux_EPERM))
                }
                directory = try LauncherCore.open(
                    directory.number, component, CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            }
            let found = try fileStatus(of: directory.number)
            guard found.user == owner.rawValue || isOwner(found.user),
                isStore || found.mode & 0o022 == 0
            else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
            return directory
        }
    }

    /// Checks the store directory's own permissions.
    ///
    /// Nix's are accepted too: sticky, and writable by the group of the build users.
    func store(_ store: CInt, _ path: [UInt8], pool: BuildUsers) throws(Refusal) {
        let found = try refusing(.storePermissions, path) { () throws(Failure) in
            try fileStatus(of: store)
        }
        let mode = found.mode & 0o7777
        var isAllowed = found.mode & 0o022 == 0
        if case .group(let group, _) = pool, mode == 0o1775, found.group == group.rawValue {
            isAllowed = true
        }
        guard isAllowed, found.user == 0 else { throw Refusal(.storePermissions, subject: path) }
    }

    private func isAcceptable(_ found: CLinux_status) -> Bool {
        isOwner(found.user) && found.mode & 0o022 == 0
    }

    /// In an ordinary user's namespace the superuser, and everybody else, shows as the overflow user;
    /// the command has looked at the true owners before it entered that.
    private func isOwner(_ user: UInt32) -> Bool {
        switch mode {
        case .privileged: user == 0
        case .rootless: user == 0 || user == 65_534
        }
    }

    private func nextComponent(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        while rest.first == UInt8(ascii: "/") { rest.removeFirst() }
        guard !rest.isEmpty else { return nil }
        var component: [UInt8] = []
        while let byte = rest.first, byte != UInt8(ascii: "/") {
            component.append(byte)
            rest.removeFirst()
        }
        return component
    }
}
