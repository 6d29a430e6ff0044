/// One act between the end of a builder and the moment when others may use what it made.
///
/// The order is the core of the security of a store: kill everything, prove it, look at what is there,
/// take it; and only then read, publish and register. The phases of a build
/// (``BuildPhase``) keep it: no request leads from a running builder to its outputs but through the proof.
///
/// Source: `security/hardening.md` §7 and §8.
public enum HandOverStep: UInt8, Hashable, Sendable, CaseIterable {
    // The launcher.

    case killCgroup = 1
    case reapFirstProcess = 2
    case removeCgroup = 3
    /// After the namespace and the cgroup are gone: only strangers can be left.
    case scanProcesses = 4

    // A worker of the launcher's.

    case verifyOutputs = 10
    case balanceLinks = 11
    case stageOutputs = 12
    /// First of all changes: it ends the builder's rights by being the owner.
    case takeOwnership = 13
    case makeCanonical = 14
    /// After the owner changed: from then on nobody can open a file for writing.
    case proveNoWriter = 15

    // The engine, from read-only descriptors.

    case scanOutputs = 20
    case checkOutputs = 21

    // The launcher, then the engine.

    case publish = 30
    case syncObjects = 31
    /// Last: a row without its object never exists.
    case register = 32
    case discard = 33
}

extension HandOverStep {
    /// The acts after a builder ended well, in the only order.
    ///
    /// - Parameters:
    ///   - mode: What the launcher is.
    ///   - usesCgroup: Whether builds have cgroups.
    /// - Returns: The steps; those that the mode has no use for are left out.
    public static func steps(
        mode: LauncherConfiguration.Mode, usesCgroup: Bool
    ) -> [HandOverStep] {
        allCases.filter { step in
            switch step {
            case .killCgroup, .removeCgroup: usesCgroup
            case .scanProcesses: mode == .privileged
            case .reapFirstProcess, .verifyOutputs, .balanceLinks, .stageOutputs, .takeOwnership,
                .makeCanonical, .proveNoWriter, .scanOutputs, .checkOutputs, .publish,
                .syncObjects, .register, .discard:
                true
            }
        }
    }

    /// What the step does, in the imperative, for people.
    public var summary: StaticString { text.summary }

    /// Why it is done, and why there.
    public var reason: StaticString { text.reason }

    private var text: (summary: StaticString, reason: StaticString) {
        switch self {
        case .killCgroup: ("kill the cgroup", "also what forks faster than it could be listed")
        case .reapFirstProcess:
            (
                "reap the first process of the pid namespace",
                "the kernel reaps it after every other process of the namespace"
            )
        case .removeCgroup: ("remove the cgroup", "the kernel refuses while a process is in it")
        case .scanProcesses:
            (
                "look twice for processes with any of the four ids of the build user",
                "who is left is killed; a user of whom somebody stays is never lent again"
            )
        case .verifyOutputs:
            (
                "verify every file of every output",
                "owner, type, set-id bits, attributes, mode of the top, sizes, depth; nothing is changed yet"
            )
        case .balanceLinks:
            ("count hard links", "a link that is not in the outputs would share a store file")
        case .stageOutputs:
            (
                "rename the outputs into staging",
                "only root reaches it; undeclared siblings stay behind"
            )
        case .takeOwnership:
            (
                "change the owner",
                "it clears set-id bits and ends the owner's rights, before anything else"
            )
        case .makeCanonical:
            ("set modes and times, strip attributes", "store objects have nothing but content")
        case .proveNoWriter:
            (
                "prove by a lease that nobody can write to a file, or copy it",
                "a descriptor or mapping that outlived the build must not reach the store"
            )
        case .scanOutputs:
            (
                "read each output once: hash, size and references",
                "from read-only descriptors, without any right"
            )
        case .checkOutputs:
            ("check the rules of the derivation", "promised hashes, allowed references, sizes")
        case .publish:
            ("rename into the store, replacing nothing", "an object never changes in place")
        case .syncObjects: ("sync objects and the store directory", "durable before it is visible")
        case .register:
            (
                "register all outputs in one transaction",
                "an object without a row is garbage; a row without its object never exists"
            )
        case .discard:
            ("delete what is left and give the user back", "of the build nothing stays but its log")
        }
    }
}
