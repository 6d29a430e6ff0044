import Goals
import StoreModel
import Testing

/// A generator whose numbers follow from its seed, so that a failure can be replayed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// An engine that answers effects in random order, with failures and locks of others.
struct SimulatedEngine {
    var scheduler: Scheduler
    var random: SplitMix
    let slots: Int
    /// The inputs of each derivation, all of lower numbers.
    var inputs: [[Int]]
    var valid: Set<Int> = []
    /// Derivations whose build fails.
    var broken: Set<Int> = []
    var owed: [Effect] = []
    var building: Set<GoalID> = []
    var killed: Set<GoalID> = []
    var finished: [RequestID: [Outcome]] = [:]
    var events = 0

    mutating func send(_ event: Event) {
        events += 1
        for effect in scheduler.handle(event) {
            switch effect {
            case .finish(let request, let outcomes):
                #expect(finished.updateValue(outcomes, forKey: request) == nil, "finished twice")
            case .kill(let goal):
                #expect(building.contains(goal), "a kill of what does not run")
                killed.insert(goal)
            case .unlock: break
            case .build(let goal, let path, let outputs):
                #expect(outputs == [.out])
                let number = number(of: path)
                #expect(!valid.contains(number), "a valid output is built again")
                for input in inputs[number] {
                    #expect(valid.contains(input), "an input is not valid")
                }
                building.insert(goal)
                owed.append(effect)
            case .inspect, .lock: owed.append(effect)
            }
        }
        #expect(scheduler.usedSlots <= slots && building.count <= slots)
    }

    /// Answers one of the effects that wait for an answer.
    mutating func answer() {
        let index = Int.random(in: owed.indices, using: &random)
        owed.swapAt(index, owed.count - 1)
        switch owed.removeLast() {
        case .inspect(let goal, .outputs(of: let path)):
            let number = number(of: path)
            send(
                .inspected(
                    goal,
                    facts(
                        number, inputs: inputs[number], valid: valid.contains(number) ? [.out] : [])
                ))
        case .inspect(let goal, .path): send(.inspected(goal, .absent))
        case .lock(let goal, let paths):
            if Int.random(in: 0..<8, using: &random) == 0 {
                send(.lockBusy(goal))
                // Others may have built it meanwhile.
                if Bool.random(using: &random),
                    inputs[number(of: paths[0])].allSatisfy(valid.contains)
                {
                    valid.insert(number(of: paths[0]))
                }
                send(.lockFree(goal))
            } else {
                send(.locked(goal, valid: valid.contains(number(of: paths[0])) ? [.out] : []))
            }
        case .build(let goal, let path, _):
            building.remove(goal)
            let number = number(of: path)
            let fails = broken.contains(number) || killed.remove(goal) != nil
            if !fails { valid.insert(number) }
            send(.built(goal, BuildResult(status: fails ? .permanentFailure : .built)))
        case .unlock, .kill, .finish: preconditionFailure("nothing is owed for these")
        }
    }

    func number(of path: StorePath) -> Int { Int(path.hashPart) ?? -1 }
}

@Suite("Scheduler, simulated") struct SimulationTests {
    @Test(
        "whatever the order, failures and cancellations, every request ends once and nothing is left",
        arguments: 0..<300)
    func random(seed: UInt64) {
        var random = SplitMix(state: seed)
        let count = Int.random(in: 1...40, using: &random)
        let slots = Int.random(in: 1...4, using: &random)
        let inputs = (0..<count).map { number in
            (0..<number).filter { _ in Int.random(in: 0..<max(number / 2, 2), using: &random) == 0 }
        }
        var engine = SimulatedEngine(
            scheduler: Scheduler(slots: slots), random: random, slots: slots, inputs: inputs)
        for number in 0..<count where Int.random(in: 0..<10, using: &engine.random) == 0 {
            engine.broken.insert(number)
        }
        var wanted: [RequestID: ([Int], FailurePolicy)] = [:]
        var cancelled: Set<RequestID> = []
        for number in 0..<6 {
            let id = RequestID(rawValue: UInt64(number))
            let roots = (0..<Int.random(in: 1...3, using: &engine.random)).map { _ in
                Int.random(in: 0..<count, using: &engine.random)
            }
            let policy = Bool.random(using: &engine.random) ? FailurePolicy.stop : .keepGoing
            wanted[id] = (roots, policy)
            let client = ClientID(rawValue: UInt64(number % 2))
            engine.send(.want(id, client, roots.map { .built(path($0), outputs: nil) }, policy))
            for _ in 0..<Int.random(in: 0..<20, using: &engine.random) where !engine.owed.isEmpty {
                engine.answer()
            }
            if Int.random(in: 0..<3, using: &engine.random) == 0, engine.finished[id] == nil {
                cancelled.insert(id)
                engine.send(.cancel(id))
            }
        }
        var steps = 0
        while !engine.owed.isEmpty, steps < 100_000 {
            engine.answer()
            steps += 1
        }
        #expect(engine.scheduler.unfinished == 0)
        #expect(engine.scheduler.usedSlots == 0)
        #expect(engine.scheduler.outstanding == 0)
        for (id, (roots, policy)) in wanted {
            guard !cancelled.contains(id) else {
                #expect(engine.finished[id] == nil)
                continue
            }
            guard let outcomes = engine.finished[id] else {
                Issue.record("request \(id.rawValue) never ended")
                continue
            }
            let failed = outcomes.contains { !$0.result.status.isSuccess }
            #expect(failed || outcomes.count == roots.count)
            if policy == .keepGoing { #expect(outcomes.count == roots.count) }
            for outcome in outcomes where outcome.result.status.isSuccess {
                guard case .built(let path, _) = outcome.path else { continue }
                #expect(engine.valid.contains(engine.number(of: path)))
            }
        }
    }

    @Test(
        "10,000 independent derivations, and a chain of 10,000, are scheduled",
        arguments: [true, false])
    func large(isChain: Bool) {
        let count = 10_000
        var engine = SimulatedEngine(
            scheduler: Scheduler(slots: 4), random: SplitMix(state: 1), slots: 4,
            inputs: (0..<count).map { isChain && $0 > 0 ? [$0 - 1] : [] })
        let wanted = isChain ? [count - 1] : [Int](0..<count)
        engine.send(.want(request, client, wanted.map { .built(path($0), outputs: nil) }, .stop))
        while !engine.owed.isEmpty { engine.answer() }
        #expect(engine.valid.count == count)
        #expect(engine.finished[request]?.count == wanted.count)
        #expect(engine.scheduler.unfinished == 0)
    }
}
