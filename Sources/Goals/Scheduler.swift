public import StoreModel

/// Decides what is inspected, locked and built, and when; it does none of it.
///
/// One scheduler has all goals of an engine: one for each path or derivation, shared by every request
/// that wants it. Events go in one at a time, effects come out; nothing suspends, so a list of events
/// replays everything. Every event costs time in proportion to what it changes, never to all goals.
public struct Scheduler {
    private var goals: [GoalID: Goal] = [:]
    private var goalOf: [Wanted: GoalID] = [:]
    private var requests: [RequestID: Request] = [:]
    private var queue = FairQueue()
    private var nextGoal: UInt64 = 0
    private let slots: Int
    private var effects: [Effect] = []

    /// Builds that may run at once and are running or about to.
    public private(set) var usedSlots = 0
    /// Answers that the engine owes.
    public private(set) var outstanding = 0
    /// Goals that are not over.
    public var unfinished: Int { goals.count }

    private struct Request {
        let paths: [DerivedPath]
        let policy: FailurePolicy
        var goals: Set<GoalID> = []
        var results: [BuildResult?]
    }

    /// The path that a goal is about; nothing if it is over.
    public func path(of goal: GoalID) -> StorePath? { goals[goal]?.path }

    /// The requests that want a goal, or something that needs it.
    ///
    /// Takes time in proportion to what needs the goal.
    public func requests(wanting goal: GoalID) -> Set<RequestID> {
        // The only request wants everything that is wanted at all.
        if requests.count == 1 { return goals[goal]?.isWanted == true ? Set(requests.keys) : [] }
        var found: Set<RequestID> = []
        var seen: Set<GoalID> = [goal]
        var stack = [goal]
        while let id = stack.popLast(), let goal = goals[id] {
            found.formUnion(goal.requests.keys)
            for waiter in goal.waiters where seen.insert(waiter).inserted { stack.append(waiter) }
        }
        return found
    }

    /// Schedules at most `slots` builds at once.
    public init(slots: Int) {
        precondition(slots > 0, "somebody must be able to build")
        self.slots = slots
    }

    /// Takes an event in and says what has to be done because of it.
    public mutating func handle(_ event: Event) -> [Effect] {
        effects = []
        switch event {
        case .want(let request, let client, let paths, let policy):
            want(request, client, paths, policy)
        case .cancel(let request): cancel(request)
        case .inspected(let goal, let inspection): inspected(goal, inspection)
        case .locked(let goal, let valid): locked(goal, valid)
        case .lockBusy(let goal): lockBusy(goal)
        case .lockFree(let goal): lockFree(goal)
        case .built(let goal, let result): built(goal, result)
        }
        startQueued()
        breakCycles()
        return effects
    }

    // MARK: Requests

    private mutating func want(
        _ id: RequestID, _ client: ClientID, _ paths: [DerivedPath], _ policy: FailurePolicy
    ) {
        precondition(requests[id] == nil, "a request is made once")
        var request = Request(
            paths: paths, policy: policy,
            results: [BuildResult?](repeating: nil, count: paths.count))
        for (index, path) in paths.enumerated() {
            let goal: GoalID
            switch path {
            case .opaque(let path): goal = self.goal(for: .path(path), client: client)
            case .built(let path, let outputs):
                goal = self.goal(for: .outputs(of: path), client: client)
                goals[goal]?.want(outputs)
            }
            goals[goal]?.requests[id, default: []].append(index)
            request.goals.insert(goal)
        }
        requests[id] = request
        if policy == .keepGoing { keepGoing(request.goals) }
        if request.goals.isEmpty { finish(id) }
    }

    private mutating func cancel(_ id: RequestID) {
        guard let request = requests.removeValue(forKey: id) else { return }
        for goal in request.goals {
            goals[goal]?.requests[id] = nil
            giveUpIfUnwanted(goal)
        }
    }

    private mutating func finish(_ id: RequestID) {
        guard let request = requests[id] else { return }
        var outcomes: [Outcome] = []
        for (path, result) in zip(request.paths, request.results) {
            if let result { outcomes.append(Outcome(path: path, result: result)) }
        }
        effects.append(.finish(id, outcomes))
        cancel(id)
    }

    // MARK: Goals and who wants them

    private mutating func goal(for wanted: Wanted, client: ClientID) -> GoalID {
        if let goal = goalOf[wanted] { return goal }
        let id = GoalID(rawValue: nextGoal)
        nextGoal += 1
        goals[id] = Goal(wanted, client: client)
        goalOf[wanted] = id
        outstanding += 1
        effects.append(.inspect(id, wanted))
        return id
    }

    /// Lets these goals, and all that they need, go on when an input fails.
    private mutating func keepGoing(_ start: Set<GoalID>) {
        var stack = [GoalID](start)
        while let id = stack.popLast() {
            guard goals[id]?.keepsGoing == false else { continue }
            goals[id]?.keepsGoing = true
            stack += goals[id]?.inputs ?? []
        }
    }

    /// Gives up a goal that nobody wants, and then the inputs that only it wanted.
    private mutating func giveUpIfUnwanted(_ start: GoalID) {
        var stack = [start]
        while let id = stack.popLast() {
            guard let goal = goals[id], !goal.isWanted else { continue }
            if case .givenUp = goal.state { continue }
            // From now on whoever wants the same gets a goal of its own.
            goalOf[goal.wanted] = nil
            for input in goal.inputs {
                goals[input]?.waiters.remove(id)
                stack.append(input)
            }
            goals[id]?.inputs = []
            switch goal.state {
            case .inspecting: goals[id]?.state = .givenUp(.inspection)
            case .locking: goals[id]?.state = .givenUp(.locks)
            case .waitingForLock: goals[id]?.state = .givenUp(.lockOfOthers)
            case .building:
                goals[id]?.state = .givenUp(.build)
                effects.append(.kill(id))
            case .waitingForInputs, .queued: goals[id] = nil
            case .givenUp: continue
            }
        }
    }

    // MARK: What the engine answers

    private mutating func inspected(_ id: GoalID, _ inspection: Inspection) {
        guard let goal = answered(id) else { return }
        switch (goal.state, inspection) {
        case (.givenUp(.inspection), _): goals[id] = nil
        case (.inspecting, .present): succeed(id, .alreadyValid)
        case (.inspecting, .absent):
            fail(
                id, .noSubstituters,
                "the path '\(goal.path)' is required, and there is no way to make it valid")
        case (.inspecting, .unusable(let status, let message)): fail(id, status, message)
        case (.inspecting, .derivation(let facts)): plan(id, goal, facts)
        case (.waitingForInputs, _), (.queued, _), (.locking, _), (.waitingForLock, _),
            (.building, _), (.givenUp, _):
            preconditionFailure("an inspection that nobody asked for")
        }
    }

    private mutating func plan(_ id: GoalID, _ goal: Goal, _ facts: DerivationFacts) {
        goals[id]?.facts = facts
        let names = goal.wantedNames(of: facts)
        if let unknown = names.subtracting(facts.outputs.keys).min() {
            fail(id, .inputRejected, "the derivation '\(goal.path)' has no output '\(unknown)'")
            return
        }
        guard !names.isSubset(of: facts.valid) else {
            succeed(id, .alreadyValid)
            return
        }
        var inputs: Set<GoalID> = []
        for source in facts.absentSources {
            inputs.insert(self.goal(for: .path(source), client: goal.client))
        }
        for (path, outputs) in facts.inputs {
            let input = self.goal(for: .outputs(of: path), client: goal.client)
            goals[input]?.want(outputs)
            inputs.insert(input)
        }
        for input in inputs { goals[input]?.waiters.insert(id) }
        goals[id]?.inputs = inputs
        if goal.keepsGoing { keepGoing(inputs) }
        goals[id]?.state = .waitingForInputs(inputs.count)
        if inputs.isEmpty { enqueue(id) }
    }

    private mutating func locked(_ id: GoalID, _ valid: Set<OutputName>) {
        guard let goal = answered(id) else { return }
        guard let facts = goal.facts else {
            preconditionFailure("a goal without facts has no locks")
        }
        switch goal.state {
        case .givenUp(.locks):
            effects.append(.unlock(id))
            releaseSlot()
            goals[id] = nil
        case .locking where goal.wantedNames(of: facts).isSubset(of: valid):
            // Somebody beat us to it.
            effects.append(.unlock(id))
            releaseSlot()
            succeed(id, .alreadyValid)
        case .locking:
            goals[id]?.state = .building
            outstanding += 1
            effects.append(.build(id, goal.path, Set(facts.outputs.keys).subtracting(valid)))
        case .inspecting, .waitingForInputs, .queued, .waitingForLock, .building, .givenUp:
            preconditionFailure("locks that nobody asked for")
        }
    }

    private mutating func lockBusy(_ id: GoalID) {
        guard let goal = answered(id) else { return }
        switch goal.state {
        case .givenUp(.locks):
            releaseSlot()
            goals[id]?.state = .givenUp(.lockOfOthers)
            outstanding += 1
        case .locking:
            releaseSlot()
            goals[id]?.state = .waitingForLock
            outstanding += 1
        case .inspecting, .waitingForInputs, .queued, .waitingForLock, .building, .givenUp:
            preconditionFailure("locks that nobody asked for")
        }
    }

    private mutating func lockFree(_ id: GoalID) {
        guard let goal = answered(id) else { return }
        switch goal.state {
        case .givenUp(.lockOfOthers): goals[id] = nil
        case .waitingForLock: enqueue(id)
        case .inspecting, .waitingForInputs, .queued, .locking, .building, .givenUp:
            preconditionFailure("a lock that nobody waits for")
        }
    }

    private mutating func built(_ id: GoalID, _ result: BuildResult) {
        guard let goal = answered(id) else { return }
        releaseSlot()
        switch goal.state {
        case .givenUp(.build): goals[id] = nil
        case .building where result.status.isSuccess: complete(id, result)
        case .building: fail(id, result)
        case .inspecting, .waitingForInputs, .queued, .locking, .waitingForLock, .givenUp:
            preconditionFailure("a build that nobody asked for")
        }
    }

    private mutating func answered(_ id: GoalID) -> Goal? {
        guard let goal = goals[id] else { preconditionFailure("an answer to a goal that is over") }
        outstanding -= 1
        return goal
    }

    // MARK: Slots

    private mutating func enqueue(_ id: GoalID) {
        guard let client = goals[id]?.client else { return }
        goals[id]?.state = .queued
        queue.append(id, for: client)
    }

    private mutating func startQueued() {
        while usedSlots < slots {
            let next = queue.popFirst { goals[$0]?.state == .queued }
            guard let next, let facts = goals[next]?.facts else { return }
            usedSlots += 1
            goals[next]?.state = .locking
            outstanding += 1
            effects.append(.lock(next, facts.outputs.values.sorted()))
        }
    }

    private mutating func releaseSlot() { usedSlots -= 1 }

    // MARK: The end of a goal

    private mutating func succeed(_ id: GoalID, _ status: BuildResult.Status) {
        complete(id, BuildResult(status: status, outputs: goals[id]?.facts?.outputs ?? [:]))
    }

    private mutating func fail(_ id: GoalID, _ status: BuildResult.Status, _ message: String) {
        fail(id, BuildResult(status: status, message: message))
    }

    private mutating func fail(_ id: GoalID, _ result: BuildResult) {
        guard let path = goals[id]?.path else { return }
        complete(id, result, failure: Goal.InputFailure(root: path, message: result.message))
    }

    /// Ends a goal and whatever ends with it.
    ///
    /// Failures spread along a stack, not by recursion.
    private mutating func complete(
        _ start: GoalID, _ result: BuildResult, failure: Goal.InputFailure? = nil
    ) {
        var ended = [(start, result, failure)]
        while let (id, result, failure) = ended.popLast() {
            guard let goal = goals.removeValue(forKey: id) else { continue }
            goalOf[goal.wanted] = nil
            for input in goal.inputs {
                goals[input]?.waiters.remove(id)
                giveUpIfUnwanted(input)
            }
            for (request, places) in goal.requests {
                deliver(result, of: id, to: request, at: places)
            }
            for waiter in goal.waiters {
                guard let end = inputDone(id, failure, for: waiter) else { continue }
                ended.append(end)
            }
        }
    }

    /// Tells a goal that an input is done; returns the goal's own end if it fails because of it.
    private mutating func inputDone(
        _ input: GoalID, _ failure: Goal.InputFailure?, for id: GoalID
    ) -> (GoalID, BuildResult, Goal.InputFailure?)? {
        guard var goal = goals[id], case .waitingForInputs(let count) = goal.state else {
            return nil
        }
        goal.inputs.remove(input)
        goal.state = .waitingForInputs(count - 1)
        if let failure { goal.failures.append(failure) }
        goals[id] = goal
        guard let first = goal.failures.first else {
            if count == 1 { enqueue(id) }
            return nil
        }
        guard count == 1 || !goal.keepsGoing else { return nil }
        let others =
            goal.failures.count == 1 ? "" : ", and \(goal.failures.count - 1) more inputs failed"
        let message =
            "'\(goal.path)' needs '\(first.root)', which failed: \(first.message)\(others)"
        return (id, BuildResult(status: .dependencyFailed, message: message), first)
    }

    private mutating func deliver(
        _ result: BuildResult, of goal: GoalID, to id: RequestID, at places: [Int]
    ) {
        guard var request = requests[id] else { return }
        for place in places {
            var result = result
            if case .built(_, outputs: .some(let names)) = request.paths[place] {
                result.outputs = result.outputs.filter { names.contains($0.key) }
            }
            request.results[place] = result
        }
        request.goals.remove(goal)
        requests[id] = request
        if request.goals.isEmpty || (!result.status.isSuccess && request.policy == .stop) {
            finish(id)
        }
    }

    // MARK: Derivations that need one another

    /// Fails a goal of a cycle when nothing is under way and goals are left: they wait for each other.
    ///
    /// A store cannot hold such derivations, because a path follows from its inputs; a database that
    /// lies can.
    private mutating func breakCycles() {
        while outstanding == 0, let start = goals.keys.min(by: { $0.rawValue < $1.rawValue }) {
            // Everybody waits for somebody who waits, so walking along inputs must come back.
            var seen: Set<GoalID> = []
            var current = start
            while seen.insert(current).inserted {
                let inputs = goals[current]?.inputs ?? []
                guard let next = inputs.min(by: { $0.rawValue < $1.rawValue }) else {
                    preconditionFailure("goals are left and nothing is under way")
                }
                current = next
            }
            guard let path = goals[current]?.path else { return }
            fail(current, .inputRejected, "the derivation '\(path)' needs itself")
            startQueued()
        }
    }
}

extension Goal {
    /// Adds to the outputs that somebody wants.
    fileprivate mutating func want(_ outputs: Set<OutputName>?) {
        guard let outputs, let wanted = wantedOutputs else {
            wantedOutputs = nil
            return
        }
        wantedOutputs = wanted.union(outputs)
    }
}
