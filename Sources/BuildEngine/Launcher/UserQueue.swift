import DequeModule
import Synchronization

/// Builds that wait for a build user: first come, first served.
///
/// The launcher says that there is none, and the next `discarded` may free one. Users may also be lent
/// to another engine of the host, which tells nobody; so the first in the line asks again now and then.
final class UserQueue: Sendable {
    private struct State {
        var freed: UInt64 = 0
        var line: Deque<LauncherSession> = []
    }

    private let state = Mutex(State())

    /// Joins the end of the line.
    func join(_ session: LauncherSession) { state.withLock { $0.line.append(session) } }

    /// Leaves the line, wherever the session stands in it.
    func leave(_ session: LauncherSession) {
        let first = state.withLock { state in
            state.line.removeAll { $0 === session }
            return state.line.first
        }
        first?.wake()
    }

    /// Whether the session may ask: it is the first in the line.
    func isFirst(_ session: LauncherSession) -> Bool {
        state.withLock { $0.line.first === session }
    }

    /// How often a user was given back.
    var freed: UInt64 { state.withLock { $0.freed } }

    /// A user was given back.
    func noteFreedUser() {
        let first = state.withLock { state in
            state.freed += 1
            return state.line.first
        }
        first?.wake()
    }
}
