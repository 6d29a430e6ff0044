import CLinux
import LaunchModel

/// What the first process of a sandbox starts with.
///
/// The descriptors are the launcher's; the process closes them before anything of the build runs.
struct SandboxPlan {
    var request: LaunchRequest
    let profile: CompiledProfile
    let mode: LauncherConfiguration.Mode
    let steps: [LaunchStep]
    let logicalStore: [UInt8]
    let user: UserID
    let group: GroupID
    /// Clones of mounts that are attached nowhere yet.
    let storeTree: CInt
    let outTree: CInt
    let buildTree: CInt
    /// The directories that ``outTree`` and ``buildTree`` show.
    let out: CInt
    let build: CInt
    let log: CInt
    let status: CInt
    let null: CInt
    /// The network namespace to enter; nothing if it was made with the others.
    let network: CInt?
    /// The top of the launcher's own proc.
    let proc: CInt
    /// How many seccomp filters every process of the launcher's has.
    let filters: UInt64
}

/// A step that failed, with what it was applied to.
struct StepFailure: Error {
    let errno: Int32
    let subject: [UInt8]

    init(_ failure: Failure, _ subject: [UInt8] = []) {
        errno = failure.errno
        self.subject = subject
    }

    init(errno: Int64, _ subject: [UInt8] = []) {
        self.errno = Int32(errno)
        self.subject = subject
    }
}

/// Runs `body`; what the kernel refused becomes the failure of a step, with what it was applied to.
@discardableResult
func applied<R: ~Copyable>(
    to subject: [UInt8], _ body: () throws(Failure) -> R
) throws(StepFailure) -> R {
    do {
        return try body()
    } catch {
        throw StepFailure(error, subject)
    }
}

/// The first process of a sandbox: sets it up as root, drops every right, starts the builder, and reaps.
///
/// It runs the launcher's image without another exec, which one thread and no runtime allow. It never
/// returns; the first step that fails ends it, and with it the sandbox.
struct FirstProcess {
    var plan: SandboxPlan
    /// The root of the sandbox while it is put together.
    var root: CInt = -1
    /// The store directory in the sandbox.
    var store: CInt = -1
    /// `sys/user` of a proc that is not masked.
    var namespaceLimits: CInt = -1
    var rootStatus = CLinux_status()
    /// Places that the builder may write to, as the list of mounts names them.
    var writable: [[UInt8]] = []

    /// Performs the steps of the first process and of the builder.
    mutating func run() -> Never {
        do {
            try nameProcess("kiln-sandbox")
        } catch {
            CLinux_exit(125)
        }
        do {
            try enterNetwork()
        } catch {
            report(.failed(.enterNamespaces, errno: error.errno, subject: error.subject))
            CLinux_exit(125)
        }
        for step in plan.steps where step.actor == .firstProcess {
            do {
                try perform(step)
            } catch {
                report(.failed(step, errno: error.errno, subject: error.subject))
                CLinux_exit(125)
            }
        }
        // The last step of the first process does not return.
        CLinux_exit(125)
    }

    func report(_ report: SandboxReport) {
        let bytes = report.encoded
        // If the launcher is gone there is nobody to tell, and this process is about to die.
        _ = bytes.withUnsafeBytes { CLinux_send(plan.status, $0.baseAddress, $0.count, nil, 0, 0) }
    }

    private mutating func perform(_ step: LaunchStep) throws(StepFailure) {
        switch step {
        case .dieWithLauncher, .dieWithLauncherStill: try dieWithLauncher()
        case .startSession: try startSession()
        case .makeMountsPrivate: try makeMountsPrivate()
        case .writeFiles: try writeFiles()
        case .giveDirectories: try giveDirectories()
        case .mountRoot: try mountRoot()
        case .mountStore: try mountStore()
        case .mountInputs: try mountInputs()
        case .mountBuildDirectory: try mountBuildDirectory()
        case .mountHostPlaces: try mountHostPlaces()
        case .mountDevices: try mountDevices()
        case .mountProc: try mountProc()
        case .mountTemporaryPlaces: try mountTemporaryPlaces()
        case .writeEtc: try writeEtc()
        case .makeRootReadOnly: try makeRootReadOnly()
        case .changeRoot: try changeRoot()
        case .verifyMounts: try verifyMounts()
        case .raiseLoopback: try raiseLoopback()
        case .nameHost: try nameHost()
        case .clearGroups: try clearGroups()
        case .enterUserNamespace: try enterUserNamespace()
        case .forbidNamespaces: try forbidNamespaces()
        case .dropBoundingSet: try dropBounds()
        case .setGroup: try setGroup()
        case .setUser: try setUser()
        case .dropCapabilities: try dropCapabilities()
        case .forbidNewPrivileges: try forbidNewPrivileges()
        case .closeDescriptors: try closeDescriptors()
        case .startBuilder: try startBuilder()
        case .lendUser, .proveUserClean, .makeCgroup, .makeWorkDirectory, .cloneTrees,
            .enterNamespaces, .limitResources, .setPersonality, .enterBuildDirectory, .limitScope,
            .verifyDrops, .loadFilter, .execute:
            preconditionFailure("a step of another process")
        }
    }

    private func dieWithLauncher() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try ChildProcess.dieWithLauncher()
            // The launcher may have died before the kernel was told; then its end of the socket is closed.
            var polled = CLinux_pollfd(fd: plan.status, events: 0, revents: 0)
            try check(CLinux_poll(&polled, 1, 0))
            guard Int64(polled.revents) & CLinux_POLLHUP == 0 else {
                throw Failure(errno: Int32(CLinux_ESRCH))
            }
        }
    }

    private func startSession() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_setsid())
            _ = CLinux_umask(0o022)
            for signal in 1...64 where signal != 9 && signal != 19 && signal != 32 && signal != 33 {
                // SIGKILL and SIGSTOP have no other action, and the C library keeps two for itself.
                try check(CLinux_default_action(CInt(signal)))
            }
            try check(CLinux_unblock_signals())
            // A kernel without keyrings has none to inherit.
            let joined = CLinux_new_session_keyring()
            if Int64(joined) != -CLinux_ENOSYS { try check(joined) }
        }
    }

    /// The directory still is root's, and reached by descriptor.
    private func writeFiles() throws(StepFailure) {
        for file in plan.request.files {
            try applied(to: file.name) { () throws(Failure) in
                let how = CLinux_O_WRONLY | CLinux_O_CREAT | CLinux_O_EXCL
                let made = try open(plan.build, file.name, how, mode: 0o600)
                try write(made.number, file.contents)
                try check(CLinux_fchmod(made.number, 0o644))
                try check(
                    CLinux_fchown(made.number, plan.user.rawValue, plan.group.rawValue))
            }
        }
    }

    private func giveDirectories() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(CLinux_fchown(plan.build, plan.user.rawValue, plan.group.rawValue))
            // The builder adds to it, and the sticky bit keeps it from moving what is root's there.
            try check(CLinux_fchown(plan.out, 0, plan.group.rawValue))
            try check(CLinux_fchmod(plan.out, 0o1775))
            // Or it could not open /dev/stdout and /dev/stderr.
            try check(CLinux_fchown(plan.log, plan.user.rawValue, plan.group.rawValue))
        }
    }

    /// Enters the network namespace that was made for this build alone, and reads back that it did.
    private func enterNetwork() throws(StepFailure) {
        guard let network = plan.network else { return }
        try applied(to: bytes("network")) { () throws(Failure) in
            try check(CLinux_setns(network, flags(CLinux_CLONE_NEWNET)))
            guard try ownNetwork(plan.proc).isSameFile(as: fileStatus(of: network)) else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
        }
    }

    /// It is up already in a namespace from the stock, which then changes nothing.
    private func raiseLoopback() throws(StepFailure) {
        try applied(to: bytes("lo"), raiseLoopbackInterface)
    }

    private func nameHost() throws(StepFailure) {
        try applied(to: plan.profile.hostName) { () throws(Failure) in
            try check(
                CLinux_sethostname(terminated(plan.profile.hostName), plan.profile.hostName.count))
            let domain = bytes("(none)")
            try check(CLinux_setdomainname(terminated(domain), domain.count))
        }
    }
}
