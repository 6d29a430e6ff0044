import CLinux
import LaunchModel

/// Runs the launcher until its engine is gone.
///
/// - Parameters:
///   - conversation: A `SOCK_SEQPACKET` socket whose other end is the engine's.
///   - configuration: A sealed memfd with an encoded ``LauncherConfiguration``.
///   - control: A socket on which root alone can reach the launcher; a number that is no such socket is none.
public func runLauncher(conversation: CInt, configuration: CInt, control: CInt) -> Never {
    let talk = Conversation(conversation)
    let launcher: Launcher
    let door = ControlDoor(control)
    do {
        try becomeLauncher([conversation, configuration] + (door == nil ? [] : [control]))
        let read = try readConfiguration(configuration)
        try enter(read)
        let places = try Places(read)
        launcher = try Launcher(
            read, places, try confine(read.mode, proc: places.proc.number), talk, door)
    } catch {
        end(talk, .unable(error), status: 1)
    }
    do {
        try launcher.clearUsers()
    } catch {
        end(talk, .unable(error), status: 1)
    }
    talk.send(.ready)
    do {
        try launcher.run()
    } catch {
        launcher.leave()
        switch error {
        case .closed: CLinux_exit(0)
        case .violated(let refusal): end(talk, .unable(refusal), status: 1)
        }
    }
    CLinux_exit(0)
}

private func end(_ talk: Conversation, _ event: LauncherEvent, status: Int32) -> Never {
    talk.send(event)
    do {
        try talk.flush()
    } catch {
        CLinux_exit(status)
    }
    CLinux_exit(status)
}

/// Makes the process its own: nothing inherited but these descriptors.
private func becomeLauncher(_ inherited: [CInt]) throws(Refusal) {
    try refusing(.hostFeature, bytes("process")) { () throws(Failure) in
        _ = CLinux_umask(0o077)
        try check(CLinux_chdir(c("/")))
        for signal in 1...64 {
            let reset = CLinux_default_action(CInt(signal))
            if Int64(reset) != -CLinux_EINVAL { try check(reset) }
        }
        try check(CLinux_unblock_signals())
        try check(CLinux_ignore_signal(flags(CLinux_SIGPIPE)))
        try closeAll(but: inherited)
        // Nothing that is opened later may become one of the first three, which children keep.
        while true {
            let spare = try open(workingDirectory, bytes("/dev/null"), CLinux_O_RDWR)
            guard spare.number <= 2 else { break }
            _ = spare.release()
        }
        for fd in inherited {
            try check(CLinux_set_descriptor_flags(fd, flags(CLinux_FD_CLOEXEC)))
        }
        try check(CLinux_prctl(flags(CLinux_PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0))
        // A build takes about nine descriptors, and every lock one; builders get their policy's limit.
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        try check(CLinux_getrlimit(openFiles, &soft, &hard))
        try check(CLinux_setrlimit(openFiles, hard, hard))
    }
}

/// `RLIMIT_NOFILE`.
private let openFiles: CInt = 7

private func readConfiguration(_ memory: CInt) throws(Refusal) -> LauncherConfiguration {
    let content = try sealedContent(of: memory, bytes("configuration"))
    let configuration: LauncherConfiguration
    do {
        configuration = try LauncherConfiguration(decoding: content)
    } catch {
        throw Refusal(.malformedRequest, subject: bytes("configuration"))
    }
    try checkProfiles(configuration.profiles)
    // A builder that is the engine could do what the engine can.
    guard
        !UserPool.includes(configuration.engineUser, configuration.engineGroup, configuration.pool)
    else { throw Refusal(.malformedRequest, subject: bytes("the engine is a build user")) }
    let isCaller = configuration.pool == .caller
    guard !UserPool.isUnsafe(configuration.pool), isCaller == (configuration.mode == .rootless)
    else {
        throw Refusal(.malformedRequest, subject: bytes("build users"))
    }
    return configuration
}

/// CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, SETPCAP, NET_ADMIN, SYS_ADMIN, SYS_RESOURCE, LEASE
/// and SETFCAP: what the steps need and nothing else.
private let capabilities: UInt64 =
    1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 21 | 1 << 24
    | 1 << 28 | 1 << 31

/// Loads the filter that every later process inherits, and reads back what this one is and may do.
///
/// - Parameters:
///   - mode: Who the launcher is.
///   - proc: The top of its own proc.
/// - Returns: What it is confined to, with the number of filters that children begin with.
/// - Throws: The refusal, whose subject is what is not as it must be.
private func confine(
    _ mode: LauncherConfiguration.Mode, proc: CInt
) throws(Refusal) -> ProcessRights {
    let (before, after) = try refusing(.hostFeature, bytes("seccomp filters")) {
        () throws(Failure) in
        let first = try ProcessStatus.open(in: proc)
        let second = try ProcessStatus.open(in: proc)
        let before = try ProcessStatus(reading: first.number)
        try load(filter: LauncherFilters.inherited(on: .host))
        return (before, try ProcessStatus(reading: second.number))
    }
    let isRoot = mode == .privileged
    let rights = ProcessRights(
        user: 0, group: 0, groups: isRoot ? .none : .whatever,
        // In an ordinary user's namespace they reach what is the user's already.
        capabilities: isRoot ? capabilities : .max, filters: before.filters + 1)
    if let objection = rights.objection(to: after) {
        throw Refusal(.hostFeature, errno: Int32(CLinux_EPERM), subject: bytes(objection))
    }
    return rights
}

/// Enters the launcher's own namespaces and drops what it does not need.
private func enter(_ configuration: LauncherConfiguration) throws(Refusal) {
    switch configuration.mode {
    case .privileged:
        guard CLinux_getuid() == 0 else {
            throw Refusal(.hostFeature, errno: Int32(CLinux_EPERM), subject: bytes("root"))
        }
        try check(.hostFeature, bytes("namespaces"), CLinux_unshare(flags(CLinux_CLONE_NEWNS)))
        try refusing(.hostFeature, bytes("capabilities")) { () throws(Failure) in
            try check(CLinux_clear_groups())
            try dropBoundingSet(keeping: capabilities)
            var present: UInt64 = 0
            try check(CLinux_capget(&present))
            try check(CLinux_capset(present & capabilities))
            try check(CLinux_capget(&present))
            guard present & ~capabilities == 0 else { throw Failure(errno: Int32(CLinux_EPERM)) }
            // No core file, and none of its children's, shows what a request holds. An ordinary user's
            // own cannot be, or its proc would not be its own, in which it writes the maps.
            try forbidDumps()
        }
    case .rootless:
        let user = decimal(UInt64(CLinux_getuid()))
        let group = decimal(UInt64(CLinux_getgid()))
        try check(
            .hostFeature, bytes("user namespaces"),
            CLinux_unshare(flags(CLinux_CLONE_NEWUSER, CLinux_CLONE_NEWNS)))
        try refusing(.hostFeature, bytes("id maps")) { () throws(Failure) in
            func put(_ path: StaticString, _ text: [UInt8]) throws(Failure) {
                let file = try open(workingDirectory, bytes(path), CLinux_O_WRONLY)
                try write(file.number, text)
            }
            try put("/proc/self/setgroups", bytes("deny"))
            try put("/proc/self/gid_map", bytes("0 ") + group + bytes(" 1\n"))
            try put("/proc/self/uid_map", bytes("0 ") + user + bytes(" 1\n"))
        }
    }
    try check(
        .hostFeature, bytes("mounts"),
        CLinux_mount(nil, c("/"), nil, UInt(CLinux_MS_REC | CLinux_MS_PRIVATE)))
}
