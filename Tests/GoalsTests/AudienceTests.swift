import Goals
import StoreModel
import Testing

@Suite("Who wants a goal") struct AudienceTests {
    @Test("a goal is wanted by every request that needs it, however far away, and by no other")
    func audience() throws {
        var scheduler = Scheduler(slots: 1)
        let requests = (1...3).map { RequestID(rawValue: UInt64($0)) }
        // The first wants 3, which needs 2, which needs 1; the second wants 2; the third something else.
        var goals: [StorePath: GoalID] = [:]
        for (request, number) in zip(requests, [3, 2, 9]) {
            let effects = scheduler.handle(
                .want(request, client, [.built(path(number), outputs: nil)], .stop))
            goals.merge(inspections(effects)) { old, _ in old }
        }
        for (number, input) in [(3, 2), (2, 1)] {
            let goal = try #require(goals[path(number)])
            let effects = scheduler.handle(.inspected(goal, facts(number, inputs: [input])))
            goals.merge(inspections(effects)) { old, _ in old }
        }
        let bottom = try #require(goals[path(1)])
        #expect(scheduler.requests(wanting: bottom) == [requests[0], requests[1]])
        #expect(scheduler.path(of: bottom) == path(1))
        #expect(scheduler.requests(wanting: try #require(goals[path(9)])) == [requests[2]])
        _ = scheduler.handle(.cancel(requests[0]))
        _ = scheduler.handle(.cancel(requests[2]))
        #expect(scheduler.requests(wanting: bottom) == [requests[1]])
    }
}
