public import LaunchModel

/// A value of a profile and the place that set it.
public struct Setting<Value: Hashable & Sendable>: Hashable, Sendable {
    /// The value.
    public var value: Value
    /// The place that set it, perhaps in a profile that this one extends.
    public var origin: Origin

    /// Puts a setting together.
    public init(_ value: Value, origin: Origin) {
        self.value = value
        self.origin = origin
    }
}

/// The limits of a profile that the engine keeps.
public struct ProfileLimits: Hashable, Sendable {
    /// The longest a build may run, in seconds.
    public var wallTime: UInt64?
    /// The longest a build may write nothing to its log, in seconds.
    public var silentTime: UInt64?
    /// The most bytes a build's log may have.
    public var logSize: UInt64?

    /// Puts the limits together; nothing is no limit.
    public init(wallTime: UInt64?, silentTime: UInt64?, logSize: UInt64?) {
        self.wallTime = wallTime
        self.silentTime = silentTime
        self.logSize = logSize
    }
}

/// What one profile says after everything that it extends was merged into it.
public struct Profile: Hashable, Sendable {
    /// The profile's name.
    public var name: String
    /// The file it is in.
    public var file: String
    /// One line for people.
    public var description: String
    /// The profiles it extends, the nearest first.
    public var ancestors: [String]
    /// The user that a builder sees itself as.
    public var user: Setting<UInt32>
    /// The group that a builder sees itself as.
    public var group: Setting<UInt32>
    /// The host name that a builder sees.
    public var hostName: Setting<String>
    /// The network that a builder gets.
    public var network: Setting<Network>
    /// The size of the sandbox's root, in bytes.
    public var rootSize: Setting<UInt64>
    /// The size of `/tmp`, in bytes; zero leaves it on the root.
    public var temporarySize: Setting<UInt64>
    /// The size of `/dev/shm`, in bytes.
    public var sharedMemorySize: Setting<UInt64>
    /// Host files of which the first that exists is mounted at `/bin/sh`; empty for none.
    public var shell: Setting<[String]>
    /// Places of the host that a builder sees, sorted by where it sees them.
    public var mounts: [Setting<HostMount>]
    /// Device nodes in `/dev`.
    public var devices: [Setting<Device>]
    /// What a builder may ask the kernel.
    public var syscalls: SyscallPolicy
    /// Limits that the kernel keeps, by `RLIMIT_…` number.
    public var resourceLimits: [Setting<ResourceLimit>]
    /// Limits that the engine keeps.
    public var limits: ProfileLimits
    /// Environment variables that the engine sets, sorted by name.
    public var environment: [(name: String, value: Setting<String>)] {
        environmentValues.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
    /// What outputs may be.
    public var outputs: OutputLimits
    /// Whether outputs are always copied to fresh inodes.
    public var alwaysCopiesOutputs: Setting<Bool>
    /// Every effective key with its value as written and its place, sorted by key.
    public var effective: [EffectiveKey]

    var environmentValues: [String: Setting<String>]

    /// One effective key of a profile.
    public struct EffectiveKey: Hashable, Sendable {
        /// The key with dots.
        public var key: String
        /// The value as TOML.
        public var value: String
        /// The place that set it.
        public var origin: Origin
        /// The value as it was read.
        var parsed: PolicyValue
    }
}
