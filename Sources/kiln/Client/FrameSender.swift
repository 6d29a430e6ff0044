import DaemonWire

/// Sends a stream in frames, gathering small pieces.
final class FrameSender {
    /// A frame is sent when it has this many bytes.
    private static let frameSize = 1 << 16

    private let channel: StreamChannel
    private let listen: () throws(ClientError) -> Void
    private var pending: [UInt8] = []

    /// Starts a stream.
    ///
    /// - Parameters:
    ///   - channel: Where frames go.
    ///   - listen: Takes one message; called between frames when there is one.
    init(_ channel: StreamChannel, listen: @escaping () throws(ClientError) -> Void) {
        self.channel = channel
        self.listen = listen
    }

    /// Adds the next bytes.
    func send(_ bytes: UnsafeRawBufferPointer) throws(ClientError) {
        if pending.count + bytes.count < Self.frameSize {
            pending += bytes
            return
        }
        try flush()
        if bytes.count < Self.frameSize { pending += bytes } else { try frame(bytes) }
    }

    /// Adds the next bytes.
    func send(_ bytes: [UInt8]) throws(ClientError) {
        try bytes.borrowed { (bytes) throws(ClientError) in try send(bytes) }
    }

    /// Ends the stream.
    func end() throws(ClientError) {
        try flush()
        var writer = WireWriter()
        writer.integer(0)
        try channel.send(&writer)
    }

    private func flush() throws(ClientError) {
        guard !pending.isEmpty else { return }
        let piece = pending
        pending.removeAll(keepingCapacity: true)
        try piece.borrowed { (bytes) throws(ClientError) in try frame(bytes) }
    }

    private func frame(_ bytes: UnsafeRawBufferPointer) throws(ClientError) {
        while try wire({ () throws(WireError) in try channel.hasInput() }) { try listen() }
        var header = WireWriter()
        header.integer(UInt64(bytes.count))
        try channel.send(&header)
        try wire { () throws(WireError) in try channel.send(bytes) }
    }
}
