public import StoreModel

/// One call of one client: paths that it wants to be valid.
public struct RequestID: RawRepresentable, Hashable, Sendable {
    /// The number; the engine never gives one twice.
    public let rawValue: UInt64

    /// Names the request with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Who slots are shared fairly between.
public struct ClientID: RawRepresentable, Hashable, Sendable {
    /// The number, such as the user's.
    public let rawValue: UInt64

    /// Names the client with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One goal of the scheduler; a number is never given twice.
public struct GoalID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt64

    /// Names the goal with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What happens when something that a request wants fails.
public enum FailurePolicy: Hashable, Sendable {
    /// The request is over.
    case stop
    /// Everything that does not need it goes on (`keep-going`).
    case keepGoing
}

/// Something that happened, told to the scheduler in the order in which it happened.
public enum Event: Hashable, Sendable {
    /// A client wants these paths.
    case want(RequestID, ClientID, [DerivedPath], FailurePolicy)
    /// The client of a request went away.
    case cancel(RequestID)
    /// What ``Effect/inspect(_:_:)`` found.
    case inspected(GoalID, Inspection)
    /// The locks are held, and these outputs are valid now that nobody else can make them so.
    case locked(GoalID, valid: Set<OutputName>)
    /// Somebody else has a lock, and none is held; ``lockFree(_:)`` follows.
    case lockBusy(GoalID)
    /// The locks that were busy may be free.
    case lockFree(GoalID)
    /// The build is over, whatever came of it, and its locks are given up.
    case built(GoalID, BuildResult)
}

/// What is known of a goal's path.
public enum Inspection: Hashable, Sendable {
    /// The path is valid; nothing more is to be done for it.
    case present
    /// The path is not valid, and no derivation is known that would make it so.
    case absent
    /// The path is a derivation that was read and checked.
    case derivation(DerivationFacts)
    /// The path should be a derivation and cannot be used as one.
    case unusable(BuildResult.Status, String)
}

/// What a scheduler must know of a derivation.
public struct DerivationFacts: Hashable, Sendable {
    /// The outputs of other derivations that it needs.
    public var inputs: [StorePath: Set<OutputName>]
    /// Those of its input sources that are not valid.
    public var absentSources: Set<StorePath>
    /// Its outputs.
    public var outputs: [OutputName: StorePath]
    /// Those of its outputs that are valid.
    public var valid: Set<OutputName>

    /// Puts the facts together.
    public init(
        inputs: [StorePath: Set<OutputName>], absentSources: Set<StorePath>,
        outputs: [OutputName: StorePath], valid: Set<OutputName>
    ) {
        self.inputs = inputs
        self.absentSources = absentSources
        self.outputs = outputs
        self.valid = valid
    }
}

/// Something that the engine must do.
///
/// Every effect but `unlock`, `kill` and `finish` is answered by an event.
public enum Effect: Hashable, Sendable {
    /// Find out about a path; answered by ``Event/inspected(_:_:)``.
    case inspect(GoalID, Wanted)
    /// Take the locks of these paths without waiting, then look which outputs are valid; answered by
    /// ``Event/locked(_:valid:)`` or ``Event/lockBusy(_:)``.
    case lock(GoalID, [StorePath])
    /// Give the locks up that were answered with `locked`; nothing was built.
    case unlock(GoalID)
    /// Build these outputs of a derivation, register them and give the locks up; answered by
    /// ``Event/built(_:_:)``.
    case build(GoalID, StorePath, Set<OutputName>)
    /// End the build soon; ``Event/built(_:_:)`` follows all the same.
    case kill(GoalID)
    /// Tell the client what became of its paths. Goals that were given up are left out.
    case finish(RequestID, [Outcome])
}

/// What a goal is about.
public enum Wanted: Hashable, Sendable {
    /// A path itself.
    case path(StorePath)
    /// Outputs of the derivation at this path.
    case outputs(of: StorePath)
}

/// What became of one path that a request wanted.
public struct Outcome: Hashable, Sendable {
    /// The path, as it was asked for.
    public let path: DerivedPath
    /// What became of it.
    public let result: BuildResult

    /// Puts an outcome together.
    public init(path: DerivedPath, result: BuildResult) {
        self.path = path
        self.result = result
    }
}
