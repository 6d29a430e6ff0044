import Glibc
import SystemCalls

/// The user's wish to stop: SIGINT or SIGTERM.
///
/// The first signal makes a descriptor readable, which every wait looks at; the second ends the command
/// at once. A signal handler belongs to the process, so there is one of these.
final class Interruption: Sendable {
    /// Readable from the first signal on.
    let number: CInt

    private init(number: CInt) { self.number = number }

    /// Whether the user wants to stop.
    var isRequested: Bool { signalsSeen > 0 }

    /// Catches the signals.
    ///
    /// - Throws: ``SystemError`` when there is no descriptor for it.
    static func install() throws(SystemError) -> Interruption {
        var ends: [CInt] = [-1, -1]
        let type =
            CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        // Both ends stay open for as long as the process is there.
        wakeNumber = ends[1]
        for signal in [SIGINT, SIGTERM] {
            // A shell that starts a command in the background has it ignore SIGINT, and so it shall.
            let previous = Glibc.signal(signal, onSignal)
            if let previous, unsafeBitCast(previous, to: Int.self) == 1 {
                Glibc.signal(signal, SIG_IGN)
            }
        }
        // A terminal that has stopped takes nothing more and blocks whoever writes to it: then this is how
        // the command ends, and its engine, which sees that, ends the builds.
        Glibc.signal(SIGALRM) { _ in _exit(130) }
        return Interruption(number: ends[0])
    }
}

/// Only numbers, because a handler may interrupt anything; written before the handler is set, and then
/// by the handler only.
nonisolated(unsafe) private var wakeNumber: CInt = -1
nonisolated(unsafe) private var signalsSeen: CInt = 0

/// How long an orderly end may take, in seconds.
private let patience: UInt32 = 5

private func onSignal(_: CInt) {
    if signalsSeen > 0 { _exit(130) }
    signalsSeen = 1
    let saved = errno
    var one: UInt8 = 1
    // There is room for the only message, and a handler could tell nobody.
    _ = write(wakeNumber, &one, 1)
    _ = alarm(patience)
    errno = saved
}
