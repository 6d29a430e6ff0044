/// Where a build, or an adopted tree, is in its life.
///
/// What the engine may ask is a question of the phase; everything else ends the conversation. The phase
/// moves on by a request of the engine's (``accepting(_:)``) or by what the launcher finds
/// (``after(_:)``), and nothing else.
///
/// ```
/// unknown --prepare--> prepared --start--> running --(over)--> ending --(proved)--> ended
///    |                                                                                |
///    adopt                                                                       takeOutputs
///    |                                                                                |
///    +---------------------------------> taking <-------------------------------------+
///                                           |
///                                        (taken)--> taken --publish--> taken
/// ended, taken or failed --keep--> keeping --(copied)--> failed
/// any resting phase --discard--> discarding --(gone)--> unknown
/// ```
public enum BuildPhase: UInt8, Hashable, Sendable, CaseIterable {
    /// Nobody uses the number.
    case unknown = 0
    /// A user is lent to the build and its directories exist.
    case prepared = 1
    /// The builder runs.
    case running = 2
    /// The builder is over or is being killed; what is left of it dies.
    case ending = 3
    /// Every process of the build is dead, and that was proved.
    case ended = 4
    /// A worker verifies and takes the objects.
    case taking = 5
    /// The objects are root's; each can be published.
    case taken = 6
    /// What is left is being deleted.
    case discarding = 7
    /// A step failed; what is left can only be kept aside and discarded.
    case failed = 8
    /// The build directory is being copied aside; what is left can only be discarded afterwards.
    case keeping = 9
}

/// A request that is not legal now.
///
/// It ends the conversation.
public struct OutOfOrder: Error, Hashable, Sendable {
    /// The phase that the build was in.
    public let phase: BuildPhase

    /// Names the phase that the build was in.
    public init(phase: BuildPhase) { self.phase = phase }
}

/// What the launcher finds out about a build by itself.
public enum BuildFinding: Hashable, Sendable, CaseIterable {
    /// The builder is over.
    case builderOver
    /// Every process is dead, and that was proved.
    case provedEmpty
    /// The worker has taken the objects.
    case objectsTaken
    /// A step failed, and no process of the build is left.
    case stepFailed
    /// The build directory was copied aside, or that failed.
    case copiedAside
    /// Nothing of the build is left.
    case gone
}

extension BuildPhase {
    /// The phase after a request for this build.
    ///
    /// - Returns: The next phase; the same one for requests that change nothing.
    /// - Throws: ``OutOfOrder`` when the request is not legal in this phase.
    public func accepting(_ request: LauncherRequest) throws(OutOfOrder) -> BuildPhase {
        switch (self, request) {
        case (.unknown, .prepare): .prepared
        case (.unknown, .adopt): .taking
        case (.prepared, .start): .running
        case (.ended, .takeOutputs): .taking
        case (.taken, .publish): .taken
        // A build may end by itself while the request to kill it is on its way.
        case (.running, .kill), (.ending, .kill): .ending
        case (.ended, .kill): .ended
        case (.failed, .kill): .failed
        case (_, .status): self
        case (.ended, .keep), (.taken, .keep), (.failed, .keep): .keeping
        // Never while processes live or a worker walks: those end first.
        case (.prepared, .discard), (.ended, .discard), (.taken, .discard), (.failed, .discard):
            .discarding
        case (_, .trash), (_, .lock):
            preconditionFailure("the request is about a name, not a build")
        case (.unknown, _), (.prepared, _), (.running, _), (.ending, _), (.ended, _), (.taking, _),
            (.taken, _), (.discarding, _), (.failed, _), (.keeping, _):
            throw OutOfOrder(phase: self)
        }
    }

    /// The phase after something that the launcher found out.
    ///
    /// Findings come from the launcher's own acts, so one that does not fit is a bug of its own and traps.
    public func after(_ finding: BuildFinding) -> BuildPhase {
        switch (self, finding) {
        case (.running, .builderOver), (.ending, .builderOver): .ending
        case (.ending, .provedEmpty): .ended
        case (.taking, .objectsTaken): .taken
        case (.prepared, .stepFailed), (.ending, .stepFailed), (.taking, .stepFailed): .failed
        case (.keeping, .copiedAside): .failed
        case (.discarding, .gone): .unknown
        case (.unknown, _), (.prepared, _), (.running, _), (.ending, _), (.ended, _), (.taking, _),
            (.taken, _), (.discarding, _), (.failed, _), (.keeping, _):
            preconditionFailure("a finding that does not belong in this phase")
        }
    }
}
