public import Goals
public import LocalStore
public import StoreModel
import Synchronization
public import SystemCalls

/// Decides what is built and when, has it built, and keeps the store.
///
/// Unprivileged: whatever needs rights is asked of the launcher, over the conversation that it is given.
/// Any number of threads may use one engine.
public final class Engine: Sendable {
    /// The store; queries go to it directly.
    public let store: LocalStore
    /// What the engine was made with.
    public let configuration: EngineConfiguration

    let parts: EngineParts
    private let loop: EngineLoop
    private let nextRequest = Atomic64()
    private let thread: Mutex<Thread?>
    /// Locked, so that no other engine takes what this one writes for a dead one's.
    private let incoming: SharedDescriptor

    /// Opens the store, and waits until the launcher is ready.
    ///
    /// - Parameters:
    ///   - configuration: What the engine needs to know.
    ///   - launcher: The engine's side of a conversation with the launcher, a connected `SOCK_SEQPACKET`
    ///     socket.
    /// - Throws: ``EngineError`` when the store cannot be opened, or the launcher will not work.
    public init(
        _ configuration: EngineConfiguration, launcher: consuming OwnedDescriptor
    ) throws(EngineError) {
        self.configuration = configuration
        let policies = CurrentPolicies(configuration)
        let client = LauncherClient(
            launcher, policies: policies, whenQuarantined: configuration.whenQuarantined)
        do throws(EngineError) {
            try client.waitUntilReady()
            do throws(LocalStoreError) {
                store = try LocalStore(configuration.layout)
            } catch {
                throw .store(error)
            }
            let lookers = WorkerPool(limit: 4)
            parts = EngineParts(
                configuration: configuration, policies: policies,
                inspector: Inspector(store: store, derivations: Derivations(store)),
                launcher: client, locks: PathLocks(client, pool: lookers), lookers: lookers,
                committers: WorkerPool(limit: 32), builders: WorkerPool(limit: configuration.slots),
                activities: Atomic64())
            loop = try EngineLoop(parts)
            incoming = try Incoming.join(configuration.layout)
        } catch {
            client.shutDown()
            throw error
        }
        thread = Mutex(nil)
        let loop = loop
        let thread = Thread { loop.run() }
        self.thread.withLock { $0 = thread }
    }

    /// The profiles of now; root may reload them at any time.
    public var profiles: EngineProfiles { parts.policies.value.profiles }

    // MARK: Building

    /// Asks for paths to be made valid.
    ///
    /// - Parameters:
    ///   - paths: What is wanted.
    ///   - client: Who slots are shared fairly between.
    ///   - options: How it is to be built; a profile that is not installed is refused here.
    ///   - roots: What keeps derivations and outputs alive; nothing means until the engine ends.
    /// - Returns: The request, which is under way; it ends with ``BuildNews/finished(_:)``.
    /// - Throws: ``EngineError`` when there is no such profile, or the engine is ending.
    public func request(
        _ paths: [DerivedPath], for client: ClientID, options: RequestOptions = RequestOptions(),
        keptAliveBy roots: TemporaryRoots? = nil
    ) throws(EngineError) -> BuildRequest {
        if let name = options.profile, profiles.byName[name] == nil {
            let known = profiles.byName.keys.sorted().joined(separator: ", ")
            throw .unsupported("there is no profile '\(name)'; these are installed: \(known)")
        }
        let inbox = loop.inbox
        let request = try BuildRequest(
            RequestID(rawValue: nextRequest.next()), options: options, roots: roots
        ) { inbox.push(.event(.cancel($0))) }
        // In one step with the look, so that nothing is wanted of a loop that has ended.
        let isRunning = thread.withLock { thread in
            guard thread != nil else { return false }
            inbox.push(.want(request, client, paths))
            return true
        }
        guard isRunning else { throw .shuttingDown }
        return request
    }

    /// Takes a derivation for true that is not in the store, until ``forgetDerivation(at:)``.
    ///
    /// Only for clients that are trusted: its outputs are whatever it says.
    public func trustDerivation(
        _ derivation: Derivation, at path: StorePath
    ) throws(EngineError) {
        try parts.inspector.derivations.trust(derivation, at: path)
    }

    /// Ends what ``trustDerivation(_:at:)`` began.
    public func forgetDerivation(at path: StorePath) { parts.inspector.derivations.forget(path) }

    /// What would have to be built for paths to be valid.
    ///
    /// - Returns: The derivations to build, and the paths that nothing would make valid.
    public func missing(
        _ paths: [DerivedPath]
    ) -> (willBuild: Set<StorePath>, unknown: Set<StorePath>) {
        var finder = MissingFinder(parts.inspector)
        return finder.find(paths)
    }

    /// A number for an activity that clients are told of.
    public func nextActivity() -> ActivityID { ActivityID(rawValue: parts.activities.next()) }

    /// Keeps an object alive: until `roots` is gone, or the engine if there are none.
    func keepAlive(_ path: StorePath, by roots: TemporaryRoots?) throws(EngineError) {
        do {
            if let roots { try roots.add(path) } else { try store.addTemporaryRoot(path) }
        } catch {
            throw .store(error)
        }
    }

    // MARK: Deleting

    /// Deletes objects that nothing keeps alive.
    ///
    /// - Returns: Those that were there, valid or not, and how many bytes the archives of valid ones had.
    /// - Throws: ``EngineError`` when one of them is alive; nothing is deleted then.
    public func delete(_ paths: Set<StorePath>) throws(EngineError) -> (
        deleted: Set<StorePath>, freed: UInt64
    ) {
        guard !paths.isEmpty else { return ([], 0) }
        let names = Set(paths.map(\.name))
        try parts.locks.wait(for: names)
        defer { parts.locks.release(names) }
        var freed: UInt64 = 0
        var deleted: Set<StorePath> = []
        do throws(LocalStoreError) {
            let infos = try store.pathInfos(paths)
            freed = infos.values.reduce(0) { $0 + $1.narSize }
            deleted = Set(infos.keys)
            try store.withCollectionLock { () throws(LocalStoreError) in
                try store.deletable(paths)
                try store.invalidate(paths)
            }
        } catch {
            throw .store(error)
        }
        for path in paths.sorted() where try objectExists(at: store.object(at: path)) {
            try parts.locks.trash(path.name)
            deleted.insert(path)
        }
        return (deleted, freed)
    }

    // MARK: The end

    /// Kills every build, waits until the launcher has confirmed it, and ends the conversation.
    ///
    /// Requests that are under way end without outcomes. Call it once, from a thread that is not the
    /// engine's.
    public func shutDown() {
        thread.withLock { thread in
            loop.inbox.push(.stop)
            let taken = thread
            thread = nil
            return taken
        }?.join()
        parts.builders.finish()
        parts.committers.finish()
        parts.launcher.shutDown()
        parts.lookers.finish()
    }
}
