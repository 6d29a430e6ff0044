import DaemonWire
import Glibc
import StoreModel
import SystemCalls

/// Tells on standard error how builds go.
final class ProgressDisplay {
    /// How much is told.
    enum Detail: Hashable, Sendable {
        /// Failures only.
        case quiet
        /// What is being built.
        case normal
        /// And what the daemon says besides.
        case verbose

        /// The level at which a daemon is asked to talk.
        var verbosity: UInt64 {
            switch self {
            case .quiet: 0
            case .normal: 3
            case .verbose: 5
            }
        }
    }

    /// How often the view is drawn at most, in milliseconds.
    private static let interval: UInt64 = 100

    private let detail: Detail
    private let printsLogs: Bool
    private let isLive: Bool
    private let start = monotonicMilliseconds()
    private var screen = ViewScreen()
    private var lastDrawn: UInt64 = 0
    /// What is known.
    private(set) var state = ProgressState()

    /// Tells nothing yet.
    ///
    /// - Parameters:
    ///   - detail: How much is told.
    ///   - printsLogs: Whether every line of every log is.
    init(_ detail: Detail, printsLogs: Bool) {
        self.detail = detail
        self.printsLogs = printsLogs
        isLive = detail != .quiet && Terminal.current() != nil
    }

    /// Says how many derivations there are to build.
    func expect(_ count: Int) {
        state.expected = count
        draw()
    }

    /// Takes a message of the daemon.
    func handle(_ message: StderrMessage) {
        let news = state.handle(message, now: monotonicMilliseconds())
        var lines: [String] = []
        switch news {
        case .started(let derivation) where !isLive && detail != .quiet:
            lines.append("building \(shortName(of: derivation))…")
        case .log(let derivation, let line) where printsLogs:
            lines.append("\(shortName(of: derivation))> \(line)")
        case .line(let text): lines.append(text)
        case .started, .log, nil: break
        }
        if lines.isEmpty { tick() } else { tell(lines) }
    }

    /// Draws the view again if it is old.
    func tick() {
        if isLive, monotonicMilliseconds() >= lastDrawn + Self.interval { draw() }
    }

    /// Takes the view away.
    func finish() {
        guard isLive, let terminal = Terminal.current() else { return }
        put(screen.erase(on: terminal))
    }

    private func draw() { tell([]) }

    private func tell(_ lines: [String]) {
        guard isLive, let terminal = Terminal.current() else {
            for line in lines { put(line + "\n") }
            return
        }
        let now = monotonicMilliseconds()
        // Logs may come faster than anybody reads; they go above a view that need not be newer for it.
        lastDrawn = now
        put(
            screen.show(
                view(of: state, on: terminal, start: start, now: now), below: lines, on: terminal))
    }

    private func put(_ text: String) {
        guard !text.isEmpty else { return }
        do {
            try writeAll([UInt8](text.utf8), to: STDERR_FILENO, called: "standard error")
        } catch {
            // There is nobody left to tell when standard error itself cannot be written.
            return
        }
    }
}
