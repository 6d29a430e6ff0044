import StoreModel

/// What must happen for one derivation to have valid outputs, or for one path to be valid.
struct Goal {
    enum State: Hashable {
        /// The engine finds out about the path.
        case inspecting
        /// So many inputs are not done yet.
        case waitingForInputs(Int)
        /// It waits for a slot.
        case queued
        /// It has a slot, and the engine takes its locks.
        case locking
        /// Somebody else has a lock; the slot was given back.
        case waitingForLock
        /// It has a slot, and the engine builds.
        case building
        /// Nobody wants it any more; the answer to what is under way is awaited.
        case givenUp(UnderWay)
    }

    /// What a goal that was given up still waits for.
    enum UnderWay: Hashable {
        case inspection
        case locks
        case lockOfOthers
        case build
    }

    let wanted: Wanted
    /// Whose line it waits in: the client that wanted it first.
    let client: ClientID
    var state = State.inspecting
    /// The outputs that somebody wants; nothing means all of them.
    var wantedOutputs: Set<OutputName>? = []
    /// Known once the derivation was inspected.
    var facts: DerivationFacts?
    /// Whether inputs go on when one has failed: somebody who wants the goal keeps going.
    var keepsGoing = false
    /// Goals that wait for this one.
    var waiters: Set<GoalID> = []
    /// Requests that asked for this one, with the places in their list.
    var requests: [RequestID: [Int]] = [:]
    /// The inputs that are not done.
    var inputs: Set<GoalID> = []
    /// Why an input failed.
    var failures: [InputFailure] = []

    var isWanted: Bool { !waiters.isEmpty || !requests.isEmpty }

    /// Something that failed, and what was at the root of it.
    struct InputFailure: Hashable {
        let root: StorePath
        let message: String
    }

    init(_ wanted: Wanted, client: ClientID) {
        self.wanted = wanted
        self.client = client
    }

    var path: StorePath {
        switch wanted {
        case .path(let path), .outputs(of: let path): path
        }
    }

    /// The outputs that somebody wants, of those that exist.
    func wantedNames(of facts: DerivationFacts) -> Set<OutputName> {
        wantedOutputs ?? Set(facts.outputs.keys)
    }
}

extension Goal.State {
    /// Whether the engine owes an answer; the scheduler is stuck if nobody's goal has one to come.
    var isUnderWay: Bool {
        switch self {
        case .inspecting, .locking, .waitingForLock, .building, .givenUp: true
        case .waitingForInputs, .queued: false
        }
    }

    /// Whether a slot is taken.
    var hasSlot: Bool {
        switch self {
        case .locking, .building, .givenUp(.locks), .givenUp(.build): true
        case .inspecting, .waitingForInputs, .queued, .waitingForLock, .givenUp(.inspection),
            .givenUp(.lockOfOthers):
            false
        }
    }
}
