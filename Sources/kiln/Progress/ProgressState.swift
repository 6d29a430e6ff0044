import DaemonWire
import StoreModel

/// What is known of the builds that run for the command: a value that messages change.
struct ProgressState: Sendable {
    /// How many lines of a log are kept.
    static let tailLength = 10
    /// How many bytes of one line are kept.
    static let lineLength = 4096
    /// Of how many derivations that ended the last lines are kept.
    static let tailsKept = 256

    /// A build that runs.
    struct Build: Hashable, Sendable {
        /// What the daemon calls it.
        let id: UInt64
        let derivation: StorePath
        /// When it was heard of first, in milliseconds.
        let start: UInt64
        /// What it says it does, such as `buildPhase`.
        var phase: String?
        /// The last lines of its log.
        var tail: [String] = []

        /// The name without hash and `.drv`.
        var name: String { shortName(of: derivation) }
    }

    /// Something to tell at once.
    enum News: Hashable, Sendable {
        case started(StorePath)
        case log(StorePath, line: String)
        case line(String)
    }

    /// How many derivations are to be built in all.
    var expected = 0
    /// The builds that run, oldest first.
    private(set) var running: [Build] = []
    /// How many are done.
    private(set) var done = 0
    /// How many failed.
    private(set) var failed = 0
    private var tails: [StorePath: [String]] = [:]
    private var ended: [StorePath] = []
    /// The activities that count builds.
    private var counters: Set<UInt64> = []
    private var isCounted = false

    /// How many have not begun.
    var waiting: Int { max(0, expected - done - failed - running.count) }

    /// Whether there is anything to show.
    var isBusy: Bool { expected > 0 || !running.isEmpty }

    /// The last lines of a derivation's log, as far as they were heard.
    func tail(of derivation: StorePath) -> [String] {
        running.first { $0.derivation == derivation }?.tail ?? tails[derivation] ?? []
    }

    /// Takes a message.
    ///
    /// - Parameters:
    ///   - message: What the daemon says.
    ///   - now: The time, in milliseconds.
    ///   - store: The directory that paths are in.
    /// - Returns: What should be told.
    mutating func handle(
        _ message: StderrMessage, now: UInt64, store: StoreDirectory = .standard
    ) -> News? {
        switch message {
        case .line(let text):
            return .line(plainText(text))
        case .startActivity(let id, _, let type, _, let fields, _):
            return start(id, type, fields, now: now, store)
        case .stopActivity(let id):
            counters.remove(id)
            stop(id)
        case .result(let id, let type, let fields):
            return result(of: id, type, fields)
        case .read, .write, .last, .error: break
        }
        return nil
    }

    private mutating func start(
        _ id: UInt64, _ type: UInt64, _ fields: [StderrMessage.Field], now: UInt64,
        _ store: StoreDirectory
    ) -> News? {
        switch (type, fields.first) {
        case (ActivityType.builds, _): counters.insert(id)
        case (ActivityType.build, .text(let path)?):
            guard let derivation = storePath(path, in: store) else { return nil }
            running.append(Build(id: id, derivation: derivation, start: now))
            return .started(derivation)
        default: break
        }
        return nil
    }

    private mutating func stop(_ id: UInt64) {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return }
        let build = running.remove(at: index)
        if !isCounted { done += 1 }
        guard !build.tail.isEmpty else { return }
        if tails.updateValue(build.tail, forKey: build.derivation) == nil {
            ended.append(build.derivation)
        }
        if ended.count > Self.tailsKept { tails[ended.removeFirst()] = nil }
    }

    private mutating func result(
        of id: UInt64, _ type: UInt64, _ fields: [StderrMessage.Field]
    ) -> News? {
        switch (type, fields.first) {
        case (ResultType.buildLogLine, .text(let text)?):
            guard let index = running.firstIndex(where: { $0.id == id }) else { return nil }
            let line = plainText(String(decoding: text.utf8.prefix(Self.lineLength), as: UTF8.self))
            running[index].tail.append(line)
            if running[index].tail.count > Self.tailLength { running[index].tail.removeFirst() }
            return .log(running[index].derivation, line: line)
        case (ResultType.phase, .text(let text)?):
            guard let index = running.firstIndex(where: { $0.id == id }) else { return nil }
            running[index].phase = plainText(text)
        case (ResultType.progress, .integer(let done)?):
            guard counters.contains(id), fields.count >= 4, case .integer(let all) = fields[1],
                case .integer(let failed) = fields[3]
            else { return nil }
            isCounted = true
            self.done = Int(clamping: done)
            self.failed = Int(clamping: failed)
            expected = max(expected, Int(clamping: all))
        default: break
        }
        return nil
    }

    private func storePath(_ text: String, in store: StoreDirectory) -> StorePath? {
        do {
            return try store.parse([UInt8](text.utf8))
        } catch {
            // An activity about something else is none that could be shown.
            return nil
        }
    }
}

/// The numbers of activities that are understood here.
///
/// Source: `reference/daemon-protocol.md` §3.
private enum ActivityType {
    static let builds: UInt64 = 104
    static let build: UInt64 = 105
}

/// The numbers of results that are understood here.
private enum ResultType {
    static let buildLogLine: UInt64 = 101
    static let phase: UInt64 = 104
    static let progress: UInt64 = 105
}

/// The name of an object or derivation for people: without hash, and without `.drv`.
func shortName(of path: StorePath) -> String {
    path.isDerivation ? String(path.objectName.dropLast(4)) : path.objectName
}
