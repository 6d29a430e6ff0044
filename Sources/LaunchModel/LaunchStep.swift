/// One privileged act of a launch.
///
/// Which acts there are, and their only order, follows from the profile and the mode
/// (``steps(for:mode:usesCgroup:)``); the launcher performs them with one case each and stops at the
/// first that fails. Each constraint on the order stands at the case that needs it.
///
/// Source: `security/hardening.md` §3.
public enum LaunchStep: UInt8, Hashable, Sendable, CaseIterable {
    // In the launcher, before the first process of the sandbox exists.

    case lendUser = 1
    case proveUserClean = 2
    case makeCgroup = 3
    case makeWorkDirectory = 4
    /// Trees are cloned before ``enterNamespaces``: a mount of another namespace cannot be cloned.
    case cloneTrees = 5
    case enterNamespaces = 6

    // In the first process of the sandbox, which is still root.

    case dieWithLauncher = 10
    case startSession = 11
    case makeMountsPrivate = 12
    /// Before ``giveDirectories``: afterwards the builder's user could have put links there.
    case writeFiles = 13
    case giveDirectories = 14
    case mountRoot = 15
    case mountStore = 16
    case mountInputs = 17
    case mountBuildDirectory = 18
    case mountHostPlaces = 19
    case mountDevices = 20
    case mountProc = 21
    case mountTemporaryPlaces = 22
    case writeEtc = 23
    /// After everything that makes places in the root.
    case makeRootReadOnly = 24
    case changeRoot = 25
    /// After ``changeRoot``: the host's mounts must be gone from the list.
    case verifyMounts = 26
    case raiseLoopback = 27
    case nameHost = 28
    /// Before ``enterUserNamespace``: in a user namespace that denies setgroups it is impossible.
    case clearGroups = 29
    /// The last namespace, so that all others belong to the host's user namespace, and no capability
    /// that is gained inside means anything to them.
    case enterUserNamespace = 30
    /// While there are capabilities in the new user namespace, which this needs.
    case forbidNamespaces = 31
    /// Needs `CAP_SETPCAP`, so it comes before the user changes.
    case dropBoundingSet = 32
    /// Group before user: afterwards there is no right to change it.
    case setGroup = 33
    case setUser = 34
    /// Changing the user does not clear capabilities in a user namespace that has no user 0.
    case dropCapabilities = 35
    case forbidNewPrivileges = 36
    /// The kernel forgets the parent-death signal when credentials change.
    case dieWithLauncherStill = 37
    case closeDescriptors = 38
    case startBuilder = 39

    // In the builder's process, which has no rights any more.

    case limitResources = 50
    case setPersonality = 51
    case enterBuildDirectory = 52
    /// Not by the first process, which is to be outside of what it confines.
    case limitScope = 53
    /// Reads every id, group and capability back, and tries to become root again.
    case verifyDrops = 54
    /// Last, so that it need not allow what the steps before it call.
    case loadFilter = 55
    case execute = 56
}

extension LaunchStep {
    /// The acts of one launch, in the only order in which they are performed.
    ///
    /// - Parameters:
    ///   - profile: The compiled policy of the build.
    ///   - mode: What the launcher is.
    ///   - usesCgroup: Whether the launcher has a cgroup directory of its own.
    /// - Returns: The steps; those that the profile or the mode has no use for are left out.
    public static func steps(
        for profile: CompiledProfile, mode: LauncherConfiguration.Mode, usesCgroup: Bool
    ) -> [LaunchStep] {
        allCases.filter { step in
            switch step {
            case .lendUser, .proveUserClean: mode == .privileged
            // An ordinary user cannot drop groups: the namespace that makes it root denies setgroups.
            case .clearGroups: mode == .privileged
            case .makeCgroup: usesCgroup
            case .mountHostPlaces: !profile.hostMounts.isEmpty
            case .mountDevices: !profile.devices.isEmpty
            case .raiseLoopback: profile.network == .loopback
            case .makeWorkDirectory, .cloneTrees, .enterNamespaces, .dieWithLauncher, .startSession,
                .makeMountsPrivate, .writeFiles, .giveDirectories, .mountRoot, .mountStore,
                .mountInputs, .mountBuildDirectory, .mountProc, .mountTemporaryPlaces, .writeEtc,
                .makeRootReadOnly, .changeRoot, .verifyMounts, .nameHost, .enterUserNamespace,
                .forbidNamespaces, .dropBoundingSet, .setGroup, .setUser, .dropCapabilities,
                .forbidNewPrivileges, .dieWithLauncherStill, .closeDescriptors, .startBuilder,
                .limitResources, .setPersonality, .enterBuildDirectory, .limitScope, .verifyDrops,
                .loadFilter, .execute:
                true
            }
        }
    }

    /// Who performs the step.
    public var actor: Actor {
        switch rawValue {
        case ..<10: .launcher
        case ..<50: .firstProcess
        default: .builder
        }
    }

    /// A process that performs steps.
    public enum Actor: UInt8, Hashable, Sendable {
        /// The launcher itself, root on the host.
        case launcher = 0
        /// The first process of the sandbox: root until it drops, then the build user.
        case firstProcess = 1
        /// The builder's process before it executes the builder: the build user.
        case builder = 2
    }

    /// What the step does, in the imperative, for people.
    public var summary: StaticString { text.summary }

    /// Why it is done, and why there.
    public var reason: StaticString { text.reason }

    private var text: (summary: StaticString, reason: StaticString) {
        switch self {
        case .lendUser:
            (
                "lend a build user",
                "its lock file keeps every other daemon of the host from using it"
            )
        case .proveUserClean:
            (
                "prove that no process has the build user's ids",
                "a survivor of an earlier build could change this one's files"
            )
        case .makeCgroup:
            ("make a cgroup", "one write kills all of the build, however fast it forks")
        case .makeWorkDirectory:
            ("make a work directory", "only root reaches it, under a name that cannot be guessed")
        case .cloneTrees:
            (
                "clone the mounts of the store and of the work directory",
                "the sandbox gets descriptors"
            )
        case .enterNamespaces:
            (
                "clone into new pid, mount, network, ipc, uts and cgroup namespaces",
                "they belong to the host's user namespace, so the builder has no say in them"
            )
        case .dieWithLauncher:
            ("die with the launcher", "no build outlives the process that would clean up after it")
        case .startSession:
            (
                "start a session with a new keyring and default signals",
                "nothing of the launcher's is inherited"
            )
        case .makeMountsPrivate:
            ("make all mounts private", "no mount of the sandbox shows on the host")
        case .writeFiles:
            (
                "write the derivation's files into the build directory",
                "while it is root's: afterwards the builder could have put links there"
            )
        case .giveDirectories:
            ("give the build directory to the build user", "everything in it is complete")
        case .mountRoot:
            ("mount an empty root", "the builder sees nothing that is not put there")
        case .mountStore:
            (
                "mount the outputs' directory as the store",
                "the builder never writes the real store; sticky, so it cannot move inputs"
            )
        case .mountInputs:
            (
                "mount every input read-only, nosuid and nodev",
                "store objects have one content for ever"
            )
        case .mountBuildDirectory: ("mount the build directory", "nosuid and nodev")
        case .mountHostPlaces:
            ("mount what the policy shows of the host", "read-only, nosuid and nodev")
        case .mountDevices:
            (
                "mount devices",
                "each checked by number, so a wrong file on the host is not passed on"
            )
        case .mountProc:
            (
                "mount a new proc and mask it",
                "of the sandbox's processes only; kernel settings read-only"
            )
        case .mountTemporaryPlaces:
            ("mount /tmp, /dev/shm and /dev/pts", "with limits of size; new terminals only")
        case .writeEtc:
            ("write /etc/passwd, group and hosts", "the same on every machine")
        case .makeRootReadOnly: ("make the root read-only", "the builder cannot add places")
        case .changeRoot:
            ("change the root and detach the host's", "no path leads to the host any more")
        case .verifyMounts:
            (
                "read the list of mounts back",
                "each must be private, and read-only unless it is the builder's to write"
            )
        case .raiseLoopback: ("raise the loopback interface", "in a network namespace of its own")
        case .nameHost: ("set the host's name", "the same on every machine")
        case .clearGroups:
            (
                "clear supplementary groups",
                "as the host's root: the user namespace below denies it"
            )
        case .enterUserNamespace:
            (
                "enter a user namespace with one user and one group",
                "last, so that it owns none of the other namespaces"
            )
        case .forbidNamespaces:
            ("set the limits of all namespaces to zero", "a nested one would open kernel code")
        case .dropBoundingSet:
            ("drop the bounding set and lock the secure bits", "no exec can gain a capability")
        case .setGroup:
            ("become the build group", "before the user, which gives the right to it up")
        case .setUser: ("become the build user", "real, effective and saved")
        case .dropCapabilities:
            ("drop every capability", "changing the user alone does not, where no user is root")
        case .forbidNewPrivileges: ("forbid new privileges", "set-id programs gain nothing")
        case .dieWithLauncherStill:
            ("die with the launcher, still", "the kernel forgot it when the user changed")
        case .closeDescriptors:
            (
                "close every descriptor but the log and the status",
                "a descriptor of the launcher would be a way out"
            )
        case .startBuilder:
            (
                "start the builder's process and stay as its reaper",
                "orphans are reaped, and when the builder is over the kernel kills the rest"
            )
        case .limitResources: ("set resource limits", "of the policy; not above what it had")
        case .setPersonality: ("set the personality", "what uname says for 32-bit builds")
        case .enterBuildDirectory: ("enter the build directory", "as the build user")
        case .limitScope:
            (
                "forbid signals and abstract sockets beyond the builder's processes",
                "where the kernel can: a second fence before the reaper and other sandboxes"
            )
        case .verifyDrops:
            (
                "verify every drop, and fail to become root",
                "a drop that did not happen must not pass unseen"
            )
        case .loadFilter:
            ("load the system call filter", "last, so that it need not allow the steps above")
        case .execute: ("execute the builder", "inside of everything above")
        }
    }
}
