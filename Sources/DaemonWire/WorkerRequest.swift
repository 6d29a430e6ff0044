public import StoreModel

/// What a client asks of a daemon, by the number of the worker protocol.
///
/// Uploads are followed by a stream that is read apart: what the request says of it stands in the case.
///
/// Source: `reference/daemon-protocol.md` §4.
public enum WorkerRequest: Hashable, Sendable {
    case isValidPath(StorePath)
    case queryReferrers(StorePath)
    /// Followed by the framed content: bytes, or an archive for the recursive method.
    case addToStore(
        name: String, method: ContentAddressMethod, algorithm: String, references: Set<StorePath>,
        repair: Bool)
    case ensurePath(StorePath)
    case addTemporaryRoot(StorePath)
    /// The absolute path of a symbolic link into the store.
    case addIndirectRoot([UInt8])
    case findRoots
    case setOptions(ClientOptions)
    case collectGarbage(
        GarbageAction, paths: Set<StorePath>, ignoresLiveness: Bool, maximumFreed: UInt64)
    case queryAllValidPaths
    case queryPathInfo(StorePath)
    /// The 32 characters before the dash.
    case queryPathFromHashPart(String)
    case queryValidPaths(Set<StorePath>, substitute: Bool)
    case queryValidDerivers(StorePath)
    case verifyStore(checkContents: Bool, repair: Bool)
    case narFromPath(StorePath)
    /// Followed by the framed archive.
    case addToStoreNar(ValidPathInfo, repair: Bool, skipsSignatures: Bool)
    case queryMissing([DerivedPath])
    case queryDerivationOutputMap(StorePath)
    /// Followed by a framed stream: a count, then for each path its info and its archive.
    case addMultipleToStore(repair: Bool, skipsSignatures: Bool)
    case buildPaths([DerivedPath], BuildMode)
    case buildPathsWithResults([DerivedPath], BuildMode)
    case buildDerivation(StorePath, Derivation, BuildMode)

    /// What is done about outputs that are valid already.
    public enum BuildMode: UInt64, Hashable, Sendable, CaseIterable {
        case normal = 0
        case repair = 1
        case check = 2
    }

    /// What a collection of garbage does.
    public enum GarbageAction: UInt64, Hashable, Sendable, CaseIterable {
        case returnLive = 0
        case returnDead = 1
        case deleteDead = 2
        case deleteSpecific = 3
    }
}

/// What a client wants to be different for its connection.
public struct ClientOptions: Hashable, Sendable {
    /// Whether failed builds' directories are kept.
    public var keepsFailed: Bool
    /// Whether the rest goes on when a build fails.
    public var keepsGoing: Bool
    /// Whether a path is built when its substitute fails.
    public var fallsBack: Bool
    /// From 0 (errors) to 7 (everything).
    public var verbosity: UInt64
    /// The most builds at once.
    public var maximumJobs: UInt64
    /// The longest silence of a builder, in seconds; 0 is no limit.
    public var maximumSilence: UInt64
    /// What `NIX_BUILD_CORES` says.
    public var cores: UInt64
    /// Whether substitutes are used.
    public var usesSubstitutes: Bool
    /// Other settings by name.
    public var settings: [String: String]

    /// The options of a client that asks for nothing special.
    public init(
        keepsFailed: Bool = false, keepsGoing: Bool = false, fallsBack: Bool = false,
        verbosity: UInt64 = 3, maximumJobs: UInt64 = 1, maximumSilence: UInt64 = 0,
        cores: UInt64 = 0, usesSubstitutes: Bool = true, settings: [String: String] = [:]
    ) {
        self.keepsFailed = keepsFailed
        self.keepsGoing = keepsGoing
        self.fallsBack = fallsBack
        self.verbosity = verbosity
        self.maximumJobs = maximumJobs
        self.maximumSilence = maximumSilence
        self.cores = cores
        self.usesSubstitutes = usesSubstitutes
        self.settings = settings
    }
}
