import ArgumentParser
import DaemonWire
import Glibc
import StoreModel
import SystemCalls

/// Something that did not work although the command was asked rightly; ends it with status 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// One connection to whoever serves a store: the daemon that listens there, or else an engine of our own.
final class Session {
    /// How long everything may take to end after the user wants to stop, in milliseconds.
    private static let patience: UInt64 = 2000

    let client: WorkerClient
    let root: StoreRoot
    private let engine: EngineProcess?

    private init(client: WorkerClient, root: StoreRoot, engine: EngineProcess?) {
        self.client = client
        self.root = root
        self.engine = engine
    }

    /// Connects.
    ///
    /// - Parameter options: What an engine is told if one must be started.
    /// - Returns: The session; what the other side says is printed unless its client has another listener.
    /// - Throws: ``CommandFailure`` when nobody answers, with the fate of the engine that was started.
    static func open(_ options: EngineOptions) throws -> Session {
        let interruption: Interruption
        do {
            interruption = try Interruption.install()
        } catch {
            throw CommandFailure("\(error)")
        }
        if let daemon = try connect(to: options.root.socket) {
            let channel = StreamChannel(daemon.take(), interruption: interruption)
            return try greet(channel, root: options.root, engine: nil)
        }
        do {
            let engine = try EngineProcess.start(options)
            let channel = StreamChannel(engine.takeConnection(), interruption: interruption)
            return try greet(channel, root: options.root, engine: engine)
        } catch let error as SystemError {
            throw CommandFailure("the engine cannot be started: \(error)")
        }
    }

    /// Does something with the connection and ends it, whatever comes of it.
    ///
    /// - Throws: What `body` throws; a connection that ended is told with the engine's fate, and the user's
    ///   wish to stop ends the command with status 130 when everything is dead.
    func run<R>(_ body: () throws -> R) throws -> R {
        do {
            let result = try body()
            try finish()
            return result
        } catch let error as ClientError {
            throw Self.failure(of: error, client.channel, engine)
        } catch {
            try finish()
            throw error
        }
    }

    private static func greet(
        _ channel: StreamChannel, root: StoreRoot, engine: EngineProcess?
    ) throws -> Session {
        do {
            let client = try WorkerClient(channel) { message in
                if case .line(let text) = message { printError(plainText(text)) }
            }
            try client.setOptions(ClientOptions(verbosity: 2))
            return Session(client: client, root: root, engine: engine)
        } catch {
            throw failure(of: error, channel, engine)
        }
    }

    /// Ends the connection and waits for the engine.
    private func finish() throws {
        client.channel.finishSending()
        guard let engine else { return }
        _ = client.channel.waitForEnd(milliseconds: nil)
        if let fate = engine.wait(), fate != .exited(0) {
            throw CommandFailure("the engine \(fate) after its work")
        }
    }

    /// What the command ends with after `error`; the connection is over then.
    private static func failure(
        of error: ClientError, _ channel: StreamChannel, _ engine: EngineProcess?
    ) -> any Error {
        channel.finishSending()
        let hasEnded = channel.waitForEnd(milliseconds: patience)
        let fate = engine?.wait(milliseconds: hasEnded ? patience : 0)
        switch error {
        case .interrupted:
            if let engine, fate == nil {
                printError("interrupted; the engine (process \(engine.id)) is still ending builds")
            } else {
                printError("interrupted")
            }
            return ExitCode(130)
        // It has said why it does not work here.
        case .closed where fate == .exited(1): return ExitCode(1)
        case .closed where fate == .exited(2): return ExitCode(2)
        case .closed where engine != nil:
            return CommandFailure(
                fate.map { "the engine \($0) before it answered" }
                    ?? "the engine closed the connection before it answered, and still runs")
        case .source, .changed: return InputError("\(error)")
        default: return CommandFailure("\(error)")
        }
    }

    /// Connects to a daemon's socket; nothing if none listens there.
    private static func connect(to path: String) throws -> DescriptorBox? {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let number = try check("socket") { socket(AF_UNIX, type, 0) }
        let descriptor = OwnedDescriptor(takingOwnershipOf: number)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        var name = [UInt8](path.utf8)
        var directory: CInt = -1
        defer { if directory >= 0 { close(directory) } }
        if name.count >= capacity {
            // A longer path fits through the descriptor of its directory.
            let parent = String(path.dropLast("/socket".utf8.count))
            directory = Glibc.open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard directory >= 0 else {
                if errno == ENOENT || errno == ENOTDIR { return nil }
                throw CommandFailure("\(SystemError(call: "open", path: parent, errno: errno))")
            }
            name = [UInt8]("/proc/self/fd/\(directory)/socket".utf8)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let code = errno
        if result == 0 { return DescriptorBox(descriptor) }
        if code == ENOENT || code == ECONNREFUSED || code == ENOTDIR { return nil }
        throw CommandFailure(
            "a daemon's socket is there but cannot be used: "
                + "\(SystemError(call: "connect", path: path, errno: code))")
    }
}

/// Carries a descriptor through an optional.
private final class DescriptorBox {
    private var descriptor: OwnedDescriptor?

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = .some(consume descriptor)
    }

    func take() -> OwnedDescriptor {
        guard let taken = descriptor.take() else { preconditionFailure("it is taken once") }
        return taken
    }
}
