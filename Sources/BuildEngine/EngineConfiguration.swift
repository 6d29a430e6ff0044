public import LaunchModel
public import LocalStore
public import Policy
public import SandboxPlanning
import StoreModel

/// What a profile means to the engine; the launcher enforces the rest.
public struct EngineProfile: Hashable, Sendable {
    /// Which one it is for the launcher.
    public var number: ProfileNumber
    /// The longest time of a build, in seconds; nothing means no limit.
    public var wallTime: UInt64?
    /// The longest silence of a builder, in seconds; nothing means no limit.
    public var silence: UInt64?
    /// The longest log, in bytes; nothing means no limit.
    public var logSize: UInt64?
    /// Whether clients that are not trusted may ask for it by name.
    public var isOfferedToAll: Bool
    /// What the numbers of denied calls mean; nothing if none are told.
    public var denials: ToldDenials?

    /// Puts a profile together.
    public init(
        number: ProfileNumber, wallTime: UInt64? = nil, silence: UInt64? = nil,
        logSize: UInt64? = nil, isOfferedToAll: Bool = false, denials: ToldDenials? = nil
    ) {
        self.number = number
        self.wallTime = wallTime
        self.silence = silence
        self.logSize = logSize
        self.isOfferedToAll = isOfferedToAll
        self.denials = denials
    }
}

/// The profiles that an administrator installed, by name.
public struct EngineProfiles: Hashable, Sendable {
    /// All of them.
    public var byName: [String: EngineProfile]
    /// What builds get that nobody asked a profile for.
    public var standard: String
    /// What builds get whose content is promised.
    public var fixedOutput: String

    /// Puts profiles together.
    public init(
        byName: [String: EngineProfile], standard: String = "default",
        fixedOutput: String = "fixed-output"
    ) {
        self.byName = byName
        self.standard = standard
        self.fixedOutput = fixedOutput
    }

    /// The name of the profile for a build: the one that was asked for, or else by what it promises.
    func name(asked: String?, isFixedOutput: Bool) -> String {
        asked ?? (isFixedOutput ? fixedOutput : standard)
    }
}

/// What an engine needs to begin, besides its conversation with the launcher.
public struct EngineConfiguration: Sendable {
    /// Where the store lies.
    public var layout: StoreLayout
    /// What all builds have in common.
    public var settings: BuildSettings
    /// How many builds may run at once.
    public var slots: Int
    /// The profiles that the launcher was given.
    public var profiles: EngineProfiles
    /// The digest of the policies that the launcher was given.
    public var generation: Generation
    /// Reads the profiles out of what root hands over with a new generation while the engine runs.
    ///
    /// Throws a sentence for people.
    public var readProfiles: @Sendable ([UInt8]) throws(PoliciesUnreadable) -> EngineProfiles
    /// Is told of build users that are lent no more, on a thread that it must not block.
    public var whenQuarantined: @Sendable (QuarantinedUser) -> Void

    /// Puts a configuration together.
    public init(
        layout: StoreLayout, settings: BuildSettings, slots: Int, profiles: EngineProfiles,
        generation: Generation,
        readProfiles: @escaping @Sendable ([UInt8]) throws(PoliciesUnreadable) -> EngineProfiles = {
            (_) throws(PoliciesUnreadable) in
            throw PoliciesUnreadable("this engine keeps the policies that it began with")
        },
        whenQuarantined: @escaping @Sendable (QuarantinedUser) -> Void
    ) {
        self.whenQuarantined = whenQuarantined
        self.layout = layout
        self.settings = settings
        self.slots = slots
        self.profiles = profiles
        self.generation = generation
        self.readProfiles = readProfiles
    }
}

/// What a client wants for the builds of a request.
public struct RequestOptions: Hashable, Sendable {
    /// Whether builds that do not need a failed one go on.
    public var keepsGoing: Bool
    /// Whether the directories of failed builds are kept.
    public var keepsFailed: Bool
    /// What `NIX_BUILD_CORES` says; nothing means what the engine's settings say.
    public var cores: Int?
    /// The longest silence of a builder, in seconds; a profile's shorter limit holds.
    public var silence: UInt64?
    /// The longest time of a build, in seconds; a profile's shorter limit holds.
    public var wallTime: UInt64?
    /// The name of a profile.
    public var profile: String?

    /// The options of a client that asks for nothing special.
    public init(
        keepsGoing: Bool = false, keepsFailed: Bool = false, cores: Int? = nil,
        silence: UInt64? = nil, wallTime: UInt64? = nil, profile: String? = nil
    ) {
        self.keepsGoing = keepsGoing
        self.keepsFailed = keepsFailed
        self.cores = cores
        self.silence = silence
        self.wallTime = wallTime
        self.profile = profile
    }
}
