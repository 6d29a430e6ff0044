import DaemonWire
import Glibc
import SystemCalls

/// The bytes that a client sends.
struct SocketSource: ByteSource {
    let socket: SharedDescriptor

    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int {
        do {
            return try socket.withNumber { (number) throws(SystemError) in
                try check("read") { read(number, buffer.baseAddress, buffer.count) }
            }
        } catch {
            throw .stream(errno: error.errno)
        }
    }
}

/// A connected client: a reader of what it sends, and a way to send.
///
/// One thread uses it.
final class Peer {
    let socket: SharedDescriptor
    var reader: WireReader<SocketSource>

    init(_ socket: SharedDescriptor) {
        self.socket = socket
        reader = WireReader(SocketSource(socket: socket))
    }

    /// Sends all bytes; blocks while the client does not read.
    func send(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var rest = bytes[...]
        do {
            while !rest.isEmpty {
                let piece = UnsafeRawBufferPointer(rebasing: rest)
                let count = try socket.withNumber { (number) throws(SystemError) in
                    try check("send") {
                        Glibc.send(number, piece.baseAddress, piece.count, CInt(MSG_NOSIGNAL))
                    }
                }
                rest = rest.dropFirst(count)
            }
        } catch {
            throw .stream(errno: error.errno)
        }
    }

    /// Sends what a writer has gathered.
    func send(_ writer: inout WireWriter) throws(WireError) {
        let bytes = writer.take()
        let sent = bytes.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try send(bytes) }
        }
        try sent.get()
    }
}

/// The bytes of a framed stream, read from the client as they are wanted.
struct FramedSource: ByteSource {
    let peer: Peer
    private let state = State()

    private final class State {
        var left = 0
        var isOver = false
    }

    init(_ peer: Peer) { self.peer = peer }

    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int {
        try beginFrame()
        guard !state.isOver else { return 0 }
        let bytes = try peer.reader.bytes(min(state.left, buffer.count))
        state.left -= bytes.count
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    /// Reads and forgets the rest, so that the connection stays usable.
    func drain() throws(WireError) {
        while true {
            try beginFrame()
            guard !state.isOver else { return }
            let bytes = try peer.reader.bytes(min(state.left, 1 << 16))
            state.left -= bytes.count
        }
    }

    private func beginFrame() throws(WireError) {
        guard state.left == 0, !state.isOver else { return }
        state.left = Int(try peer.reader.integer(limit: WireLimits.frame))
        state.isOver = state.left == 0
    }
}
