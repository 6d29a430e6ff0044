import DaemonWire
import Glibc
import SystemCalls

/// The command's end of a stream to an engine or a daemon.
///
/// One thread owns it. It never waits without looking: while it waits, it notices that the user wants
/// to stop, lets a progress view move on, and, when the peer does not take what is sent, takes what the
/// peer has to say meanwhile, so that neither side can wait for the other for ever.
final class StreamChannel: ByteSource {
    /// How much of what the peer says is kept while it does not take what we send.
    private static let aheadLimit = 1 << 20
    /// How long the view may stand still, in milliseconds.
    private static let tick: CInt = 100

    private let descriptor: OwnedDescriptor
    private let interruption: Interruption?
    private var ahead: [UInt8] = []
    private var aheadStart = 0
    /// Called about ten times a second while nothing happens.
    var whileWaiting: (() -> Void)?

    /// Speaks over a connected stream socket.
    ///
    /// - Parameters:
    ///   - descriptor: The socket.
    ///   - interruption: What to look at while waiting.
    init(_ descriptor: consuming OwnedDescriptor, interruption: Interruption? = nil) {
        self.descriptor = descriptor
        self.interruption = interruption
    }

    func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int {
        if aheadStart < ahead.count {
            let piece = ahead[aheadStart...].prefix(buffer.count)
            buffer.copyBytes(from: piece)
            aheadStart += piece.count
            if aheadStart == ahead.count {
                ahead.removeAll()
                aheadStart = 0
            }
            return piece.count
        }
        while true {
            if interruption?.isRequested == true { throw .stream(errno: ECANCELED) }
            if let count = try receive(buffer) { return count }
            _ = try wait(for: POLLIN)
        }
    }

    /// Sends all of `bytes`.
    ///
    /// - Throws: ``WireError/stream(errno:)``; `ECANCELED` when the user wants to stop.
    func send(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = descriptor.withNumber {
                Glibc.send($0, piece.baseAddress, piece.count, dontWait | noSignal)
            }
            let code = errno
            if count >= 0 {
                rest = rest.dropFirst(count)
                if interruption?.isRequested == true { throw .stream(errno: ECANCELED) }
            } else if code == EAGAIN {
                let hasRoom = ahead.count < Self.aheadLimit
                if try wait(for: hasRoom ? POLLIN | POLLOUT : POLLOUT) & POLLIN != 0, hasRoom {
                    try readAhead()
                }
            } else if code != EINTR {
                throw .stream(errno: code)
            }
        }
    }

    /// Whether the peer has said something that was not read yet; does not wait.
    func hasInput() throws(WireError) -> Bool {
        if aheadStart < ahead.count { return true }
        var poll = pollfd(fd: descriptor.withNumber { $0 }, events: Int16(POLLIN), revents: 0)
        return try Self.poll(&poll, count: 1, timeout: 0) > 0
    }

    /// Says that nothing more will be sent.
    func finishSending() { end(CInt(SHUT_WR)) }

    /// Ends both directions at once.
    func abort() { end(CInt(SHUT_RDWR)) }

    /// Drops what still comes until the peer closes its end, for at most so long.
    ///
    /// - Parameter milliseconds: How long; nothing means until it does.
    /// - Returns: Whether the peer closed it.
    func waitForEnd(milliseconds: UInt64?) -> Bool {
        ahead.removeAll()
        aheadStart = 0
        let deadline = milliseconds.map { monotonicMilliseconds() + $0 }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let left = deadline.map { $0 - min($0, monotonicMilliseconds()) }
            if left == 0 { return false }
            var poll = pollfd(fd: descriptor.withNumber { $0 }, events: Int16(POLLIN), revents: 0)
            do {
                let timeout = left.map { CInt(clamping: $0) } ?? -1
                guard try Self.poll(&poll, count: 1, timeout: timeout) > 0 else { continue }
                let count = try buffer.lent { (bytes) throws(WireError) in
                    try receive(bytes)
                }
                if count == 0 { return true }
            } catch {
                // A connection that fails has ended too.
                return true
            }
        }
    }

    private func end(_ direction: CInt) {
        // A peer that is gone already makes this fail, and then there is nothing left to end.
        _ = descriptor.withNumber { shutdown($0, direction) }
    }

    /// Takes what is there; nothing if there is nothing yet, 0 at the end.
    private func receive(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int? {
        while true {
            let count = descriptor.withNumber {
                recv($0, buffer.baseAddress, buffer.count, dontWait)
            }
            let code = errno
            if count >= 0 { return count }
            if code == EAGAIN { return nil }
            if code != EINTR { throw .stream(errno: code) }
        }
    }

    private func readAhead() throws(WireError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = try buffer.lent { (bytes) throws(WireError) in
            try receive(bytes)
        }
        // A peer that has closed its end is noticed by the next send.
        ahead += buffer.prefix(count ?? 0)
    }

    private func wait(for events: CInt) throws(WireError) -> CInt {
        var polls = [
            pollfd(fd: descriptor.withNumber { $0 }, events: Int16(events), revents: 0),
            pollfd(fd: interruption?.number ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let timeout = whileWaiting == nil ? -1 : Self.tick
            if try Self.poll(&polls, count: 2, timeout: timeout) == 0 {
                whileWaiting?()
                continue
            }
            if polls[1].revents != 0 { throw .stream(errno: ECANCELED) }
            // An end or an error is for the call that follows to find.
            return CInt(polls[0].revents) & POLLIN != 0 || CInt(polls[0].revents) & POLLHUP == 0
                ? CInt(polls[0].revents) : POLLIN
        }
    }

    private static func poll(
        _ polls: UnsafeMutablePointer<pollfd>, count: nfds_t, timeout: CInt
    ) throws(WireError) -> CInt {
        do {
            return try check("poll") { Glibc.poll(polls, count, timeout) }
        } catch {
            throw .stream(errno: error.errno)
        }
    }
}

private let dontWait = CInt(MSG_DONTWAIT)
private let noSignal = CInt(MSG_NOSIGNAL)

extension Array where Element == UInt8 {
    /// The bytes for as long as `body` runs, with its own type of error.
    func borrowed<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try withUnsafeBytes { bytes in Result { () throws(E) in try body(bytes) } }.get()
    }

    /// The bytes to change for as long as `body` runs, with its own type of error.
    mutating func lent<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try withUnsafeMutableBytes { bytes in Result { () throws(E) in try body(bytes) } }.get()
    }
}

/// The time since the machine started, in milliseconds.
func monotonicMilliseconds() -> UInt64 {
    var time = timespec()
    guard clock_gettime(CLOCK_MONOTONIC, &time) == 0 else {
        preconditionFailure("Linux always has this clock")
    }
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
}
