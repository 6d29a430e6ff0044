import DequeModule
import Goals
import LaunchModel
import StoreModel
import Synchronization
import SystemCalls

/// The one thread that owns the scheduler.
///
/// Events and requests come through its inbox, effects go to pools of threads. Nothing here blocks but the
/// wait for the next message.
final class EngineLoop: Sendable {
    /// What the loop is told.
    enum Input: Sendable {
        case want(BuildRequest, ClientID, [DerivedPath])
        case event(Event)
        case locksAnswered(GoalID, PathLocks.Outcome)
        /// The locks are held, and what is valid cannot be found out.
        case cannotLook(GoalID, EngineError)
        case stop
    }

    let inbox: Inbox<Input>
    private let parts: EngineParts

    init(_ parts: EngineParts) throws(EngineError) {
        self.parts = parts
        do {
            inbox = try Inbox()
        } catch {
            throw .system(error)
        }
    }

    /// Runs until it is stopped and nothing is left to be done.
    func run() {
        var state = LoopState(parts, inbox: inbox)
        while !state.isOver {
            do {
                try inbox.wait(milliseconds: state.timeToNextTimer)
            } catch {
                preconditionFailure("an engine that cannot wait cannot go on: \(error)")
            }
            for input in inbox.take() { state.take(input) }
            state.fireTimers()
        }
    }
}

/// What the loop shares with the threads that do its work.
struct EngineParts: Sendable {
    let configuration: EngineConfiguration
    let policies: CurrentPolicies
    let inspector: Inspector
    let launcher: LauncherClient
    let locks: PathLocks
    /// Short looks into the store.
    let lookers: WorkerPool
    /// Registrations of what clients add.
    let committers: WorkerPool
    /// Builds, one thread each.
    let builders: WorkerPool
    /// The next number of an activity.
    let activities: Atomic64
}

/// A counter that several threads use.
final class Atomic64: Sendable {
    private let value = Atomic<UInt64>(1)

    /// A number that nobody else gets.
    func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// What only the loop's thread touches.
private struct LoopState {
    /// How long a lock of somebody else is left alone.
    static let lockBackoff: Duration = .milliseconds(100)

    private let parts: EngineParts
    private let inbox: Inbox<EngineLoop.Input>
    private var scheduler: Scheduler
    private var requests: [RequestID: BuildRequest] = [:]
    private var progress: [RequestID: BuildProgress] = [:]
    /// The paths whose locks a goal holds or waits for.
    private var lockedPaths: [GoalID: Set<StoreObjectName>] = [:]
    /// Why a goal will not get its locks; told when it is to be built.
    private var lockFailures: [GoalID: EngineError] = [:]
    private var running: [GoalID: BuildJob] = [:]
    /// Derivations whose outputs are not all valid, and that are neither running nor over.
    private var planned: Set<GoalID> = []
    private var timers: Deque<(due: ContinuousClock.Instant, goal: GoalID)> = []
    private var isStopping = false

    init(_ parts: EngineParts, inbox: Inbox<EngineLoop.Input>) {
        self.parts = parts
        self.inbox = inbox
        scheduler = Scheduler(slots: parts.configuration.slots)
    }

    var isOver: Bool { isStopping && scheduler.outstanding == 0 }

    /// Milliseconds to the next timer, rounded up.
    var timeToNextTimer: CInt? {
        guard let first = timers.first else { return nil }
        let left = first.due - .now
        return left <= .zero ? 0 : CInt(left / .milliseconds(1)) + 1
    }

    mutating func fireTimers() {
        let now = ContinuousClock.now
        while let first = timers.first, first.due <= now {
            timers.removeFirst()
            handle(.lockFree(first.goal))
        }
    }

    mutating func take(_ input: EngineLoop.Input) {
        switch input {
        case .want(let request, let client, let paths):
            guard !isStopping else {
                request.tell(.finished(paths.map(Self.refused)))
                return
            }
            requests[request.id] = request
            progress[request.id] = BuildProgress()
            handle(
                .want(
                    request.id, client, paths, request.options.keepsGoing ? .keepGoing : .stop))
            // It may want what runs already.
            for (goal, job) in running where scheduler.requests(wanting: goal).contains(request.id)
            {
                job.join(request)
            }
        case .event(let event):
            note(event)
            handle(event)
        case .locksAnswered(let goal, let outcome): locksAnswered(goal, outcome)
        case .cannotLook(let goal, let error):
            releaseLocks(of: goal)
            failToLock(goal, error)
        case .stop:
            isStopping = true
            for (id, request) in requests {
                handle(.cancel(id))
                request.tell(.finished([]))
            }
            requests = [:]
            progress = [:]
        }
    }

    private static func refused(_ path: DerivedPath) -> Outcome {
        Outcome(
            path: path,
            result: BuildResult(
                status: .miscellaneousFailure, message: "\(EngineError.shuttingDown)"))
    }

    private mutating func handle(_ event: Event) {
        if case .cancel(let id) = event {
            requests[id] = nil
            progress[id] = nil
        }
        for effect in scheduler.handle(event) { perform(effect) }
    }

    /// Keeps the numbers that clients see.
    private mutating func note(_ event: Event) {
        switch event {
        case .inspected(let goal, .derivation(let facts))
        where facts.valid.count < facts.outputs.count:
            planned.insert(goal)
        case .built(let goal, let result):
            guard let job = running.removeValue(forKey: goal) else { return }
            for request in job.audience {
                if result.status.isSuccess {
                    progress[request.id]?.done += 1
                } else {
                    progress[request.id]?.failed += 1
                }
                tellProgress(request)
            }
        case .want, .cancel, .inspected, .locked, .lockBusy, .lockFree: break
        }
    }

    private mutating func tellProgress(_ request: BuildRequest) {
        guard var numbers = progress[request.id] else { return }
        numbers.running = UInt64(running.count)
        numbers.expected =
            numbers.done + numbers.failed + numbers.running + UInt64(planned.count)
        request.tell(.progress(numbers))
    }

    // MARK: Effects

    private mutating func perform(_ effect: Effect) {
        switch effect {
        case .inspect(let goal, let wanted):
            let inspector = parts.inspector
            parts.lookers.run { [inbox] in
                inbox.push(.event(.inspected(goal, inspector.inspect(wanted))))
            }
        case .lock(let goal, let paths): lock(goal, Set(paths.map(\.name)))
        case .unlock(let goal):
            planned.remove(goal)
            lockFailures[goal] = nil
            releaseLocks(of: goal)
        case .build(let goal, let path, let outputs): build(goal, path, outputs)
        case .kill(let goal): running[goal]?.cancel()
        case .finish(let id, let outcomes):
            requests.removeValue(forKey: id)?.tell(.finished(outcomes))
            progress[id] = nil
            if scheduler.unfinished == 0 { planned = [] }
        }
    }

    private mutating func lock(_ goal: GoalID, _ names: Set<StoreObjectName>) {
        lockedPaths[goal] = names
        parts.locks.acquire(names) { [inbox] outcome in
            inbox.push(.locksAnswered(goal, outcome))
        }
    }

    private mutating func locksAnswered(_ goal: GoalID, _ outcome: PathLocks.Outcome) {
        switch outcome {
        case .held: lookAgain(goal)
        case .failed(let error):
            lockedPaths[goal] = nil
            failToLock(goal, error)
        case .busyHere:
            let names = lockedPaths.removeValue(forKey: goal) ?? []
            handle(.lockBusy(goal))
            parts.locks.whenFree(names) { [inbox] in inbox.push(.event(.lockFree(goal))) }
        case .busyElsewhere:
            lockedPaths[goal] = nil
            handle(.lockBusy(goal))
            timers.append((.now + Self.lockBackoff, goal))
        }
    }

    /// The scheduler knows no such end of a lock, so the build is begun and fails.
    private mutating func failToLock(_ goal: GoalID, _ error: EngineError) {
        lockFailures[goal] = error
        handle(.locked(goal, valid: []))
    }

    /// Looks which outputs are valid, now that nobody else can make them so.
    private mutating func lookAgain(_ goal: GoalID) {
        guard let path = scheduler.path(of: goal) else {
            preconditionFailure("a goal with locks is not over")
        }
        let inspector = parts.inspector
        parts.lookers.run { [inbox] in
            do throws(EngineError) {
                let valid = try inspector.validOutputs(of: path)
                inbox.push(.event(.locked(goal, valid: valid)))
            } catch {
                inbox.push(.cannotLook(goal, error))
            }
        }
    }

    private mutating func releaseLocks(of goal: GoalID) {
        guard let names = lockedPaths.removeValue(forKey: goal) else { return }
        parts.locks.release(names)
    }

    private mutating func build(_ goal: GoalID, _ path: StorePath, _ outputs: Set<OutputName>) {
        planned.remove(goal)
        if let error = lockFailures.removeValue(forKey: goal) {
            let result = BuildResult(status: .miscellaneousFailure, message: "\(error)")
            inbox.push(.event(.built(goal, result)))
            return
        }
        let audience = scheduler.requests(wanting: goal).compactMap { requests[$0] }
            .sorted { $0.id.rawValue < $1.id.rawValue }
        let job = BuildJob(
            path, outputs: outputs, activity: ActivityID(rawValue: parts.activities.next()),
            options: audience.first?.options ?? RequestOptions(), audience: audience)
        running[goal] = job
        for request in audience { tellProgress(request) }
        let names = lockedPaths.removeValue(forKey: goal) ?? []
        let parts = parts
        parts.builders.run { [inbox] in
            let result = Build(parts, job).run()
            parts.locks.release(names)
            inbox.push(.event(.built(goal, result)))
        }
    }
}
