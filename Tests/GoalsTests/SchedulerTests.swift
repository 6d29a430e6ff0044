import Goals
import StoreModel
import Testing

/// A store path with a number in its hash part.
func path(_ number: Int, _ name: String = "x.drv") -> StorePath {
    let digits = String(number)
    let hash = String(repeating: "0", count: 32 - digits.utf8.count) + digits
    do {
        return try StorePath(baseName: [UInt8]("\(hash)-\(name)".utf8))
    } catch {
        preconditionFailure("\(error)")
    }
}

let client = ClientID(rawValue: 1)
let request = RequestID(rawValue: 1)
let dev = OutputName([UInt8]("dev".utf8)) ?? .out

func facts(
    _ number: Int, inputs: [Int] = [], outputs: [OutputName] = [.out], valid: Set<OutputName> = []
) -> Inspection {
    var wanted: [StorePath: Set<OutputName>] = [:]
    for input in inputs { wanted[path(input)] = [.out] }
    var paths: [OutputName: StorePath] = [:]
    for output in outputs { paths[output] = path(number, "x-\(output)") }
    return .derivation(
        DerivationFacts(inputs: wanted, absentSources: [], outputs: paths, valid: valid))
}

/// The goals that effects are about, by the path that is to be inspected.
func inspections(_ effects: [Effect]) -> [StorePath: GoalID] {
    var goals: [StorePath: GoalID] = [:]
    for case .inspect(let goal, let wanted) in effects {
        switch wanted {
        case .path(let path), .outputs(of: let path): goals[path] = goal
        }
    }
    return goals
}

@Suite("Scheduler") struct SchedulerTests {
    let built = BuildResult(status: .built)

    @Test("builds inputs first, then what needs them")
    func inputsFirst() throws {
        var scheduler = Scheduler(slots: 2)
        var effects = scheduler.handle(
            .want(request, client, [.built(path(1), outputs: nil)], .stop))
        let top = try #require(inspections(effects)[path(1)])
        #expect(effects == [.inspect(top, .outputs(of: path(1)))])
        effects = scheduler.handle(.inspected(top, facts(1, inputs: [2])))
        let input = try #require(inspections(effects)[path(2)])
        #expect(effects.count == 1)
        #expect(scheduler.handle(.inspected(input, facts(2))) == [.lock(input, [path(2, "x-out")])])
        #expect(scheduler.handle(.locked(input, valid: [])) == [.build(input, path(2), [.out])])
        #expect(scheduler.handle(.built(input, built)) == [.lock(top, [path(1, "x-out")])])
        #expect(scheduler.handle(.locked(top, valid: [])) == [.build(top, path(1), [.out])])
        #expect(
            scheduler.handle(.built(top, built))
                == [.finish(request, [Outcome(path: .built(path(1), outputs: nil), result: built)])]
        )
        #expect(scheduler.unfinished == 0 && scheduler.usedSlots == 0 && scheduler.outstanding == 0)
    }

    @Test("does nothing for outputs that are valid, and does not look at their inputs")
    func alreadyValid() throws {
        var scheduler = Scheduler(slots: 1)
        let wanted = DerivedPath.built(path(1), outputs: [dev])
        let top = try #require(
            inspections(scheduler.handle(.want(request, client, [wanted], .stop)))[path(1)])
        let effects = scheduler.handle(
            .inspected(top, facts(1, inputs: [2], outputs: [.out, dev], valid: [dev])))
        let result = BuildResult(status: .alreadyValid, outputs: [dev: path(1, "x-dev")])
        #expect(effects == [.finish(request, [Outcome(path: wanted, result: result)])])
    }

    @Test("builds the outputs that are missing and leaves the valid ones alone")
    func someValid() throws {
        var scheduler = Scheduler(slots: 1)
        let top = try #require(
            inspections(
                scheduler.handle(.want(request, client, [.built(path(1), outputs: nil)], .stop)))[
                    path(1)])
        _ = scheduler.handle(.inspected(top, facts(1, outputs: [.out, dev], valid: [dev])))
        #expect(scheduler.handle(.locked(top, valid: [dev])) == [.build(top, path(1), [.out])])
    }

    @Test("somebody beat us to it")
    func beaten() throws {
        var scheduler = Scheduler(slots: 1)
        let wanted = DerivedPath.built(path(1), outputs: nil)
        let top = try #require(
            inspections(scheduler.handle(.want(request, client, [wanted], .stop)))[path(1)])
        _ = scheduler.handle(.inspected(top, facts(1)))
        let result = BuildResult(status: .alreadyValid, outputs: [.out: path(1, "x-out")])
        #expect(
            scheduler.handle(.locked(top, valid: [.out]))
                == [.unlock(top), .finish(request, [Outcome(path: wanted, result: result)])])
        #expect(scheduler.usedSlots == 0)
    }

    @Test("a busy lock gives the slot to somebody else, and the goal its turn again later")
    func busyLock() throws {
        var scheduler = Scheduler(slots: 1)
        let goals = inspections(
            scheduler.handle(
                .want(request, client, [1, 2].map { .built(path($0), outputs: nil) }, .stop)))
        let first = try #require(goals[path(1)])
        let second = try #require(goals[path(2)])
        #expect(scheduler.handle(.inspected(first, facts(1))) == [.lock(first, [path(1, "x-out")])])
        #expect(scheduler.handle(.inspected(second, facts(2))) == [])
        #expect(scheduler.handle(.lockBusy(first)) == [.lock(second, [path(2, "x-out")])])
        #expect(scheduler.handle(.lockFree(first)) == [])
        _ = scheduler.handle(.locked(second, valid: []))
        #expect(scheduler.handle(.built(second, built)) == [.lock(first, [path(1, "x-out")])])
    }

    @Test("one goal serves every request, and goes when the last one does")
    func shared() throws {
        var scheduler = Scheduler(slots: 1)
        let other = RequestID(rawValue: 2)
        let top = try #require(
            inspections(
                scheduler.handle(.want(request, client, [.built(path(1), outputs: nil)], .stop)))[
                    path(1)])
        #expect(
            scheduler.handle(.want(other, client, [.built(path(1), outputs: [.out])], .stop)) == [])
        _ = scheduler.handle(.inspected(top, facts(1)))
        _ = scheduler.handle(.locked(top, valid: []))
        #expect(scheduler.handle(.cancel(request)) == [])
        #expect(scheduler.handle(.cancel(other)) == [.kill(top)])
        // The build still ends, and its answer is awaited; a new wish gets a goal of its own.
        let again = inspections(
            scheduler.handle(
                .want(RequestID(rawValue: 3), client, [.built(path(1), outputs: nil)], .stop)))
        #expect(again[path(1)] != nil && again[path(1)] != top)
        _ = scheduler.handle(.built(top, BuildResult(status: .miscellaneousFailure)))
        #expect(scheduler.usedSlots == 0 && scheduler.unfinished == 1)
    }

    @Test(
        "a failure names what is at its root, stops the request, and kills what nobody wants any more"
    )
    func stops() throws {
        var scheduler = Scheduler(slots: 2)
        let wanted = [1, 2].map { DerivedPath.built(path($0), outputs: nil) }
        let goals = inspections(scheduler.handle(.want(request, client, wanted, .stop)))
        let first = try #require(goals[path(1)])
        let second = try #require(goals[path(2)])
        let inputs = inspections(scheduler.handle(.inspected(first, facts(1, inputs: [3]))))
        let third = try #require(inputs[path(3)])
        _ = scheduler.handle(.inspected(second, facts(2)))
        _ = scheduler.handle(.inspected(third, facts(3)))
        _ = scheduler.handle(.locked(second, valid: []))
        _ = scheduler.handle(.locked(third, valid: []))
        let effects = scheduler.handle(
            .built(third, BuildResult(status: .permanentFailure, message: "exit status 1")))
        guard case .finish(request, let outcomes)? = effects.first else {
            Issue.record("the request should be over: \(effects)")
            return
        }
        #expect(outcomes.map(\.path) == [wanted[0]])
        #expect(outcomes[0].result.status == .dependencyFailed)
        #expect(
            outcomes[0].result.message
                == "'\(path(1))' needs '\(path(3))', which failed: exit status 1")
        #expect(effects.dropFirst() == [.kill(second)])
    }

    @Test("keep-going builds everything that does not need what failed")
    func keepsGoing() throws {
        var scheduler = Scheduler(slots: 1)
        let wanted = [1, 2].map { DerivedPath.built(path($0), outputs: nil) }
        let goals = inspections(scheduler.handle(.want(request, client, wanted, .keepGoing)))
        let first = try #require(goals[path(1)])
        let second = try #require(goals[path(2)])
        _ = scheduler.handle(.inspected(first, facts(1)))
        _ = scheduler.handle(.inspected(second, facts(2)))
        _ = scheduler.handle(.locked(first, valid: []))
        let failure = BuildResult(status: .permanentFailure)
        #expect(scheduler.handle(.built(first, failure)) == [.lock(second, [path(2, "x-out")])])
        _ = scheduler.handle(.locked(second, valid: []))
        #expect(
            scheduler.handle(.built(second, built))
                == [
                    .finish(
                        request,
                        [
                            Outcome(path: wanted[0], result: failure),
                            Outcome(path: wanted[1], result: built),
                        ])
                ])
    }

    @Test("slots go to clients in turn, however long the line of one is")
    func fairness() throws {
        var scheduler = Scheduler(slots: 1)
        let late = ClientID(rawValue: 2)
        var goals = inspections(
            scheduler.handle(
                .want(request, client, (1...5).map { .built(path($0), outputs: nil) }, .stop)))
        for number in 1...5 {
            _ = scheduler.handle(.inspected(try #require(goals[path(number)]), facts(number)))
        }
        goals.merge(
            inspections(
                scheduler.handle(
                    .want(RequestID(rawValue: 2), late, [.built(path(9), outputs: nil)], .stop)))
        ) { $1 }
        _ = scheduler.handle(.inspected(try #require(goals[path(9)]), facts(9)))
        var order: [StorePath] = [path(1)]
        for _ in 1...5 {
            let current = try #require(order.last.flatMap { goals[$0] })
            _ = scheduler.handle(.locked(current, valid: []))
            for case .lock(let next, _) in scheduler.handle(.built(current, built)) {
                order += goals.filter { $0.value == next }.keys
            }
        }
        #expect(order.firstIndex(of: path(9)).map { $0 <= 2 } == true)
        #expect(order.count == 6)
    }

    @Test("derivations that need one another fail instead of waiting for ever")
    func cycles() throws {
        var scheduler = Scheduler(slots: 1)
        var effects = scheduler.handle(
            .want(request, client, [.built(path(1), outputs: nil)], .stop))
        let first = try #require(inspections(effects)[path(1)])
        effects = scheduler.handle(.inspected(first, facts(1, inputs: [2])))
        let second = try #require(inspections(effects)[path(2)])
        effects = scheduler.handle(.inspected(second, facts(2, inputs: [1])))
        guard case .finish(request, let outcomes)? = effects.first else {
            Issue.record("the request should be over: \(effects)")
            return
        }
        #expect(outcomes[0].result.message.contains("needs itself"))
        #expect(scheduler.unfinished == 0)
    }

    @Test(
        "an output that the derivation does not have, and a path that nobody can make, are refused")
    func refusals() throws {
        var scheduler = Scheduler(slots: 1)
        let wanted: [DerivedPath] = [.built(path(1), outputs: [dev]), .opaque(path(2, "y"))]
        let goals = inspections(scheduler.handle(.want(request, client, wanted, .keepGoing)))
        _ = scheduler.handle(.inspected(try #require(goals[path(1)]), facts(1)))
        let effects = scheduler.handle(.inspected(try #require(goals[path(2, "y")]), .absent))
        guard case .finish(request, let outcomes)? = effects.first else {
            Issue.record("the request should be over: \(effects)")
            return
        }
        #expect(outcomes.map(\.result.status) == [.inputRejected, .noSubstituters])
        #expect(outcomes[0].result.message.hasSuffix("has no output 'dev'"))
    }

    @Test("a request for nothing is over at once")
    func nothing() {
        var scheduler = Scheduler(slots: 1)
        #expect(scheduler.handle(.want(request, client, [], .stop)) == [.finish(request, [])])
    }
}
