public import Goals
public import StoreModel

/// A build that is under way, as clients are told of it.
public struct ActivityID: RawRepresentable, Hashable, Sendable {
    /// The number; an engine never gives one twice.
    public let rawValue: UInt64

    /// Names the activity with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// How far the builds are that a request waits for.
public struct BuildProgress: Hashable, Sendable {
    /// Builds that succeeded.
    public var done: UInt64 = 0
    /// Builds that are known to be needed, those that are over included.
    public var expected: UInt64 = 0
    /// Builds that run.
    public var running: UInt64 = 0
    /// Builds that failed.
    public var failed: UInt64 = 0
}

/// What a client is told while its request is under way.
public enum BuildNews: Hashable, Sendable {
    /// A build begins.
    case started(ActivityID, StorePath)
    /// Its builder wrote a line.
    case line(ActivityID, [UInt8])
    /// So many lines of it are not told, because the client does not read.
    case linesDropped(ActivityID, Int)
    /// The build is over.
    case stopped(ActivityID)
    /// The numbers changed.
    case progress(BuildProgress)
    /// The request is over; nothing follows.
    case finished([Outcome])
}
