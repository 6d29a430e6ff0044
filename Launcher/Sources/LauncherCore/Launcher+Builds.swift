import CLinux
import LaunchModel

/// From `prepare` to the proof that nothing of a build runs any more.
extension Launcher {
    func prepare(
        _ id: BuildID, _ generation: Generation, _ profile: ProfileNumber,
        _ request: LauncherRequest, _ memory: consuming Descriptor
    ) throws(OutOfOrder) {
        if let build = builds[id.rawValue] { throw OutOfOrder(phase: build.phase) }
        let running = builds.values.reduce(0) { $0 + ($1.user == nil ? 0 : 1) }
        guard running < Int(configuration.maximumBuilds) else {
            conversation.send(.noUser(id))
            return
        }
        let build = try newBuild(id, request)
        do throws(Refusal) {
            guard generation == policies.generation else { throw Refusal(.staleGeneration) }
            guard Int(profile.rawValue) < policies.profiles.count else {
                throw Refusal(.malformedRequest, subject: bytes("profile"))
            }
            let launch = try readRequest(memory)
            guard
                let user = try pool.lend(
                    locks: places.userPool.number, processes: processes, now: CLinux_milliseconds())
            else {
                builds[id.rawValue] = nil
                tellAlarms()
                conversation.send(.noUser(id))
                return
            }
            build.user = user
            build.work = try refusing(.buildDirectory) { () throws(Failure) in
                try WorkDirectory(in: places.work.number)
            }
            build.profile = policies.profiles[Int(profile.rawValue)]
            build.outputs = launch.outputs
            build.mayBeKept = launch.keepsFailed
            build.handOver = launch.handOver
            build.request = launch
            networks.expectBuild()
            conversation.send(.prepared(id, user.user))
        } catch {
            refuse(build, error)
        }
    }

    /// Reads the memory that came with `prepare`, which nobody can change any more.
    private func readRequest(_ memory: borrowing Descriptor) throws(Refusal) -> LaunchRequest {
        let seals =
            CLinux_F_SEAL_SEAL | CLinux_F_SEAL_SHRINK | CLinux_F_SEAL_GROW | CLinux_F_SEAL_WRITE
        let number = memory.number
        var content = try refusing(.malformedRequest) { () throws(Failure) in
            // Only memory can have seals, so this also says what kind of file it is.
            guard Int64(try check(CLinux_get_seals(number))) & seals == seals else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
            let size = try fileStatus(of: number).size
            guard size <= UInt64(LaunchRequest.encodingLimit) else {
                throw Failure(errno: Int32(CLinux_EMSGSIZE))
            }
            return try readExactly(number, Int(size))
        }
        defer { content.withUnsafeMutableBytes { CLinux_wipe($0.baseAddress, $0.count) } }
        do {
            return try LaunchRequest(decoding: content)
        } catch {
            throw Refusal(.malformedRequest)
        }
    }

    func start(_ build: Build) {
        _ = build.user?.takeEvidence()
        do throws(Refusal) {
            let log = try startSandbox(build)
            conversation.send(.started(build.id), [log])
        } catch {
            build.builderEnd = .notStarted(error)
            build.found(.builderOver)
        }
        build.request?.wipe()
        build.request = nil
    }

    /// Makes the cgroup and clones the first process into its namespaces.
    ///
    /// - Returns: The reading end of the log, which the caller owns.
    private func startSandbox(_ build: Build) throws(Refusal) -> CInt {
        guard let request = build.request, let work = build.work, let user = build.user else {
            preconditionFailure("a prepared build has all three")
        }
        if let parent = places.cgroupNumber {
            build.cgroup = try refusing(.sandbox, bytes("cgroup")) { () throws(Failure) in
                try BuildCgroup(in: parent, name: places.cgroupPrefix + work.name)
            }
        }
        return try refusing(.sandbox, bytes("clone3")) { () throws(Failure) in
            try cloneFirstProcess(of: build, request, work, user)
        }
    }

    private func cloneFirstProcess(
        of build: Build, _ request: LaunchRequest, _ work: WorkDirectory, _ user: LentUser
    ) throws(Failure) -> CInt {
        let profile = build.chosenProfile
        let storeTree = try clonedTree(places.store.number)
        let outTree = try clonedTree(work.out.number)
        let buildTree = try clonedTree(work.build.number)
        var logEnds: [CInt] = [-1, -1]
        try check(CLinux_pipe2(&logEnds, flags(CLinux_O_CLOEXEC)))
        let log = Descriptor(owning: logEnds[0])
        let logWriting = Descriptor(owning: logEnds[1])
        var statusEnds: [CInt] = [-1, -1]
        let kind = flags(CLinux_SOCK_SEQPACKET, CLinux_SOCK_CLOEXEC)
        try check(CLinux_socketpair(flags(CLinux_AF_UNIX), kind, &statusEnds))
        let status = Descriptor(owning: statusEnds[0])
        let statusWriting = Descriptor(owning: statusEnds[1])
        var namespaces =
            CLinux_CLONE_PIDFD | CLinux_CLONE_NEWPID | CLinux_CLONE_NEWNS | CLinux_CLONE_NEWIPC
            | CLinux_CLONE_NEWUTS | CLinux_CLONE_NEWCGROUP
        // Those of the stock have the loopback interface up.
        var stocked = profile.network == .loopback ? networks.take() : nil
        switch stocked {
        case .some: break
        case .none: namespaces |= CLinux_CLONE_NEWNET
        }
        if build.cgroup != nil { namespaces |= CLinux_CLONE_INTO_CGROUP }
        var pidfd: CInt = -1
        let cgroup = build.cgroup.map { UInt64($0.directory.number) } ?? 0
        let child = try check(CLinux_clone3(UInt64(namespaces), &pidfd, cgroup))
        if child == 0 {
            // What other builds asked for is not for this one.
            for other in builds.values where other !== build { other.request?.wipe() }
            let steps = LaunchStep.steps(
                for: profile, mode: configuration.mode, usesCgroup: build.cgroup != nil)
            var network: CInt?
            if let file = stocked.take() { network = file.release() }
            var first = FirstProcess(
                plan: SandboxPlan(
                    request: request, profile: profile, mode: configuration.mode, steps: steps,
                    logicalStore: configuration.directories.logicalStore, user: user.user,
                    group: user.group, storeTree: storeTree.release(), outTree: outTree.release(),
                    buildTree: buildTree.release(), out: work.out.number, build: work.build.number,
                    log: logWriting.release(), status: statusWriting.release(),
                    null: places.null.number, network: network,
                    proc: places.proc.number,
                    filters: rights.filters))
            first.run()
        }
        // The build alone has it from here on, and it is gone with the build.
        stocked = nil
        build.firstProcess = Descriptor(owning: pidfd)
        build.firstProcessID = CInt(child)
        build.status = consume status
        return log.release()
    }

    /// A copy of the mount that shows a directory, attached nowhere: a child in another mount namespace
    /// could not make it from the directory's descriptor.
    private func clonedTree(_ directory: CInt) throws(Failure) -> Descriptor {
        let how = unsignedFlags(
            CLinux_OPEN_TREE_CLONE, CLinux_OPEN_TREE_CLOEXEC, CLinux_AT_EMPTY_PATH)
        return Descriptor(owning: try check(CLinux_open_tree(directory, c(""), how)))
    }

    func kill(_ build: Build) {
        if build.builderEnd == nil { build.builderEnd = .killed }
        if let cgroup = build.cgroup {
            ignoreUntilProof { () throws(Failure) in try cgroup.killAll() }
        }
        guard let process = build.firstProcess?.number else { return }
        let sent = CLinux_pidfd_send_signal(process, flags(CLinux_SIGKILL))
        // It may be over already; whether everything is dead is proved, not believed.
        precondition(sent >= 0 || Int64(sent) == -CLinux_ESRCH, "a child of ours can be killed")
    }

    /// What fails here shows when the build is to be proved empty, which is tried again until it is.
    private func ignoreUntilProof(_ body: () throws(Failure) -> Void) {
        do {
            try body()
        } catch {
            return
        }
    }

    /// Reads what the first process says, as far as it has said it.
    func readReports(of build: Build) {
        while let socket = build.status?.number {
            var buffer = [UInt8](repeating: 0, count: SandboxReport.limit)
            var count = 0
            var how = flags(CLinux_MSG_DONTWAIT)
            let received = buffer.withUnsafeMutableBytes {
                CLinux_receive(socket, $0.baseAddress, $0.count, nil, &count, &how)
            }
            if Int64(received) == -CLinux_EAGAIN { return }
            guard received > 0 else {
                build.status = nil
                return
            }
            do {
                take(try SandboxReport(decoding: [UInt8](buffer[..<received])), from: build)
            } catch {
                // Only our own code holds that end; if it talks nonsense the sandbox cannot be trusted.
                kill(build)
                build.status = nil
            }
        }
    }

    private func take(_ report: SandboxReport, from build: Build) {
        switch report {
        case .needsMaps:
            do {
                try writeMaps(of: build)
            } catch {
                if build.builderEnd == nil {
                    build.builderEnd = .notStarted(error.refusal(.sandbox, bytes("id maps")))
                }
                kill(build)
            }
        case .failed(let step, let errno, let subject):
            guard build.builderEnd == nil else { return }
            let reason: Refusal.Reason =
                switch step {
                case .mountInputs: .input
                case .mountHostPlaces: .hostMount
                case .writeFiles, .giveDirectories, .mountBuildDirectory: .buildDirectory
                case .execute, .loadFilter: .execute
                default: .sandbox
                }
            let text = bytes(step.summary) + (subject.isEmpty ? [] : bytes(": ") + subject)
            build.builderEnd = .notStarted(Refusal(reason, errno: errno, subject: text))
        case .over(let end):
            if build.builderEnd == nil { build.builderEnd = end }
        case .denied(let calls): build.denied = calls
        }
    }

    /// Maps one user and one group, and nothing else; 0 is not among them.
    ///
    /// The process was not reaped yet, so nothing else has its number.
    private func writeMaps(of build: Build) throws(Failure) {
        guard let user = build.user, let status = build.status?.number else { return }
        let profile = build.chosenProfile
        let process = try open(
            places.proc.number, decimal(UInt64(build.firstProcessID)),
            CLinux_O_RDONLY | CLinux_O_DIRECTORY)
        func put(_ name: StaticString, _ text: [UInt8]) throws(Failure) {
            let file = try open(process.number, bytes(name), CLinux_O_WRONLY)
            try write(file.number, text)
        }
        func line(_ inside: UInt32, _ outside: UInt32) -> [UInt8] {
            decimal(UInt64(inside)) + bytes(" ") + decimal(UInt64(outside)) + bytes(" 1\n")
        }
        try put("setgroups", bytes("deny"))
        try put("gid_map", line(profile.sandboxGroup, user.group.rawValue))
        try put("uid_map", line(profile.sandboxUser, user.user.rawValue))
        let go: [UInt8] = [1]
        try check(go.withUnsafeBytes { CLinux_send(status, $0.baseAddress, 1, nil, 0, 0) })
    }

    /// Reaps the first process: the kernel has killed and reaped every other one of its namespace.
    func firstProcessEnded(_ build: Build) {
        guard let process = build.firstProcess?.number else { return }
        var end = CLinux_end()
        let waited = CLinux_waitid(
            flags(CLinux_P_PIDFD), process, &end, flags(CLinux_WEXITED, CLinux_WNOHANG))
        guard waited >= 0, end.pid != 0 else { return }
        readReports(of: build)
        build.status = nil
        build.firstProcess = nil
        build.userTime = end.user_time
        build.systemTime = end.system_time
        build.found(.builderOver)
    }

    /// Proves of every build whose first process was reaped that nothing of it runs, or goes on killing
    /// until that is given up.
    ///
    /// All of them in the same passes over the host's processes, which is what takes the time.
    func proveEmpty() {
        let ending = builds.values.filter { $0.phase == .ending && $0.isReaped }
        guard !ending.isEmpty else { return }
        let now = CLinux_milliseconds()
        for build in ending where build.deadline == nil {
            build.deadline = now + UserPool.patience
        }
        var users: [LentUser] = []
        for build in ending {
            do throws(Failure) {
                let isKilled = try isKilled(build)
                guard try isCgroupGone(build), isKilled, let user = build.user else { continue }
                users.append(user)
            } catch {
                // Tried again: a process that ends while it is looked at is no news.
            }
        }
        do throws(Failure) {
            let found = try UserPool.prove(users, in: processes)
            for build in ending where found.contains(where: { $0.user == build.user?.user }) {
                build.isStruck = false
            }
            for process in found { try processes.kill(process) }
        } catch {
            // As above.
        }
        for build in ending {
            if build.cgroup == nil, build.user?.isClean ?? true {
                build.found(.provedEmpty)
                var end = BuildEnd(
                    builder: build.builderEnd ?? .killed, userTime: build.userTime,
                    systemTime: build.systemTime)
                end.denied = build.denied
                conversation.send(.ended(build.id, end))
            } else if let deadline = build.deadline, now >= deadline {
                if let killer = build.killer.take() {
                    killer.stop()
                    _ = killer.finish()
                }
                if let user = build.user, !user.isCaller { alarm(of: user.user) }
                let user = build.user.map { decimal(UInt64($0.user.rawValue)) } ?? []
                refuse(build, Refusal(.userNotClean, subject: user))
            }
        }
    }

    /// Tells which processes of a user cannot be killed.
    private func alarm(of user: UserID) {
        do {
            pool.alarm(of: user, try processes.processes(of: [user]))
        } catch {
            pool.alarm(of: user, [])
        }
        tellAlarms()
    }

    /// Tells of the users that are lent no more.
    func tellAlarms() { for alarm in pool.takeAlarms() { conversation.send(alarm) } }

    /// Has every process of the build's user killed, also outside of the sandbox; again after a scan that
    /// found one.
    ///
    /// - Returns: Whether that was done. The killer has the user's id itself, so nothing is to be looked for
    ///   before.
    private func isKilled(_ build: Build) throws(Failure) -> Bool {
        guard let user = build.user, !user.isCaller else { return true }
        if let killer = build.killer {
            guard let didKill = killer.finishIfOver() else { return false }
            build.killer = nil
            build.isStruck = didKill
        }
        if !build.isStruck { build.killer = try UserKiller.start(user.user) }
        return build.isStruck
    }

    private func isCgroupGone(_ build: Build) throws(Failure) -> Bool {
        guard let cgroup = build.cgroup else { return true }
        try cgroup.killAll()
        guard try cgroup.isEmpty() else { return false }
        try cgroup.remove()
        build.cgroup = nil
        return true
    }
}
