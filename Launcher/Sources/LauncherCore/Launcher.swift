import CLinux
import LaunchModel

/// The only code that runs as root once a request was read: one thread, one loop.
///
/// It never waits for anything but its poll: what takes time in proportion to a tree runs in workers,
/// and what a sandbox does is told by its descriptors.
final class Launcher {
    let configuration: LauncherConfiguration
    let places: Places
    let conversation: Conversation
    /// What this process was found to be confined to.
    let rights: ProcessRights
    /// Where root changes policies, if there is such a door.
    let door: ControlDoor?
    /// What builds are prepared with from now on; at first what the configuration says.
    var policies: PolicySet
    let processes: ProcessTable
    var pool: UserPool
    let networks: NetworkStock
    var builds: [UInt64: Build] = [:]
    var workers: [Worker] = []
    var locks: [HeldLock] = []
    /// Staging directories that are empty.
    var spareStaging: [StagingDirectory] = []
    /// When the trash is emptied at the latest, in milliseconds of the monotonic clock; nothing if it is empty.
    var trashDue: UInt64? = 0
    /// How much was moved to the trash since it was emptied.
    var trashCount = 0
    /// When users that rest are given up, in milliseconds of the monotonic clock.
    var restUntil: UInt64 = 0
    /// How long a user rests, in milliseconds: from one build of a chain to the next.
    static let rest: UInt64 = 1000

    init(
        _ configuration: LauncherConfiguration, _ places: Places, _ rights: ProcessRights,
        _ conversation: Conversation, _ door: ControlDoor?
    ) throws(Refusal) {
        self.configuration = configuration
        self.rights = rights
        self.door = door
        policies = PolicySet(
            generation: configuration.generation, profiles: configuration.profiles)
        self.places = places
        self.conversation = conversation
        processes = ProcessTable(proc: places.proc.number)
        pool = UserPool(configuration.pool)
        let proc = places.proc.number
        networks = try refusing(.hostFeature, bytes("network")) { () throws(Failure) in
            try NetworkStock(proc: proc)
        }
    }

    /// A path lock that the engine holds through this process.
    final class HeldLock {
        let name: StoreObjectName
        let file: Descriptor

        init(_ name: StoreObjectName, _ file: consuming Descriptor) {
            self.name = name
            self.file = file
        }
    }

    /// How many staging directories wait for their next use.
    static let spareLimit = 16
    /// With so much in it the trash is emptied at once: starting a worker costs as much as deleting some.
    static let trashLimit = 32
    /// How long something may lie in the trash while builds run, in milliseconds.
    static let trashDelay: UInt64 = 250

    /// More builds and adoptions at once than a working engine has; each may have a child process.
    private static let buildLimit = 1024
    /// More locks than a working engine holds.
    private static let lockLimit = 65_536

    private enum Watch {
        case conversation
        case door(ControlDoor)
        case guest(ControlDoor.Guest)
        case status(Build)
        case firstProcess(Build)
        case cgroup(Build)
        case killer(Build)
        case worker(Worker)
        case maker
    }

    /// Kills what a launcher that was killed left of build users.
    ///
    /// - Throws: The refusal to work, when it cannot be known what is left.
    func clearUsers() throws(Refusal) {
        try pool.clear(locks: places.userPool.number, processes: processes)
    }

    /// Works until the conversation ends.
    func run() throws(ConversationEnd) {
        // Poll, then: reports before ends, so that an end is told with its reason; the engine's
        // requests last, so that they meet phases that are up to date.
        while true {
            tellAlarms()
            try conversation.flush()
            let trashWait = emptyTrash()
            var polled: [CLinux_pollfd] = []
            var watches: [Watch] = []
            func watch(_ what: Watch, _ fd: CInt, _ events: Int64) {
                polled.append(
                    CLinux_pollfd(fd: fd, events: Int16(truncatingIfNeeded: events), revents: 0))
                watches.append(what)
            }
            var timeout: Int64 = pool.hasResting ? Int64(Self.rest) : -1
            if let trashWait { timeout = timeout < 0 ? trashWait : min(timeout, trashWait) }
            for build in builds.values {
                if let number = build.status?.number {
                    watch(.status(build), number, CLinux_POLLIN)
                }
                if let number = build.firstProcess?.number {
                    watch(.firstProcess(build), number, CLinux_POLLIN)
                } else if build.phase == .ending {
                    // Processes that are told to die are looked for again soon.
                    timeout = 10
                    if let cgroup = build.cgroup {
                        watch(.cgroup(build), cgroup.events.number, CLinux_POLLPRI)
                    }
                    if let killer = build.killer {
                        watch(.killer(build), killer.descriptor, CLinux_POLLIN)
                    }
                }
            }
            for worker in workers {
                watch(.worker(worker), worker.process.descriptor, CLinux_POLLIN)
            }
            if let door {
                // Those who leave make room for those who come.
                for guest in door.guests {
                    watch(.guest(guest), guest.socket.number, CLinux_POLLIN)
                }
                watch(.door(door), door.socket.number, CLinux_POLLIN)
            }
            // After what the engine waits for was sent, and while builds do their own work.
            networks.refill()
            if let maker = networks.makerDescriptor { watch(.maker, maker, CLinux_POLLIN) }
            watch(
                .conversation, conversation.socket,
                CLinux_POLLIN | (conversation.hasOutgoing ? CLinux_POLLOUT : 0))

            let result = polled.withUnsafeMutableBufferPointer {
                CLinux_poll($0.baseAddress, $0.count, timeout)
            }
            guard result >= 0 || Int64(result) == -CLinux_EINTR else { throw .closed }
            for (index, entry) in polled.enumerated() where entry.revents != 0 {
                switch watches[index] {
                case .status(let build): readReports(of: build)
                case .firstProcess(let build): firstProcessEnded(build)
                case .cgroup, .killer: break
                case .worker(let worker): workerEnded(worker)
                case .door(let door): door.open()
                case .guest(let guest): answer(guest)
                case .maker: networks.makerEnded()
                case .conversation: try answerRequests()
                }
            }
            proveEmpty()
            if pool.hasResting, CLinux_milliseconds() >= restUntil { pool.release() }
        }
    }

    private func answerRequests() throws(ConversationEnd) {
        // Some at a time, so that a flood of requests does not keep a build from being proved dead.
        for _ in 0..<64 {
            guard let packet = try conversation.receive() else { return }
            guard builds.count <= Self.buildLimit, locks.count <= Self.lockLimit else {
                throw .violated(Refusal(.outOfOrder, subject: bytes("too much at once")))
            }
            do {
                try answer(packet)
            } catch {
                throw .violated(
                    Refusal(.outOfOrder, subject: decimal(UInt64(error.phase.rawValue))))
            }
        }
    }

    private func answer(_ packet: Packet) throws(OutOfOrder) {
        let request = packet.request
        switch request {
        case .prepare(let id, let generation, let profile):
            guard let descriptor = packet.descriptors.first else {
                throw OutOfOrder(phase: .unknown)
            }
            try prepare(id, generation, profile, request, Descriptor(owning: descriptor))
        case .start(let id):
            let build = try accepted(id, request)
            start(build)
        case .kill(let id):
            let build = try accepted(id, request)
            if build.phase == .ending { kill(build) }
        case .status(let id):
            conversation.send(.phase(id, builds[id.rawValue]?.phase ?? .unknown))
        case .takeOutputs(let id): takeOutputs(of: try accepted(id, request))
        case .adopt(let id, let name): try adopt(id, name, request)
        case .publish(let id, let output): publish(try accepted(id, request), output)
        case .trash(let name): trash(name)
        case .keep(let id): keep(try accepted(id, request))
        case .discard(let id): discard(try accepted(id, request))
        case .lock(let name, .acquire): acquireLock(name)
        case .lock(let name, .release): releaseLock(name)
        }
    }

    /// The build that a request is about, after its phase took the request.
    private func accepted(_ id: BuildID, _ request: LauncherRequest) throws(OutOfOrder) -> Build {
        guard let build = builds[id.rawValue] else { throw OutOfOrder(phase: .unknown) }
        try build.accept(request)
        return build
    }

    /// A new build, if the number is free.
    func newBuild(_ id: BuildID, _ request: LauncherRequest) throws(OutOfOrder) -> Build {
        if let build = builds[id.rawValue] { throw OutOfOrder(phase: build.phase) }
        let build = Build(id)
        try build.accept(request)
        builds[id.rawValue] = build
        return build
    }

    /// Tells that a legal request could not be done; what is left can only be discarded.
    func refuse(_ build: Build, _ refusal: Refusal) {
        build.found(.stepFailed)
        conversation.send(.refused(build.id, refusal))
    }

    /// Kills everything, waits for it, and clears up; for when the conversation is over.
    func leave() {
        for build in builds.values where build.firstProcess != nil { kill(build) }
        for build in builds.values {
            if let process = build.firstProcess?.number {
                var end = CLinux_end()
                _ = CLinux_waitid(
                    flags(CLinux_P_PIDFD), process, &end, flags(CLinux_WEXITED))
                build.firstProcess = nil
            }
            if let cgroup = build.cgroup { removeAtLast(cgroup) }
            if let killer = build.killer.take() {
                // It has the user's id itself, and would be taken for one that is left.
                killer.stop()
                _ = killer.finish()
            }
            // Whoever lends the user next looks for itself; this is for users that nobody lends again.
            if let user = build.user, !user.isCaller, !user.isClean {
                ignoringFailure { () throws(Failure) in
                    _ = try UserKiller.strike(user.user)
                    for process in try processes.processes(of: [user.user]) {
                        try processes.kill(process)
                    }
                }
            }
        }
        // What they were doing is for nobody any more, and may take for ever.
        for worker in workers { worker.process.stop() }
        for worker in workers { _ = worker.finish() }
        networks.leave()
        ignoringFailure { () throws(Failure) in try places.leave() }
        deleteAll(in: places.trash.number)
    }

    /// The kernel reports a cgroup empty a moment after its last process was reaped.
    private func removeAtLast(_ cgroup: BuildCgroup) {
        for _ in 0..<200 {
            do {
                try cgroup.killAll()
                if try cgroup.isEmpty() {
                    try cgroup.remove()
                    return
                }
            } catch {
                // Tried again below, and reported by nobody: the engine is gone.
            }
            _ = CLinux_poll(nil, 0, 10)
        }
    }

    private func ignoringFailure(_ body: () throws(Failure) -> Void) {
        do {
            try body()
        } catch {
            // The next launcher clears what this one leaves.
        }
    }
}
