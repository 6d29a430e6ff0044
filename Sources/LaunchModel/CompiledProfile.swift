/// One policy as the launcher knows it: numbers, host places and a filter, nothing to interpret.
public struct CompiledProfile: Hashable, Sendable {
    /// The policy's name, for the plan and the audit record.
    public var name: [UInt8]
    /// The user that a builder sees itself as.
    public var sandboxUser: UInt32 = 1000
    /// The group that a builder sees itself as.
    public var sandboxGroup: UInt32 = 100
    /// The host name that a builder sees.
    public var hostName: [UInt8]
    /// The network that a builder gets.
    public var network: Network
    /// Places of the host that a builder sees read-only, in the order they are mounted.
    public var hostMounts: [HostMount]
    /// Device nodes in `/dev`.
    public var devices: [Device]
    /// The size of the tmpfs that is the sandbox's root, in bytes.
    public var rootSize: UInt64
    /// The size of the tmpfs at `/tmp`, in bytes; zero leaves `/tmp` on the root.
    public var temporarySize: UInt64
    /// The size of `/dev/shm`, in bytes.
    public var sharedMemorySize: UInt64
    /// Resource limits, each set both soft and hard before the builder runs.
    public var resourceLimits: [ResourceLimit]
    /// What outputs may be.
    public var outputs: OutputLimits
    /// Whether outputs are always copied to fresh inodes instead of being taken over in place.
    public var alwaysCopiesOutputs: Bool
    /// The seccomp program: `struct sock_filter`, 8 bytes each, at most 4096 of them.
    public var filter: [UInt8]
    /// The denials that ``filter`` has told, by the position in its answers; at most ``denialLimit``.
    public var denials: [CompiledDenial] = []

    /// Puts a profile together.
    public init(
        name: [UInt8], hostName: [UInt8], network: Network, hostMounts: [HostMount],
        devices: [Device], rootSize: UInt64, temporarySize: UInt64, sharedMemorySize: UInt64,
        resourceLimits: [ResourceLimit], outputs: OutputLimits, alwaysCopiesOutputs: Bool,
        filter: [UInt8]
    ) {
        self.name = name
        self.hostName = hostName
        self.network = network
        self.hostMounts = hostMounts
        self.devices = devices
        self.rootSize = rootSize
        self.temporarySize = temporarySize
        self.sharedMemorySize = sharedMemorySize
        self.resourceLimits = resourceLimits
        self.outputs = outputs
        self.alwaysCopiesOutputs = alwaysCopiesOutputs
        self.filter = filter
    }
}

/// The network a builder gets.
///
/// There is no case for the host's.
public enum Network: UInt8, Hashable, Sendable, CaseIterable {
    /// A network namespace of its own whose loopback interface is down.
    case none = 0
    /// A network namespace of its own whose loopback interface is up.
    case loopback = 1

    /// Whether a builder can reach nobody outside of its own sandbox, to whom it could give a descriptor
    /// of an output, or who could tell it what to write later.
    public var isIsolated: Bool {
        switch self {
        case .none, .loopback: true
        }
    }
}

/// A host device a sandbox may have.
///
/// There is no case for "some path of the host".
public enum Device: UInt8, Hashable, Sendable, CaseIterable {
    case null = 0
    case zero = 1
    case full = 2
    case random = 3
    case urandom = 4
    case tty = 5
    case kvm = 6
}

/// A place of the host that a builder sees, read-only, `nosuid` and `nodev`.
public struct HostMount: Hashable, Sendable {
    /// What happens when the host has nothing there.
    public enum Presence: UInt8, Hashable, Sendable {
        /// The build does not start.
        case required = 0
        /// The builder does not see it either.
        case optional = 1
    }

    /// The absolute path on the host.
    ///
    /// A symbolic link there is re-created, not followed, unless
    /// ``followsLink`` says otherwise.
    public var source: [UInt8]
    /// The absolute path in the sandbox.
    public var target: [UInt8]
    /// What happens when the host has nothing there.
    public var presence: Presence
    /// Whether a symbolic link at ``source`` is resolved on the host and what it means is mounted.
    public var followsLink: Bool

    /// Puts a mount together.
    public init(source: [UInt8], target: [UInt8], presence: Presence, followsLink: Bool) {
        self.source = source
        self.target = target
        self.presence = presence
        self.followsLink = followsLink
    }
}

/// One resource limit of a builder.
public struct ResourceLimit: Hashable, Sendable {
    /// The kernel's number, `RLIMIT_…`.
    public var resource: UInt32
    /// The soft limit; `UInt64.max` is no limit.
    public var soft: UInt64
    /// The hard limit; `UInt64.max` is no limit.
    public var hard: UInt64

    /// Puts a limit together.
    public init(resource: UInt32, soft: UInt64, hard: UInt64) {
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }
}

/// What the outputs of one build may be at most, all of them together.
public struct OutputLimits: Hashable, Sendable {
    /// Bytes of regular files, as their sizes say.
    public var bytes: UInt64
    /// Files, directories and links.
    public var entries: UInt64
    /// Directories inside one another.
    public var depth: UInt32

    /// Puts the limits together.
    public init(bytes: UInt64, entries: UInt64, depth: UInt32) {
        self.bytes = bytes
        self.entries = entries
        self.depth = depth
    }
}

extension CompiledProfile {
    /// The longest seccomp program that the kernel loads, in instructions.
    public static let filterLimit = 4096
    /// The most denials that are told of one profile.
    public static let denialLimit = 4096

    /// The canonical bytes of this profile: equal profiles have equal ones, different profiles do not.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(name)
        writer.write(sandboxUser)
        writer.write(sandboxGroup)
        writer.write(hostName)
        writer.write(network.rawValue)
        writer.write(list: hostMounts) {
            $0.write($1.source)
            $0.write($1.target)
            $0.write($1.presence.rawValue)
            $0.write($1.followsLink)
        }
        writer.write(list: devices) { $0.write($1.rawValue) }
        writer.write(rootSize)
        writer.write(temporarySize)
        writer.write(sharedMemorySize)
        writer.write(list: resourceLimits) {
            $0.write($1.resource)
            $0.write($1.soft)
            $0.write($1.hard)
        }
        writer.write(outputs.bytes)
        writer.write(outputs.entries)
        writer.write(outputs.depth)
        writer.write(alwaysCopiesOutputs)
        writer.write(filter)
        writer.write(list: denials) { $1.encode(into: &$0) }
    }

    init(decoding reader: inout ByteReader) throws(CodingFault) {
        name = try reader.readString(limit: 64)
        sandboxUser = try reader.read(UInt32.self)
        sandboxGroup = try reader.read(UInt32.self)
        hostName = try reader.readString(limit: 64)
        network = try reader.readCase()
        hostMounts = try reader.readList(limit: 4096) { (reader) throws(CodingFault) in
            HostMount(
                source: try reader.readPath(), target: try reader.readPath(),
                presence: try reader.readCase(), followsLink: try reader.readBool())
        }
        devices = try reader.readList(limit: 64) { (reader) throws(CodingFault) in
            try reader.readCase()
        }
        rootSize = try reader.read(UInt64.self)
        temporarySize = try reader.read(UInt64.self)
        sharedMemorySize = try reader.read(UInt64.self)
        resourceLimits = try reader.readList(limit: 32) { (reader) throws(CodingFault) in
            ResourceLimit(
                resource: try reader.read(UInt32.self), soft: try reader.read(UInt64.self),
                hard: try reader.read(UInt64.self))
        }
        outputs = OutputLimits(
            bytes: try reader.read(UInt64.self), entries: try reader.read(UInt64.self),
            depth: try reader.read(UInt32.self))
        alwaysCopiesOutputs = try reader.readBool()
        let filterAt = reader.offset
        filter = try reader.readBytes(limit: Self.filterLimit * 8)
        // A profile without a filter would be a sandbox without one: there is no such thing.
        guard !filter.isEmpty, filter.count % 8 == 0 else { throw .malformed(at: filterAt) }
        let denialsAt = reader.offset
        denials = try reader.readList(limit: Self.denialLimit) { (reader) throws(CodingFault) in
            try CompiledDenial(decoding: &reader)
        }
        // A call that asks the listener must find an answer there.
        let told: Int
        do {
            told = try FilterProgram(filter).toldCount
        } catch {
            throw .malformed(at: filterAt)
        }
        guard told <= denials.count else { throw .malformed(at: denialsAt) }
    }
}
