import Dispatch
import LaunchModel
import LocalStore
import StoreModel
import Synchronization

/// Objects of one client that become valid while it sends the next ones.
///
/// Those that were published within a moment share a sync and a transaction. Each keeps its lock until then,
/// which depends on nothing that the client does or does not send. One thread adds to a group.
public final class UploadGroup: Sendable {
    /// How many may wait for a transaction before the client does.
    private static let limit = 1024
    /// With so many there is no waiting for more.
    private static let enough = 128
    /// How long an object waits for others.
    private static let patience = DispatchTimeInterval.milliseconds(50)

    private struct State {
        /// Published, and not valid yet.
        var waiting = Batch()
        /// Being made valid, if anything is.
        var current = Batch()
        /// Fulfilled when ``current`` is over; nothing when nothing is under way.
        var underWay: Promise<Void>?
        /// Whether nothing more will be added.
        var isComplete = false
        /// Why the group can make nothing valid any more.
        var failure: EngineError?
    }

    private struct Batch {
        var infos: [StorePath: ValidPathInfo] = [:]
        var outputs: [StorePath: [OutputName: StorePath]] = [:]
        var derivations: [StorePath: Derivation] = [:]
    }

    private let store: LocalStore
    private let parts: EngineParts
    private let state = Mutex(State())
    /// Signalled when there is no reason to wait for more; once too often does no harm.
    private let hurry = DispatchSemaphore(value: 0)

    init(_ engine: Engine) {
        store = engine.store
        parts = engine.parts
    }

    /// Those of `paths` that were added, and may not be valid yet; or the reason why they will not be.
    func added(among paths: Set<StorePath>) throws(EngineError) -> Set<StorePath> {
        let result = state.withLock { state -> Result<Set<StorePath>, EngineError> in
            if let failure = state.failure { return .failure(failure) }
            return .success(
                paths.filter {
                    state.waiting.infos[$0] != nil || state.current.infos[$0] != nil
                })
        }
        return try result.get()
    }

    /// A derivation that was added, and may not be valid yet.
    func derivation(at path: StorePath) -> Derivation? {
        state.withLock { $0.waiting.derivations[path] ?? $0.current.derivations[path] }
    }

    /// Adds an object that was published and whose lock is held; the group gives the lock back.
    func add(
        _ info: ValidPathInfo, outputs: [OutputName: StorePath]?, derivation: Derivation?
    ) {
        let (isEnough, pause) = state.withLock { state -> (Bool, Promise<Void>?) in
            state.waiting.infos[info.path] = info
            state.waiting.outputs[info.path] = outputs
            state.waiting.derivations[info.path] = derivation
            if state.underWay == nil {
                state.underWay = Promise()
                parts.committers.run { [self] in commitWaiting() }
            }
            let count = state.waiting.infos.count
            return (count == Self.enough, count >= Self.limit ? state.underWay : nil)
        }
        if isEnough { hurry.signal() }
        pause?.wait()
    }

    /// Waits until all objects of the group are valid, durably.
    public func finish() throws(EngineError) {
        state.withLock { $0.isComplete = true }
        hurry.signal()
        while let promise = state.withLock({ $0.underWay }) { promise.wait() }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func commitWaiting() {
        if !state.withLock({ $0.isComplete }) { _ = hurry.wait(timeout: .now() + Self.patience) }
        let (batch, failure) = state.withLock { state in
            state.current = state.waiting
            state.waiting = Batch()
            return (state.current, state.failure)
        }
        var result: EngineError? = failure
        if failure == nil {
            do throws(LocalStoreError) {
                try store.register([ValidPathInfo](batch.infos.values), derivations: batch.outputs)
            } catch {
                result = .store(error)
            }
        }
        parts.locks.release(Set(batch.infos.keys.map(\.name)))
        let over = state.withLock { state -> Promise<Void>? in
            state.current = Batch()
            state.failure = result
            let over = state.underWay
            state.underWay = nil
            if !state.waiting.infos.isEmpty {
                state.underWay = Promise()
                parts.committers.run { [self] in commitWaiting() }
            }
            return over
        }
        over?.fulfil(())
    }
}

extension Engine {
    /// A group for ``ObjectUpload/finish(in:)``.
    public func uploadGroup() -> UploadGroup { UploadGroup(self) }
}
