import CLinux
import LaunchModel

/// `personality(2)`: addresses are not chosen at random, so that builds see the same ones.
private let fixedAddresses: UInt = 0x004_0000
private let linux32: UInt = 0x0008

extension FirstProcess {
    /// Starts the builder's process, and is its reaper from then on; does not return.
    mutating func startBuilder() throws(StepFailure) {
        // The two have one table of descriptors until the builder is executed, when the kernel gives it a
        // copy without those that do not survive that. So the listener, which only the process that loads
        // the filter can make, is here without being sent; and this process waits for that moment, after
        // which nothing that it opens or closes is the builder's.
        let how = CLinux_CLONE_FILES | CLinux_CLONE_VFORK
        let builder = try applied(to: []) { () throws(Failure) in
            try check(CLinux_clone3(UInt64(how), nil, 0))
        }
        if builder == 0 { runBuilder() }
        plan.request.wipe()
        reap(CInt(builder))
    }

    /// The builder's process, which has no rights any more.
    private func runBuilder() -> Never {
        do {
            try nameProcess("kiln-builder")
        } catch {
            CLinux_exit(125)
        }
        for step in plan.steps where step.actor == .builder {
            do {
                try performAsBuilder(step)
            } catch {
                report(.failed(step, errno: error.errno, subject: error.subject))
                CLinux_exit(125)
            }
        }
        CLinux_exit(125)
    }

    private func performAsBuilder(_ step: LaunchStep) throws(StepFailure) {
        switch step {
        case .limitResources: try limitResources()
        case .setPersonality: try setPersonality()
        case .enterBuildDirectory: try enterBuildDirectory()
        case .limitScope: try limitScope()
        case .verifyDrops: try verifyDrops()
        case .loadFilter: try loadFilter()
        case .execute: try execute()
        default: preconditionFailure("a step of another process")
        }
    }

    private func limitResources() throws(StepFailure) {
        for limit in plan.profile.resourceLimits {
            try applied(to: decimal(UInt64(limit.resource))) { () throws(Failure) in
                let resource = CInt(limit.resource)
                var soft: UInt64 = 0
                var hard: UInt64 = 0
                try check(CLinux_getrlimit(resource, &soft, &hard))
                // Raising what the host limits takes a capability, which is gone.
                let newHard = min(limit.hard, hard)
                let newSoft = min(limit.soft, newHard)
                try check(CLinux_setrlimit(resource, newSoft, newHard))
                try check(CLinux_getrlimit(resource, &soft, &hard))
                guard soft == newSoft, hard == newHard else {
                    throw Failure(errno: Int32(CLinux_EPERM))
                }
            }
        }
    }

    private func setPersonality() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            let kind = plan.request.personality == .linux32 ? linux32 : 0
            try check(CLinux_personality(kind | fixedAddresses))
        }
    }

    private func enterBuildDirectory() throws(StepFailure) {
        try applied(to: plan.request.buildDirectory) { () throws(Failure) in
            try check(CLinux_setsid())
            try check(CLinux_chdir(terminated(plan.request.buildDirectory)))
        }
    }

    /// Landlock's scopes; kernels before Linux 6.12, or without Landlock, have only the namespaces.
    ///
    /// Source: `security/hardening.md` §3, S10.
    private func limitScope() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            let limited = CLinux_limit_scope()
            let isUnknown = [CLinux_ENOSYS, CLinux_EOPNOTSUPP].contains(-Int64(limited))
            guard !isUnknown else { return }
            try check(limited)
            // Read back: the reaper has the same user, and only the scope keeps a signal from it.
            let reaper = Descriptor(owning: CInt(try check(CLinux_pidfd_open(1))))
            guard Int64(CLinux_pidfd_send_signal(reaper.number, 0)) == -CLinux_EPERM else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
        }
    }

    /// Every drop is read back here, in the process that will execute the builder: from the calls that tell,
    /// and once more from the kernel's list.
    private func verifyDrops() throws(StepFailure) {
        let user = plan.profile.sandboxUser
        let group = plan.profile.sandboxGroup
        func demand(_ holds: Bool, _ what: StaticString) throws(StepFailure) {
            guard holds else { throw StepFailure(errno: CLinux_EPERM, bytes(what)) }
        }
        var ids: [UInt32] = [0, 0, 0]
        try demand(CLinux_getresuid(&ids) == 0 && ids == [user, user, user], "user ids")
        try demand(CLinux_getresgid(&ids) == 0 && ids == [group, group, group], "group ids")
        if plan.mode == .privileged {
            try demand(CLinux_group_count() == 0, "supplementary groups")
        }
        try demand(CLinux_setresuid(0, 0, 0) < 0, "becoming root")
        try demand(CLinux_setresgid(0, 0, 0) < 0, "becoming root's group")
        var capabilities: UInt64 = 0
        try demand(CLinux_capget(&capabilities) == 0 && capabilities == 0, "capabilities")
        for capability in UInt(0)..<64 {
            let present = CLinux_prctl(flags(CLinux_PR_CAPBSET_READ), capability, 0, 0, 0)
            if Int64(present) == -CLinux_EINVAL { break }
            try demand(present == 0, "the bounding set")
        }
        try demand(
            CLinux_prctl(flags(CLinux_PR_GET_NO_NEW_PRIVS), 0, 0, 0, 0) == 1, "no new privileges")
        try demand(
            CLinux_prctl(flags(CLinux_PR_GET_SECUREBITS), 0, 0, 0, 0) == Int(lockedSecureBits),
            "secure bits")
        try demand(
            CLinux_prctl(flags(CLinux_PR_GET_DUMPABLE), 0, 0, 0, 0) == 0, "dumps of memory")
        try demand(CLinux_unshare(flags(CLinux_CLONE_NEWUSER)) < 0, "a nested user namespace")
        var cwd = [UInt8](repeating: 0, count: 4096)
        let length = cwd.withUnsafeMutableBytes { CLinux_getcwd($0.baseAddress, $0.count) }
        try demand(
            length > 0 && cwd[..<(length - 1)].elementsEqual(plan.request.buildDirectory),
            "the working directory")
        var top = CLinux_status()
        try demand(
            CLinux_fstatat(workingDirectory, c("/"), &top, 0) == 0
                && top.isSameFile(as: rootStatus), "the root")
        let open = try applied(to: bytes("/proc/self/fd")) { () throws(Failure) in
            try openNumbers(in: bytes("/proc/self/fd"))
        }
        try demand(open == Int(Self.status) + 1, "open descriptors")
        // A name of its own: a temporary would be closed before the call.
        let status = try openStatus()
        try verifyStatus(status.number, filters: plan.filters)
    }

    /// How many descriptors this process has open, without those that find it out.
    private func openNumbers(in path: [UInt8]) throws(Failure) -> Int {
        let list = try LauncherCore.open(
            workingDirectory, path, CLinux_O_RDONLY | CLinux_O_DIRECTORY)
        return try names(in: list.number).count - 2
    }

    /// The sandbox's proc is root's, under a root that nobody can write to.
    private func openStatus() throws(StepFailure) -> Descriptor {
        try applied(to: bytes("/proc/self/status")) { () throws(Failure) in
            let proc = try LauncherCore.open(
                workingDirectory, bytes("/proc"), CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            return try ProcessStatus.open(in: proc.number)
        }
    }

    /// Compares what the kernel's own list says of this process with what a builder may be.
    private func verifyStatus(_ file: CInt, filters: UInt64) throws(StepFailure) {
        let status = try applied(to: bytes("/proc/self/status")) { () throws(Failure) in
            try ProcessStatus(reading: file)
        }
        let rights = ProcessRights(
            user: plan.profile.sandboxUser, group: plan.profile.sandboxGroup,
            groups: plan.mode == .privileged ? .none : .whatever, capabilities: 0,
            filters: filters)
        if let objection = rights.objection(to: status) {
            throw StepFailure(errno: CLinux_EPERM, bytes(objection))
        }
    }

    private func loadFilter() throws(StepFailure) {
        let filter = plan.profile.filter
        // A program on proc or on a terminal's file system is not what it seems.
        try applied(to: plan.request.builder) { () throws(Failure) in
            let program = Descriptor(
                owning: try check(
                    CLinux_openat2(
                        workingDirectory, terminated(plan.request.builder),
                        UInt64(CLinux_O_PATH | CLinux_O_CLOEXEC), 0,
                        UInt64(CLinux_RESOLVE_NO_MAGICLINKS))))
            let type = Int64(try check(CLinux_file_system_type(program.number)))
            guard type != CLinux_PROC_SUPER_MAGIC, type != CLinux_DEVPTS_SUPER_MAGIC else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
        }
        // Opened before, so that all the filter has to allow for this is a read.
        let status = try openStatus()
        try applied(to: []) { () throws(Failure) in
            guard !plan.profile.denials.isEmpty else { return try load(filter: filter) }
            // The first process looks for it there, in the table that both share until the exec.
            guard DenialListener.candidates.contains(try loadListening(filter: filter)) else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
        }
        try verifyStatus(status.number, filters: plan.filters + 1)
    }

    private func execute() throws(StepFailure) {
        let path = terminated(plan.request.builder)
        let arguments = pointers(plan.request.arguments)
        let environment = pointers(plan.request.environment)
        throw StepFailure(
            Failure(
                errno: Int32(
                    truncatingIfNeeded: -CLinux_execve(path, arguments, environment))),
            plan.request.builder)
    }

    /// Strings as execve(2) takes them; the memory goes with the image.
    private func pointers(_ strings: [[UInt8]]) -> [UnsafePointer<CChar>?] {
        var result: [UnsafePointer<CChar>?] = []
        for string in strings {
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: string.count + 1)
            for (index, byte) in string.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[string.count] = 0
            result.append(UnsafePointer(copy))
        }
        result.append(nil)
        return result
    }
}

extension LaunchRequest {
    /// Zeroes every text that may hold something private: the environment, arguments and files.
    ///
    /// Every copy of the request shares the memory of its texts, and all of them are to lose it: an
    /// ordinary mutation would zero a new copy and leave what the others hold.
    func wipe() {
        func zero(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes {
                guard let start = $0.baseAddress, !$0.isEmpty else { return }
                CLinux_wipe(UnsafeMutableRawPointer(mutating: start), $0.count)
            }
        }
        for argument in arguments { zero(argument) }
        for variable in environment { zero(variable) }
        for file in files { zero(file.contents) }
    }
}
