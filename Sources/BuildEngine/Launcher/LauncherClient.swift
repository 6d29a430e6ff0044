import LaunchModel
import Synchronization
import SystemCalls

/// What the launcher told, with the descriptors that came along.
struct LauncherMessage: Sendable {
    let event: LauncherEvent
    let descriptors: [SharedDescriptor]
}

/// The engine's side of the conversation with the launcher.
///
/// One thread reads events and hands each to whoever waits for it: builds by number, locks and removals
/// by name. When the conversation ends, everybody who waits is told so, and nobody can ask any more.
final class LauncherClient: Sendable {
    /// What came of a request about a name.
    enum NameReply: Sendable {
        case message(LauncherMessage)
        case gone(EngineError)
    }

    private struct State {
        var sessions: [BuildID: LauncherSession] = [:]
        var names: [StoreObjectName: @Sendable (NameReply) -> Void] = [:]
        /// Begins anywhere, so that engines that share an incoming directory have numbers of their own.
        var nextBuild = UInt64.random(in: 1...(1 << 62))
        var end: EngineError?
        var whenIdle: [Promise<Void>] = []
        var isShuttingDown = false
        var reader: Thread?

        /// Whether the launcher has nothing of any session; one that it never heard of may stay.
        var isIdle: Bool { sessions.values.allSatisfy { $0.phase == .unknown } }
    }

    private let socket: PacketSocket
    private let policies: CurrentPolicies
    private let whenQuarantined: @Sendable (QuarantinedUser) -> Void
    private let state = Mutex(State())
    /// Fulfilled once with the first packet, or with the end that came before it.
    private let readiness = Promise<EngineError?>()
    let users = UserQueue()

    /// Takes the conversation over and starts to listen.
    ///
    /// - Parameters:
    ///   - descriptor: The engine's end.
    ///   - policies: What new policies become.
    ///   - whenQuarantined: Is told of users that are lent no more, on the thread that reads; must not block.
    init(
        _ descriptor: consuming OwnedDescriptor, policies: CurrentPolicies,
        whenQuarantined: @escaping @Sendable (QuarantinedUser) -> Void
    ) {
        socket = PacketSocket(descriptor)
        self.policies = policies
        self.whenQuarantined = whenQuarantined
        let reader = Thread { [self] in listen() }
        state.withLock { $0.reader = reader }
    }

    /// Waits for the launcher's first packet.
    func waitUntilReady() throws(EngineError) {
        if let error = readiness.wait() { throw error }
    }

    /// A new build, or a new tree to adopt, with a number that no engine of the store used.
    func session() throws(EngineError) -> LauncherSession {
        let inbox: Inbox<LauncherSession.News>
        do {
            inbox = try Inbox()
        } catch {
            throw .system(error)
        }
        let result = state.withLock { state -> Result<LauncherSession, EngineError> in
            if let end = state.end { return .failure(end) }
            if state.isShuttingDown { return .failure(.shuttingDown) }
            let id = BuildID(rawValue: state.nextBuild)
            state.nextBuild += 1
            let session = LauncherSession(id, inbox: inbox, client: self)
            state.sessions[id] = session
            return .success(session)
        }
        return try result.get()
    }

    /// Forgets a session that the launcher never heard of.
    func forget(_ build: BuildID) {
        let idle = state.withLock { state in
            state.sessions[build] = nil
            return takeIdle(&state)
        }
        for promise in idle { promise.fulfil(()) }
    }

    /// Sends a request of a build.
    func send(_ request: LauncherRequest, descriptors: [CInt] = []) throws(EngineError) {
        if let end = state.withLock({ $0.end }) { throw end }
        do {
            try socket.send(request.encoded, descriptors: descriptors)
        } catch {
            // The reading thread sees the end too; what it says is not more than this.
            throw .launcherGone("\(error)")
        }
    }

    /// Sends a request about a name; `reply` is called once, on another thread, and must not block.
    ///
    /// Only one request for a name may be under way.
    func ask(
        about name: StoreObjectName, _ request: LauncherRequest,
        reply: @escaping @Sendable (NameReply) -> Void
    ) {
        let end = state.withLock { state -> EngineError? in
            guard state.end == nil else { return state.end }
            let previous = state.names.updateValue(reply, forKey: name)
            precondition(previous == nil, "two requests for one name")
            return nil
        }
        if let end {
            reply(.gone(end))
            return
        }
        do {
            try send(request)
        } catch {
            guard let reply = state.withLock({ $0.names.removeValue(forKey: name) }) else { return }
            reply(.gone(error))
        }
    }

    /// Waits until no build is left, then ends the conversation.
    func shutDown() {
        let promise = Promise<Void>()
        let isIdle = state.withLock { state in
            state.isShuttingDown = true
            if state.isIdle { return true }
            state.whenIdle.append(promise)
            return false
        }
        if !isIdle { promise.wait() }
        socket.shutDown()
        let reader = state.withLock { state in
            let reader = state.reader
            state.reader = nil
            return reader
        }
        reader?.join()
    }

    // MARK: The thread that reads

    private func listen() {
        var isReady = false
        while true {
            let message: LauncherMessage
            do throws(EngineError) {
                message = try receive()
            } catch {
                finish(error)
                return
            }
            switch message.event {
            case .ready where !isReady:
                isReady = true
                readiness.fulfil(nil)
            case .unable(let refusal) where !isReady:
                finish(.launcherUnable(refusal))
                return
            case .reloaded(let generation) where isReady:
                // Whatever the launcher refuses from here on as too old comes behind this.
                do throws(EngineError) {
                    try policies.replace(generation, from: message.descriptors[0])
                } catch {
                    finish(error)
                    return
                }
            case let event where isReady && route(message, event): continue
            case let event:
                finish(.launcherGone("it said '\(event)' when that has no meaning"))
                return
            }
        }
    }

    private func receive() throws(EngineError) -> LauncherMessage {
        let packet: ReceivedPacket
        do {
            packet = try socket.receive(limit: LauncherRequest.packetLimit)
        } catch {
            throw .launcherGone("\(error)")
        }
        guard !packet.bytes.isEmpty else { throw .launcherGone("it closed the conversation") }
        do {
            let event = try LauncherEvent(decoding: packet.bytes)
            guard event.descriptorCount == packet.descriptors.count else {
                throw EngineError.launcherGone(
                    "\(packet.descriptors.count) descriptors came with '\(event)'")
            }
            return LauncherMessage(event: event, descriptors: packet.descriptors)
        } catch let error as EngineError {
            throw error
        } catch {
            throw .launcherGone("it sent what is no event: \(error)")
        }
    }

    /// Hands an event to whoever waits for it; false if nobody does.
    private func route(_ message: LauncherMessage, _ event: LauncherEvent) -> Bool {
        switch event {
        case .prepared(let build, _), .noUser(let build), .started(let build), .ended(let build, _),
            .phase(let build, _), .taken(let build, _), .published(let build, _),
            .refused(let build, _), .kept(let build, _):
            guard let session = state.withLock({ $0.sessions[build] }) else { return false }
            session.deliver(.message(message))
            return true
        case .discarded(let build):
            let (session, idle) = state.withLock { state in
                let session = state.sessions.removeValue(forKey: build)
                return (session, takeIdle(&state))
            }
            users.noteFreedUser()
            session?.deliver(.message(message))
            for promise in idle { promise.fulfil(()) }
            return session != nil
        case .trashed(let name), .locked(let name), .lockBusy(let name), .unlocked(let name),
            .nameRefused(let name, _):
            guard let reply = state.withLock({ $0.names.removeValue(forKey: name) }) else {
                return false
            }
            reply(.message(message))
            return true
        case .quarantined(let user, let processes):
            whenQuarantined(QuarantinedUser(user: user, processes: processes))
            return true
        case .ready, .unable, .reloaded: return false
        }
    }

    private func takeIdle(_ state: inout State) -> [Promise<Void>] {
        guard state.isIdle else { return [] }
        let promises = state.whenIdle
        state.whenIdle = []
        return promises
    }

    private func finish(_ error: EngineError) {
        socket.shutDown()
        let (sessions, names, idle) = state.withLock { state in
            state.end = error
            let sessions = [LauncherSession](state.sessions.values)
            let names = state.names.values.map { $0 }
            state.sessions = [:]
            state.names = [:]
            return (sessions, names, takeIdle(&state))
        }
        readiness.fulfil(error)
        for session in sessions { session.deliver(.gone(error)) }
        for reply in names { reply(.gone(error)) }
        for promise in idle { promise.fulfil(()) }
        users.noteFreedUser()
    }
}
