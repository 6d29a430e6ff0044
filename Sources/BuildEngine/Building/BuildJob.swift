import StoreModel
import Synchronization

/// One build that runs, as the loop and the build's own thread see it.
final class BuildJob: Sendable {
    let path: StorePath
    /// The outputs that are wanted; those that are valid already are not among them.
    let outputs: Set<OutputName>
    let activity: ActivityID
    /// What the first client wanted that asked for it.
    let options: RequestOptions

    private struct State {
        var audience: [BuildRequest]
        var hasStarted = false
        var isCancelled = false
        var session: LauncherSession?
    }

    private let state: Mutex<State>

    init(
        _ path: StorePath, outputs: Set<OutputName>, activity: ActivityID, options: RequestOptions,
        audience: [BuildRequest]
    ) {
        self.path = path
        self.outputs = outputs
        self.activity = activity
        self.options = options
        state = Mutex(State(audience: audience))
    }

    /// The requests that are told of it.
    var audience: [BuildRequest] { state.withLock { $0.audience } }
    /// Whether nobody wants it any more.
    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Tells one more request of it from now on.
    func join(_ request: BuildRequest) {
        let hasStarted = state.withLock { state in
            guard !state.audience.contains(where: { $0 === request }) else { return false }
            state.audience.append(request)
            return state.hasStarted
        }
        if hasStarted { request.tell(.started(activity, path)) }
    }

    /// Says that the builder is about to run.
    func start() {
        let audience = state.withLock { state in
            state.hasStarted = true
            return state.audience
        }
        for request in audience { request.tell(.started(activity, path)) }
    }

    /// Says that it is over, if it was begun.
    func stop() {
        let audience = state.withLock { $0.hasStarted ? $0.audience : [] }
        for request in audience { request.tell(.stopped(activity)) }
    }

    /// Passes a line of the builder on.
    func tell(_ line: [UInt8]) {
        for request in audience { request.tell(.line(activity, line)) }
    }

    /// Ends the build soon.
    func cancel() {
        let session = state.withLock { state in
            state.isCancelled = true
            return state.session
        }
        session?.cancel()
    }

    /// The launcher's side of it, which a cancellation wakes up.
    func attach(_ session: LauncherSession) {
        let isCancelled = state.withLock { state in
            state.session = session
            return state.isCancelled
        }
        if isCancelled { session.cancel() }
    }
}
