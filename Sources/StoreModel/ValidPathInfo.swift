public import Hashing

/// What the store knows of a valid path.
public struct ValidPathInfo: Hashable, Sendable {
    /// The path.
    public var path: StorePath
    /// The SHA-256 of the object's NAR.
    public var narHash: Digest
    /// The size of the object's NAR, in bytes.
    public var narSize: UInt64
    /// The objects that it refers to, itself included if it does.
    public var references: Set<StorePath>
    /// The derivation that it is an output of.
    public var deriver: StorePath?
    /// When it became valid, in seconds since 1970.
    public var registrationTime: Int64
    /// Whether it was built here.
    public var isUltimate: Bool
    /// Signatures, `name:base64` each.
    public var signatures: [String]
    /// The promise that its path follows from.
    public var contentAddress: ContentAddress?

    /// Puts what is known together.
    public init(
        path: StorePath, narHash: Digest, narSize: UInt64, references: Set<StorePath> = [],
        deriver: StorePath? = nil, registrationTime: Int64 = 0, isUltimate: Bool = false,
        signatures: [String] = [], contentAddress: ContentAddress? = nil
    ) {
        self.path = path
        self.narHash = narHash
        self.narSize = narSize
        self.references = references
        self.deriver = deriver
        self.registrationTime = registrationTime
        self.isUltimate = isUltimate
        self.signatures = signatures
        self.contentAddress = contentAddress
    }
}

/// What became of one derivation or path that was asked for.
public struct BuildResult: Hashable, Sendable {
    /// The outcome, by the numbers of the worker protocol.
    public enum Status: UInt8, Hashable, Sendable, CaseIterable {
        case built = 0
        case substituted = 1
        case alreadyValid = 2
        case permanentFailure = 3
        case inputRejected = 4
        case outputRejected = 5
        case transientFailure = 6
        case cachedFailure = 7
        case timedOut = 8
        case miscellaneousFailure = 9
        case dependencyFailed = 10
        case logLimitExceeded = 11
        case notDeterministic = 12
        case resolvesToAlreadyValid = 13
        case noSubstituters = 14

        /// Whether the wanted objects are valid now.
        public var isSuccess: Bool {
            switch self {
            case .built, .substituted, .alreadyValid, .resolvesToAlreadyValid: true
            default: false
            }
        }
    }

    /// The outcome.
    public var status: Status
    /// What went wrong, for people to read; empty on success.
    public var message: String
    /// How often the builder ran.
    public var timesBuilt: UInt64
    /// Whether two runs of the builder gave different outputs.
    public var isNonDeterministic: Bool
    /// When the builder started, in seconds since 1970.
    public var startTime: Int64
    /// When it ended, in seconds since 1970.
    public var stopTime: Int64
    /// Processor time in user mode, in microseconds.
    public var userTime: UInt64?
    /// Processor time in the kernel, in microseconds.
    public var systemTime: UInt64?
    /// The paths of the outputs.
    public var outputs: [OutputName: StorePath]

    /// Puts a result together.
    public init(
        status: Status, message: String = "", timesBuilt: UInt64 = 0,
        isNonDeterministic: Bool = false, startTime: Int64 = 0,
        stopTime: Int64 = 0, userTime: UInt64? = nil, systemTime: UInt64? = nil,
        outputs: [OutputName: StorePath] = [:]
    ) {
        self.status = status
        self.message = message
        self.timesBuilt = timesBuilt
        self.isNonDeterministic = isNonDeterministic
        self.startTime = startTime
        self.stopTime = stopTime
        self.userTime = userTime
        self.systemTime = systemTime
        self.outputs = outputs
    }
}

/// Something a client can ask to be made valid.
public enum DerivedPath: Hashable, Sendable {
    /// A store object itself.
    case opaque(StorePath)
    /// Outputs of a derivation; no names means all of them.
    case built(StorePath, outputs: Set<OutputName>?)
}
