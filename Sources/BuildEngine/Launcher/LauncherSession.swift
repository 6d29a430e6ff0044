import Glibc
import LaunchModel
import StoreModel
import Synchronization
import SystemCalls

/// One build, or one tree to adopt, as the launcher knows it by its number.
///
/// One thread asks and waits for the answers; any thread may ask for the end of it.
final class LauncherSession: Sendable {
    /// What the session's thread is told.
    enum News: Sendable {
        case message(LauncherMessage)
        case gone(EngineError)
        case cancelled
        case wake
    }

    let id: BuildID
    private let inbox: Inbox<News>
    private let client: LauncherClient
    private let state = Mutex(State())

    fileprivate struct State {
        var waiting: [News] = []
        /// As far as requests and answers tell.
        var phase = BuildPhase.unknown
        var isCancelled = false
        var end: EngineError?
    }

    init(_ id: BuildID, inbox: Inbox<News>, client: LauncherClient) {
        self.id = id
        self.inbox = inbox
        self.client = client
    }

    /// Where the build is, as far as requests and answers tell.
    var phase: BuildPhase { state.withLock { $0.phase } }
    /// Whether somebody asked for the end of it.
    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Tells the session's thread something; called by the reading thread.
    func deliver(_ news: News) { inbox.push(news) }

    /// Lets the session's thread look around, without news.
    func wake() { inbox.push(.wake) }

    /// Asks the session's thread to end it soon.
    func cancel() { inbox.push(.cancelled) }

    /// Sends a request of this build, which must be legal now.
    func send(_ request: LauncherRequest, descriptors: [CInt] = []) throws(EngineError) {
        let isLegal = state.withLock { state in
            do throws(OutOfOrder) {
                state.phase = try state.phase.accepting(request)
                return true
            } catch {
                return false
            }
        }
        precondition(isLegal, "a request that the launcher would not accept")
        try client.send(request, descriptors: descriptors)
    }

    /// The next message of the launcher, or nothing when the time is over or `descriptor` is readable.
    func next(
        orReadable descriptor: CInt? = nil, milliseconds: CInt? = nil, noticesCancel: Bool = false
    ) throws(EngineError) -> LauncherMessage? {
        while true {
            if let message = try pending() { return message }
            if noticesCancel, isCancelled { return nil }
            let found: Readiness
            do {
                found = try inbox.wait(
                    or: descriptor.map { ($0, .readable) }, milliseconds: milliseconds)
            } catch {
                throw .system(error)
            }
            if let message = try pending() { return message }
            if noticesCancel, isCancelled { return nil }
            if !found.isEmpty || milliseconds != nil { return nil }
        }
    }

    /// Waits for any news, and leaves a message where it is.
    ///
    /// - Returns: Whether there was some before the time was over.
    func wait(milliseconds: CInt) throws(EngineError) -> Bool {
        do {
            try inbox.wait(milliseconds: milliseconds)
        } catch {
            throw .system(error)
        }
        let news = inbox.take()
        let end = state.withLock { state in
            for item in news {
                switch item {
                case .message: state.waiting.append(item)
                case .cancelled: state.isCancelled = true
                case .gone(let error): state.end = error
                case .wake: break
                }
            }
            return state.end
        }
        if let end { throw end }
        return !news.isEmpty
    }

    /// The next message of the launcher, however long it takes.
    func answer() throws(EngineError) -> LauncherMessage {
        while true { if let message = try next() { return message } }
    }

    private func pending() throws(EngineError) -> LauncherMessage? {
        let news = inbox.take()
        let result = state.withLock { state -> Result<LauncherMessage?, EngineError> in
            state.waiting += news
            while !state.waiting.isEmpty {
                switch state.waiting.removeFirst() {
                case .cancelled: state.isCancelled = true
                case .wake: break
                case .gone(let error):
                    state.end = error
                    state.phase = .unknown
                case .message(let message):
                    state.note(message.event)
                    return .success(message)
                }
            }
            if let end = state.end { return .failure(end) }
            return .success(nil)
        }
        return try result.get()
    }

    /// Gives back whatever the launcher has of this build, killing what runs; never fails.
    ///
    /// The launcher's confirmation is not waited for: ``LauncherClient/shutDown()`` does that once.
    func abandon() {
        do throws(EngineError) {
            switch phase {
            case .unknown:
                client.forget(id)
                return
            case .running, .ending:
                try send(.kill(id))
                while phase != .ended, phase != .failed { _ = try answer() }
            case .taking: while phase == .taking { _ = try answer() }
            case .keeping: while phase == .keeping { _ = try answer() }
            case .prepared, .ended, .taken, .failed: break
            case .discarding: return
            }
            try send(.discard(id))
        } catch {
            // The launcher is gone, and with it everything that it had.
        }
    }
}

extension LauncherSession.State {
    /// Follows what the launcher says.
    fileprivate mutating func note(_ event: LauncherEvent) {
        switch event {
        case .noUser: phase = .unknown
        case .ended: phase = .ended
        case .taken: phase = .taken
        case .refused, .kept: phase = .failed
        case .discarded: phase = .unknown
        case .ready, .unable, .reloaded, .prepared, .started, .phase, .published, .trashed, .locked,
            .lockBusy, .unlocked, .nameRefused, .quarantined:
            break
        }
    }
}
