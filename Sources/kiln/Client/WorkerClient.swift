import DaemonWire
import Glibc
import StoreModel

/// The client's side of one connection of the worker protocol.
///
/// Every request blocks the calling thread until it is answered; what the other side says meanwhile goes
/// to ``onMessage``. One thread owns it.
///
/// Source: `reference/daemon-protocol.md` §2, §3.
final class WorkerClient {
    /// The oldest version that has everything the command asks for.
    static let oldest = ProtocolVersion(minor: 34)

    let channel: StreamChannel
    /// The store directory and version of the connection.
    let context: WireContext
    /// What the other side said of itself.
    let daemon: Handshake.DaemonInfo
    private var reader: WireReader<StreamChannel>
    /// Takes log lines and activities as they come.
    var onMessage: (StderrMessage) -> Void

    /// Greets the other side.
    ///
    /// - Parameters:
    ///   - channel: A fresh connection.
    ///   - store: The directory that all paths are in.
    ///   - onMessage: Takes log lines and activities.
    /// - Throws: ``ClientError`` when the other side speaks another protocol, too old a version, or refuses.
    init(
        _ channel: StreamChannel, store: StoreDirectory = .standard,
        onMessage: @escaping (StderrMessage) -> Void = { _ in }
    ) throws(ClientError) {
        self.channel = channel
        self.onMessage = onMessage
        var reader = WireReader(channel)
        var writer = WireWriter()
        writer.clientHello()
        try channel.send(&writer)
        let version = try wire { () throws(WireError) in try reader.daemonHello() }
        guard version >= Self.oldest else { throw .tooOld(version) }
        writer.features([], version)
        if !writer.bytes.isEmpty {
            try channel.send(&writer)
            _ = try wire { () throws(WireError) in try reader.features(version) }
        }
        writer.clientRest(version)
        try channel.send(&writer)
        daemon = try wire { () throws(WireError) in try reader.daemonInfo(version) }
        context = WireContext(store: store, version: version)
        self.reader = reader
        try awaitAnswer()
    }

    /// Asks for something and reads the reply.
    ///
    /// - Parameters:
    ///   - request: What is asked.
    ///   - upload: Sends the stream that follows the request.
    ///   - reply: Reads the reply.
    /// - Returns: The reply.
    /// - Throws: ``ClientError``; the connection can be used again after ``ClientError/refused(_:traces:)``.
    func ask<R>(
        _ request: WorkerRequest, upload: ((FrameSender) throws(ClientError) -> Void)? = nil,
        _ reply: (inout WireReader<StreamChannel>, WireContext) throws(WireError) -> R
    ) throws(ClientError) -> R {
        var writer = WireWriter()
        writer.request(request, context)
        do {
            try channel.send(&writer)
            if let upload { try send(upload) }
        } catch .closed {
            // The other side may have said why before it went.
            try awaitAnswer()
            throw .closed
        }
        try awaitAnswer()
        return try read(reply)
    }

    /// Reads a part of a reply.
    func read<R>(
        _ body: (inout WireReader<StreamChannel>, WireContext) throws(WireError) -> R
    ) throws(ClientError) -> R {
        do {
            return try body(&reader, context)
        } catch {
            throw ClientError(error)
        }
    }

    /// Passes messages on until the work is done.
    private func awaitAnswer() throws(ClientError) {
        while try !takeMessage() {}
    }

    /// Takes one message.
    ///
    /// - Returns: Whether the work is done.
    private func takeMessage() throws(ClientError) -> Bool {
        let message = try read { (reader, context) throws(WireError) in
            try reader.message(context)
        }
        switch message {
        case .last: return true
        case .error(_, let message, let traces):
            throw .refused(plainText(message), traces: traces.map(plainText))
        case .read: throw .unexpected("a request for data")
        case .write: throw .unexpected("data")
        case .line, .startActivity, .stopActivity, .result:
            onMessage(message)
            return false
        }
    }

    /// Sends a framed stream; what the other side says meanwhile is heard between two frames.
    private func send(_ upload: (FrameSender) throws(ClientError) -> Void) throws(ClientError) {
        let frames = FrameSender(channel) { [self] () throws(ClientError) in
            if try takeMessage() { throw .unexpected("an answer in the middle of an upload") }
        }
        do {
            try upload(frames)
        } catch {
            // Half an upload must never look like a whole one, so it is not ended but broken off.
            if case .refused = error { try frames.end() } else { channel.abort() }
            throw error
        }
        try frames.end()
    }
}

extension StreamChannel {
    /// Sends everything that was written.
    func send(_ writer: inout WireWriter) throws(ClientError) {
        let bytes = writer.take()
        do {
            try bytes.borrowed { (bytes) throws(WireError) in try send(bytes) }
        } catch {
            throw ClientError(error)
        }
    }
}
