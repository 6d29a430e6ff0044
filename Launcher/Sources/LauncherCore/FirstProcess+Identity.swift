import CLinux
import LaunchModel

/// NOROOT, KEEP_CAPS and NO_CAP_AMBIENT_RAISE of `linux/securebits.h`, locked; KEEP_CAPS stays off.
let lockedSecureBits: UInt = 1 << 0 | 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7

/// Changes who a process is; group before user, and each change is read back.
extension FirstProcess {
    func clearGroups() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_clear_groups())
            guard try check(CLinux_group_count()) == 0 else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
        }
    }

    /// The launcher writes the maps: that takes a capability in the namespace outside.
    func enterUserNamespace() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_unshare(flags(CLinux_CLONE_NEWUSER)))
            report(.needsMaps)
            var answer: UInt8 = 0
            var count = 0
            var how: CInt = 0
            let received = try check(
                CLinux_receive(plan.status, &answer, 1, nil, &count, &how))
            guard received == 1, answer == 1 else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    /// Limits of the new user namespace: zero of each kind, also for whoever would be root in it.
    func forbidNamespaces() throws(StepFailure) {
        let kinds: [StaticString] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
        for kind in kinds {
            let name = bytes("user/max_") + bytes(kind) + bytes("_namespaces")
            try applied(to: name) { () throws(Failure) in
                let limit = try open(namespaceLimits, name, CLinux_O_RDWR)
                try write(limit.number, [UInt8(ascii: "0")])
                guard try readAll(limit.number, limit: 16) == bytes("0\n") else {
                    throw Failure(errno: Int32(CLinux_EPERM))
                }
            }
        }
    }

    func dropBounds() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(
                CLinux_prctl(
                    flags(CLinux_PR_CAP_AMBIENT), UInt(CLinux_PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0))
            try LauncherCore.dropBoundingSet(keeping: 0)
            try check(
                CLinux_prctl(flags(CLinux_PR_SET_SECUREBITS), lockedSecureBits, 0, 0, 0))
            let bits = try check(CLinux_prctl(flags(CLinux_PR_GET_SECUREBITS), 0, 0, 0, 0))
            guard bits == Int(lockedSecureBits) else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    func setGroup() throws(StepFailure) {
        let group = plan.profile.sandboxGroup
        try applied(to: decimal(UInt64(group))) { () throws(Failure) in
            try check(CLinux_setresgid(group, group, group))
            var ids: [UInt32] = [0, 0, 0]
            try check(CLinux_getresgid(&ids))
            guard ids == [group, group, group] else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    func setUser() throws(StepFailure) {
        let user = plan.profile.sandboxUser
        try applied(to: decimal(UInt64(user))) { () throws(Failure) in
            try check(CLinux_setresuid(user, user, user))
            var ids: [UInt32] = [0, 0, 0]
            try check(CLinux_getresuid(&ids))
            guard ids == [user, user, user] else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    func dropCapabilities() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_capset(0))
            var left: UInt64 = 0
            try check(CLinux_capget(&left))
            guard left == 0 else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    func forbidNewPrivileges() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_prctl(flags(CLinux_PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0))
            let set = try check(CLinux_prctl(flags(CLinux_PR_GET_NO_NEW_PRIVS), 0, 0, 0, 0))
            guard set == 1 else { throw Failure(errno: Int32(CLinux_EPERM)) }
        }
    }

    /// Leaves null, the log twice, and the status, which does not survive an exec.
    mutating func closeDescriptors() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            // High numbers first, so that none of the four is overwritten before it was copied.
            let null = Descriptor(owning: try check(CLinux_dup_from(plan.null, 64)))
            let log = Descriptor(owning: try check(CLinux_dup_from(plan.log, 64)))
            let status = Descriptor(owning: try check(CLinux_dup_from(plan.status, 64)))
            try place(null.number, at: 0)
            try place(log.number, at: 1)
            try place(log.number, at: 2)
            try place(status.number, at: Self.status, flags(CLinux_O_CLOEXEC))
        }
        plan = SandboxPlan(
            request: plan.request, profile: plan.profile, mode: plan.mode, steps: plan.steps,
            logicalStore: plan.logicalStore, user: plan.user, group: plan.group, storeTree: -1,
            outTree: -1, buildTree: -1, out: -1, build: -1, log: 1, status: Self.status, null: 0,
            network: nil, proc: -1, filters: plan.filters)
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_close_range(UInt32(Self.status) + 1, .max, 0))
            // Neither a tracer of the same user nor a core file gets at what this process still holds.
            try forbidDumps()
        }
    }

    /// Gives a file a number that a builder starts with, and reads back that no other file has it.
    private func place(
        _ file: CInt, at number: CInt, _ how: CInt = 0
    ) throws(Failure) {
        try check(CLinux_dup3(file, number, how))
        guard try fileStatus(of: number).isSameFile(as: fileStatus(of: file)) else {
            throw Failure(errno: Int32(CLinux_EBADF))
        }
    }

    /// The number that the status channel has once the launcher's descriptors are closed.
    static let status: CInt = 3
}
