import LaunchModel
import StoreModel
import Synchronization
import SystemCalls

/// The locks that Nix calls `<path>.lock`, taken through the launcher.
///
/// An engine never asks twice for a name that it has: its own threads wait for each other here.
final class PathLocks: Sendable {
    /// What came of asking for locks.
    enum Outcome: Hashable, Sendable {
        /// All are held.
        case held
        /// None is held: another thread of this engine has one.
        case busyHere
        /// None is held: somebody else has one.
        case busyElsewhere
        /// None is held, and asking again will not help.
        case failed(EngineError)
    }

    private struct State {
        /// Names that are held or being taken or given back, with the descriptor that holds the lock.
        var taken: [StoreObjectName: SharedDescriptor?] = [:]
        var waiting: [StoreObjectName: [@Sendable () -> Void]] = [:]
    }

    /// What has come of one attempt at several names.
    private final class Attempt: Sendable {
        struct State {
            var left: Int
            var held: [StoreObjectName] = []
            var outcome = Outcome.held
        }
        let state: Mutex<State>
        init(_ count: Int) { state = Mutex(State(left: count)) }
    }

    private let client: LauncherClient
    private let pool: WorkerPool
    private let state = Mutex(State())

    /// Begins without locks.
    ///
    /// The pool gives locks back that were taken in vain: the thread that reads the launcher's events must
    /// not send, because either side would wait for the other one to read.
    init(_ client: LauncherClient, pool: WorkerPool) {
        self.client = client
        self.pool = pool
    }

    /// Takes all locks or none, without waiting for a holder; `reply` may come on any thread.
    func acquire(
        _ names: Set<StoreObjectName>, reply: @escaping @Sendable (Outcome) -> Void
    ) {
        precondition(!names.isEmpty)
        let isFree = state.withLock { state in
            guard names.allSatisfy({ state.taken[$0] == nil }) else { return false }
            for name in names { state.taken[name] = .some(nil) }
            return true
        }
        guard isFree else {
            reply(.busyHere)
            return
        }
        let attempt = Attempt(names.count)
        for name in names {
            client.ask(about: name, .lock(name, .acquire)) { [self] answer in
                note(answer, for: name, in: attempt, reply)
            }
        }
    }

    /// Takes all locks, waiting for whoever has them.
    func wait(for names: Set<StoreObjectName>) throws(EngineError) {
        while true {
            let promise = Promise<Outcome>()
            acquire(names) { promise.fulfil($0) }
            switch promise.wait() {
            case .held: return
            case .failed(let error): throw error
            case .busyHere:
                let free = Promise<Void>()
                whenFree(names) { free.fulfil(()) }
                free.wait()
            case .busyElsewhere:
                do throws(SystemError) {
                    _ = try poll([], milliseconds: 100)
                } catch {
                    throw .system(error)
                }
            }
        }
    }

    /// Calls `body` once, when one of these names that this engine has is given back, or at once.
    func whenFree(_ names: Set<StoreObjectName>, _ body: @escaping @Sendable () -> Void) {
        let isWaiting = state.withLock { state in
            guard let name = names.first(where: { state.taken[$0] != nil }) else { return false }
            state.waiting[name, default: []].append(body)
            return true
        }
        if !isWaiting { body() }
    }

    /// Gives locks up that are held.
    func release(_ names: Set<StoreObjectName>) {
        for name in names {
            // Our copy of the descriptor would hold the lock for ever.
            state.withLock { $0.taken[name] = .some(nil) }
            client.ask(about: name, .lock(name, .release)) { [self] _ in free([name]) }
        }
    }

    /// Moves the object at a name out of the store; its lock must be held.
    func trash(_ name: StoreObjectName) throws(EngineError) {
        let promise = Promise<LauncherClient.NameReply>()
        client.ask(about: name, .trash(name)) { promise.fulfil($0) }
        switch promise.wait() {
        case .gone(let error): throw error
        case .message(let message):
            switch message.event {
            case .trashed: return
            case .nameRefused(_, let refusal): throw .refused(.init(name), refusal)
            case let event: throw .launcherGone("it answered '\(event)' to a removal")
            }
        }
    }

    private func note(
        _ answer: LauncherClient.NameReply, for name: StoreObjectName, in attempt: Attempt,
        _ reply: @escaping @Sendable (Outcome) -> Void
    ) {
        let outcome: Outcome
        switch answer {
        case .gone(let error): outcome = .failed(error)
        case .message(let message):
            switch message.event {
            case .locked:
                state.withLock { $0.taken[name] = .some(message.descriptors.first) }
                outcome = .held
            case .lockBusy: outcome = .busyElsewhere
            case .nameRefused(_, let refusal): outcome = .failed(.refused(.init(name), refusal))
            case let event: outcome = .failed(.launcherGone("it answered '\(event)' to a lock"))
            }
        }
        if outcome != .held { free([name]) }
        let end = attempt.state.withLock { state -> Attempt.State? in
            state.left -= 1
            if outcome == .held {
                state.held.append(name)
            } else if case .failed = state.outcome {
                // A failure is more than a lock that is busy.
            } else {
                state.outcome = outcome
            }
            return state.left == 0 ? state : nil
        }
        guard let end else { return }
        if end.outcome == .held || end.held.isEmpty {
            reply(end.outcome)
        } else {
            pool.run { [self] in
                release(Set(end.held))
                reply(end.outcome)
            }
        }
    }

    private func free(_ names: [StoreObjectName]) {
        let waiting = state.withLock { state in
            var waiting: [@Sendable () -> Void] = []
            for name in names {
                state.taken.removeValue(forKey: name)
                waiting += state.waiting.removeValue(forKey: name) ?? []
            }
            return waiting
        }
        for body in waiting { body() }
    }
}
