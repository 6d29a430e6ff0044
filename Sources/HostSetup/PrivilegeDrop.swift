import CLinux
import Glibc
import LaunchModel
import SystemCalls

extension EngineIdentity {
    /// Becomes this user for good, and proves it; nothing happens for the caller itself.
    ///
    /// Groups go first, then the group, then the user: each takes a right that the next one ends.
    public func become() throws(HostSetupError) {
        // The engine's user may not be able to go where root was, and so shall not be there already.
        guard chdir("/") == 0 else { throw .privilegesKept("its directory") }
        if getuid() == 0 {
            try giveUpKeyboard()
            guard setgroups(0, nil) == 0 else { throw .privilegesKept("its groups") }
            let group = group.rawValue
            guard setresgid_all(group) else { throw .privilegesKept("its group") }
            guard setresuid_all(user.rawValue) else { throw .privilegesKept("its user") }
        }
        guard CLinux_prctl(CInt(CLinux_PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0) == 0,
            CLinux_prctl(CInt(CLinux_PR_GET_NO_NEW_PRIVS), 0, 0, 0, 0) == 1
        else { throw .privilegesKept("new privileges") }
        try verify()
    }

    /// Whoever has root's terminal open for reading reads what root types.
    private func giveUpKeyboard() throws(HostSetupError) {
        for standard in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where isatty(standard) == 1 {
            let isInput = standard == STDIN_FILENO
            let path = isInput ? "/dev/null" : "/proc/self/fd/\(standard)"
            let how = (isInput ? O_RDONLY : O_WRONLY) | O_NOCTTY | O_CLOEXEC
            let number = open(path, how)
            guard number >= 0 else {
                throw .system(SystemError(call: "open", path: path, errno: errno))
            }
            let only = OwnedDescriptor(takingOwnershipOf: number)
            try system { () throws(SystemError) in
                try only.withNumber { (number) throws(SystemError) in
                    try check("dup2", on: path) { dup2(number, standard) }
                }
            }
        }
    }

    private func verify() throws(HostSetupError) {
        var ids: [UInt32] = [0, 0, 0]
        guard CLinux_getresuid(&ids) == 0, ids.allSatisfy({ $0 == user.rawValue }) else {
            throw .privilegesKept("its user")
        }
        guard CLinux_getresgid(&ids) == 0, ids.allSatisfy({ $0 == group.rawValue }) else {
            throw .privilegesKept("its group")
        }
        var capabilities: UInt64 = 0
        guard CLinux_capget(&capabilities) == 0, capabilities == 0 else {
            throw .privilegesKept("its capabilities")
        }
        guard setuid(0) == -1 else { throw .privilegesKept("being root") }
    }

    // The C library's functions, which change every thread; the system calls change only one.
    private func setresgid_all(_ group: gid_t) -> Bool { setregid(group, group) == 0 }
    private func setresuid_all(_ user: uid_t) -> Bool { setreuid(user, user) == 0 }
}
