/// What the engine may ask of the launcher.
///
/// One packet each; descriptors go along as said.
public enum LauncherRequest: Hashable, Sendable {
    /// Checks a request and takes a build user for it. Goes with one descriptor: a sealed memfd that
    /// holds an encoded ``LaunchRequest``. Answered by `prepared` or `noUser`.
    case prepare(BuildID, Generation, ProfileNumber)
    /// Starts the builder. Answered by `started`, then, when everything is dead and proved so, `ended`.
    case start(BuildID)
    /// Kills the build; `ended` follows. Legal at any time after `start`, and harmless when it is over.
    case kill(BuildID)
    /// Asks for the phase of a build. Answered by `phase`.
    case status(BuildID)
    /// Verifies the outputs and takes them from the build user. Answered by `taken` or `refused`.
    case takeOutputs(BuildID)
    /// Takes over the tree that the engine wrote at `incoming/<id>`, to be published under a name.
    /// Answered by `taken` with one descriptor, or `refused`.
    case adopt(BuildID, as: StoreObjectName)
    /// Renames one taken object (by position) into the store, replacing nothing. Answered by `published`.
    case publish(BuildID, output: UInt16)
    /// Moves an object out of the store, to be deleted. Answered by `trashed`.
    case trash(StoreObjectName)
    /// Copies the build directory aside for people to look at. Answered by `kept` or `refused`.
    case keep(BuildID)
    /// Forgets a build: deletes what is left of it and gives its user back. Answered by `discarded`.
    case discard(BuildID)
    /// Takes or gives back the lock that Nix calls `<path>.lock`. Answered by `locked` or `lockBusy`,
    /// or by `unlocked`.
    case lock(StoreObjectName, LockOperation)
}

/// What is done to a path lock.
public enum LockOperation: UInt8, Hashable, Sendable {
    /// Takes it if nobody has it; never waits.
    case acquire = 0
    /// Deletes the lock file as Nix does and gives the lock up.
    case release = 1
}

/// What the launcher tells the engine.
///
/// One packet each; descriptors go along as said.
public enum LauncherEvent: Hashable, Sendable {
    /// The configuration was accepted; this is the first packet.
    case ready
    /// Root has given the launcher other policies: whatever is prepared from now on must name this
    /// generation. Goes with one descriptor: the sealed memory that root has for the engine.
    case reloaded(Generation)
    /// The launcher will not work: the configuration or the host is not acceptable. The last packet.
    case unable(Refusal)
    /// A user was taken for the build.
    case prepared(BuildID, UserID)
    /// Every build user is lent or quarantined; ask again after the next `discarded`.
    case noUser(BuildID)
    /// A process of this user is left that cannot be killed, so the user is lent to nobody any more. Told
    /// once, with the numbers of its processes, at most ``survivorLimit`` of them; none if they could not
    /// be listed.
    case quarantined(UserID, processes: [UInt32])
    /// The builder runs. Goes with one descriptor: the reading end of its standard output and error.
    case started(BuildID)
    /// The builder is over, every process of the build is dead, and that was proved.
    case ended(BuildID, BuildEnd)
    /// The phase of a build.
    case phase(BuildID, BuildPhase)
    /// The objects belong to root, are canonical and still private. Goes with a read-only descriptor
    /// of each (`O_PATH` for a symbolic link), in the order of the request's outputs.
    case taken(BuildID, [ObjectKind])
    /// The object is in the store.
    case published(BuildID, output: UInt16)
    /// The name is gone from the store.
    case trashed(StoreObjectName)
    /// The build directory was copied to this name in the launcher's `kept` directory.
    case kept(BuildID, name: [UInt8])
    /// The build is forgotten and its user is free.
    case discarded(BuildID)
    /// The lock is held. Goes with one descriptor, which holds it too.
    case locked(StoreObjectName)
    /// Somebody else has the lock.
    case lockBusy(StoreObjectName)
    /// The lock file is deleted and the lock given up.
    case unlocked(StoreObjectName)
    /// The request for this build was legal but could not be done. The build can only be discarded.
    case refused(BuildID, Refusal)
    /// The request for this name could not be done.
    case nameRefused(StoreObjectName, Refusal)

    /// How many processes ``quarantined(_:processes:)`` names.
    public static let survivorLimit = 64
}

/// What the top of an output is.
public enum ObjectKind: UInt8, Hashable, Sendable {
    case regular = 0
    case directory = 1
    case symbolicLink = 2
}

/// How a build ended.
public struct BuildEnd: Hashable, Sendable {
    /// What became of the builder.
    public enum Builder: Hashable, Sendable {
        /// It ended with this status.
        case exited(UInt8)
        /// This signal ended it.
        case signaled(UInt8)
        /// It never ran: this step failed with this errno.
        case notStarted(Refusal)
        /// It was killed at the engine's request, or its first process died unexpectedly.
        case killed
    }

    /// What became of the builder.
    public var builder: Builder
    /// Processor time in user mode, in microseconds.
    public var userTime: UInt64
    /// Processor time in the kernel, in microseconds.
    public var systemTime: UInt64
    /// The denied calls that were told; of a build that was killed, those up to shortly before.
    public var denied = DeniedCalls()

    /// Puts an end together.
    public init(builder: Builder, userTime: UInt64, systemTime: UInt64) {
        self.builder = builder
        self.userTime = userTime
        self.systemTime = systemTime
    }
}

/// Why something legal was not done.
public struct Refusal: Error, Hashable, Sendable {
    /// What the launcher was doing.
    public var reason: Reason
    /// The errno of the call that failed, or zero.
    public var errno: Int32
    /// The file or place, in bytes, for people to read: at most ``subjectLimit`` of them.
    public var subject: [UInt8]

    /// Puts a refusal together.
    public init(_ reason: Reason, errno: Int32 = 0, subject: [UInt8] = []) {
        self.reason = reason
        self.errno = errno
        self.subject = [UInt8](subject.prefix(Self.subjectLimit))
    }
}

extension Refusal {
    /// What the launcher was doing when it stopped.
    public enum Reason: UInt16, Hashable, Sendable, CaseIterable {
        /// The request names a generation of policies that is not the current one.
        case staleGeneration = 1
        /// The launch request in the memfd is not one.
        case malformedRequest = 2
        /// A directory on the way to the store is not root's alone.
        case storePermissions = 3
        /// The host lacks something that the configuration needs.
        case hostFeature = 4
        /// A directory of the launcher's own could not be made or opened.
        case stateDirectory = 5
        /// A build user has processes that cannot be killed.
        case userNotClean = 6
        /// An input is not in the store, or not what a store object must be.
        case input = 7
        /// A place of the host that the profile needs is missing.
        case hostMount = 8
        /// The build directory or a file in it could not be made.
        case buildDirectory = 9
        /// The sandbox could not be made; the subject names the step.
        case sandbox = 10
        /// The builder could not be executed.
        case execute = 11
        /// An output is missing.
        case outputMissing = 12
        /// An output is group- or world-writable, or not the build user's.
        case outputOwnership = 13
        /// A file has a type that outputs may not hold.
        case outputFileType = 14
        /// A file has a set-id bit.
        case outputSetID = 15
        /// A file has a link outside of the outputs.
        case outputHardLink = 16
        /// The outputs are larger, more or deeper than the profile allows.
        case outputLimit = 17
        /// A file is still open for writing somewhere.
        case outputWriter = 18
        /// An output has extended attributes that carry rights.
        case outputAttributes = 19
        /// The tree that was to be adopted is not the engine's alone.
        case adoption = 20
        /// The name is taken by an object already.
        case nameTaken = 21
        /// A system call failed that has no reason of its own.
        case systemCall = 22
        /// A request is not legal in this phase; the conversation is over.
        case outOfOrder = 23
        /// The build directory is not to be kept, or could not be copied.
        case notKept = 24
    }
}
