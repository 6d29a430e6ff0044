import DequeModule

/// Goals that wait for a slot: first come, first served for each client, and clients in turn.
struct FairQueue {
    private var lines: [ClientID: Deque<GoalID>] = [:]
    /// Clients with somebody in their line, each once, the next one first.
    private var turns: Deque<ClientID> = []

    /// Puts a goal at the end of its client's line.
    mutating func append(_ goal: GoalID, for client: ClientID) {
        if lines[client] == nil { turns.append(client) }
        lines[client, default: []].append(goal)
    }

    /// The next goal for which `waits` still holds; those for which it does not are dropped on the way.
    ///
    /// A goal that was given up stays in its line until its turn comes, so that giving up is cheap.
    mutating func popFirst(where waits: (GoalID) -> Bool) -> GoalID? {
        while let client = turns.popFirst() {
            while let goal = lines[client]?.popFirst() {
                guard waits(goal) else { continue }
                if lines[client]?.isEmpty == true {
                    lines[client] = nil
                } else {
                    turns.append(client)
                }
                return goal
            }
            lines[client] = nil
        }
        return nil
    }
}
