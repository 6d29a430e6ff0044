public import Goals
import LocalStore
import Synchronization
import SystemCalls

/// One call of a client that is under way.
///
/// The engine puts news in and never waits for the client: of one that does not read, log lines are
/// dropped and counted.
public final class BuildRequest: Sendable {
    /// The most bytes of log lines that wait for a client.
    static let waitingLimit = 4 << 20

    private struct Waiting {
        var bytes = 0
        var dropped: [ActivityID: Int] = [:]
        var progress: BuildProgress?
    }

    let id: RequestID
    let options: RequestOptions
    /// What keeps alive what is built for it; nothing means the store, until the engine ends.
    let roots: TemporaryRoots?
    private let inbox: Inbox<BuildNews>
    private let waiting = Mutex(Waiting())
    private let withdraw: @Sendable (RequestID) -> Void

    init(
        _ id: RequestID, options: RequestOptions, roots: TemporaryRoots?,
        withdraw: @escaping @Sendable (RequestID) -> Void
    ) throws(EngineError) {
        self.id = id
        self.options = options
        self.roots = roots
        self.withdraw = withdraw
        do {
            inbox = try Inbox()
        } catch {
            throw .system(error)
        }
    }

    /// Withdraws the request: builds that nobody else wants are killed.
    public func cancel() { withdraw(id) }

    /// Lends the descriptor that is readable while news waits.
    public func withDescriptor<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try inbox.withNumber(body)
    }

    /// The news since the last call; never waits.
    public func news() -> [BuildNews] {
        let news = inbox.take()
        let (progress, dropped) = waiting.withLock { waiting in
            let taken = (waiting.progress, waiting.dropped)
            waiting = Waiting()
            return taken
        }
        var all: [BuildNews] = dropped.map { .linesDropped($0.key, $0.value) }
        if let progress { all.append(.progress(progress)) }
        // The end stays the last.
        return all.isEmpty ? news : merge(news, all)
    }

    private func merge(_ news: [BuildNews], _ more: [BuildNews]) -> [BuildNews] {
        guard let last = news.last, case .finished = last else { return news + more }
        return news.dropLast() + more + [last]
    }

    /// Waits for the end, without looking at other news.
    public func wait() throws(EngineError) -> [Outcome] {
        while true {
            do throws(SystemError) {
                try inbox.wait()
            } catch {
                throw .system(error)
            }
            for case .finished(let outcomes) in news() { return outcomes }
        }
    }

    /// Tells the client something.
    func tell(_ news: BuildNews) {
        switch news {
        case .line(let activity, let line):
            let fits = waiting.withLock { waiting in
                guard waiting.bytes + line.count <= Self.waitingLimit else {
                    waiting.dropped[activity, default: 0] += 1
                    return false
                }
                // A line costs more than its bytes.
                waiting.bytes += line.count + 64
                return true
            }
            if fits { inbox.push(news) }
        case .progress(let progress):
            // Only the newest numbers matter; whatever happens next takes them along.
            waiting.withLock { $0.progress = progress }
        case .started, .linesDropped, .stopped, .finished: inbox.push(news)
        }
    }
}
