public import BuildEngine
public import DaemonWire
public import Goals
import LocalStore
import StoreModel
public import SystemCalls

/// Serves one client until it goes away.
///
/// Blocks its thread: a connection has one. What the client still waits for when it goes is withdrawn, so
/// builds that nobody else wants are killed.
///
/// - Parameters:
///   - connection: A connected stream socket.
///   - engine: Who does the work.
///   - trust: Whether the client may do what only the administrator's friends may.
///   - client: Who build slots are shared fairly between.
///   - version: What clients are told that this daemon is.
/// - Returns: Why the connection ended; nothing if the client closed it between two requests.
@discardableResult
public func serve(
    connection: consuming OwnedDescriptor, engine: Engine, trust: Trust,
    client: ClientID = ClientID(rawValue: 0), version: String = "kiln"
) -> WireError? {
    let session = Session(
        Peer(SharedDescriptor(connection)), engine: engine, trust: trust, client: client)
    do {
        try session.shakeHands(version: version)
        while try !session.peer.reader.isAtEnd() { try session.serveRequest() }
        return nil
    } catch {
        return error
    }
}

/// One client's connection; one thread uses it.
final class Session {
    let peer: Peer
    let engine: Engine
    let trust: Trust
    let client: ClientID
    var context: WireContext
    var options = RequestOptions()
    /// What keeps alive what the client has added or asked for, until it goes.
    let roots: TemporaryRoots?

    init(_ peer: Peer, engine: Engine, trust: Trust, client: ClientID) {
        self.peer = peer
        self.engine = engine
        self.trust = trust
        self.client = client
        do {
            roots = try engine.store.makeTemporaryRoots()
        } catch {
            // With hundreds of clients at once; then the engine keeps things alive, which is longer.
            roots = nil
        }
        context = WireContext(store: engine.configuration.layout.logicalStore)
    }

    var isTrusted: Bool { trust == .trusted }

    /// Agrees on a version with the client.
    func shakeHands(version: String) throws(WireError) {
        try peer.reader.clientMagic()
        var writer = WireWriter()
        writer.daemonHello()
        try peer.send(&writer)
        context.version = try peer.reader.clientVersion()
        writer.features([], context.version)
        try peer.send(&writer)
        _ = try peer.reader.features(context.version)
        try peer.reader.clientRest(context.version)
        writer.daemonInfo(.init(version: version, trust: trust), context.version)
        writer.message(.last, context)
        try peer.send(&writer)
    }

    /// Reads a request and answers it.
    func serveRequest() throws(WireError) {
        let request: WorkerRequest
        do {
            request = try peer.reader.request(context)
        } catch {
            // Where the next request begins is not known now; the client gets to know why.
            try send(.error(level: 0, message: "\(error)", traces: []))
            throw error
        }
        do throws(DaemonError) {
            let reply = try perform(request)
            var writer = WireWriter()
            writer.message(.last, context)
            reply.write(&writer)
            try onConnection { () throws(WireError) in try peer.send(&writer) }
            if let stream = reply.stream { try stream() }
        } catch {
            if case .connection(let error) = error { throw error }
            try send(.error(level: 0, message: error.message, traces: []))
        }
    }

    /// Tells the client something while its request is worked on.
    func send(_ message: StderrMessage) throws(WireError) {
        var writer = WireWriter()
        writer.message(message, context)
        try peer.send(&writer)
    }

    /// What follows the end of the work.
    struct Reply {
        var write: (inout WireWriter) -> Void
        /// Sends what is too much to be gathered; can only fail with the connection.
        var stream: (() throws(DaemonError) -> Void)?

        init(_ write: @escaping (inout WireWriter) -> Void) { self.write = write }

        /// Nothing.
        static var nothing: Reply { Reply { _ in } }
        /// A one, which means that it was done.
        static var done: Reply { Reply { $0.integer(1) } }
    }

    private func perform(_ request: WorkerRequest) throws(DaemonError) -> Reply {
        switch request {
        case .isValidPath, .queryReferrers, .queryAllValidPaths, .queryPathInfo,
            .queryPathFromHashPart, .queryValidPaths, .queryValidDerivers, .narFromPath,
            .queryMissing, .queryDerivationOutputMap, .findRoots:
            return try query(request)
        case .addToStore(let name, let method, let algorithm, let references, let repair):
            return try add(name, method, algorithm, references, repair: repair)
        case .addToStoreNar(let info, let repair, _): return try add(info, repair: repair)
        case .addMultipleToStore(let repair, _): return try addMultiple(repair: repair)
        case .ensurePath(let path):
            guard try inStore({ () throws(LocalStoreError) in try engine.store.isValid(path) })
            else {
                throw .failed(
                    "'\(path)' is not valid, and there is no way to make it so; substitutes are not "
                        + "used here")
            }
            return .done
        case .addTemporaryRoot(let path):
            try inStore { () throws(LocalStoreError) in
                if let roots {
                    try roots.add(path)
                } else {
                    try engine.store.addTemporaryRoot(path)
                }
            }
            return .done
        case .addIndirectRoot(let link):
            guard let link = String(validating: link, as: UTF8.self) else {
                throw .failed("the path of a root should be text in UTF-8")
            }
            try inStore { () throws(LocalStoreError) in
                try engine.store.addIndirectRoot(link: link)
            }
            return .done
        case .setOptions(let options):
            try setOptions(options)
            return .nothing
        case .collectGarbage(let action, let paths, let ignoresLiveness, _):
            return try collect(action, paths, ignoresLiveness: ignoresLiveness)
        case .verifyStore(let checkContents, let repair):
            return try verify(checkContents: checkContents, repair: repair)
        case .buildPaths(let paths, let mode): return try build(paths, mode)
        case .buildPathsWithResults(let paths, let mode):
            return try buildWithResults(paths, mode)
        case .buildDerivation(let path, let derivation, let mode):
            return try build(derivation, at: path, mode)
        }
    }

    private func setOptions(_ wanted: ClientOptions) throws(DaemonError) {
        var options = RequestOptions(
            keepsGoing: wanted.keepsGoing, keepsFailed: wanted.keepsFailed,
            cores: wanted.cores == 0 ? nil : Int(clamping: wanted.cores),
            silence: wanted.maximumSilence)
        for name in ["timeout", "build-timeout"] {
            guard let text = wanted.settings[name] else { continue }
            guard let seconds = UInt64(text) else {
                throw .failed(
                    "the setting '\(name)' should be a number of seconds, and is '\(text)'")
            }
            options.wallTime = seconds
        }
        if let name = wanted.settings["kiln-profile"] {
            let profiles = engine.profiles.byName
            guard let profile = profiles[name] else {
                throw .failed(
                    "there is no profile '\(name)'; these are installed: "
                        + profiles.keys.sorted().joined(separator: ", "))
            }
            guard isTrusted || profile.isOfferedToAll else {
                throw .failed(
                    "only trusted users may ask for the profile '\(name)'; ask the administrator to be "
                        + "one of 'trusted-users'")
            }
            options.profile = name
        }
        self.options = options
    }
}
