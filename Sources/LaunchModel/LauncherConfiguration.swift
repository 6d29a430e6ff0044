/// Everything the launcher knows before its first request.
///
/// Root writes it into a sealed memfd before any request is read: compiled profiles, the pool of build
/// users, and the directories that the launcher opens once and keeps. Requests only name what is in it.
public struct LauncherConfiguration: Hashable, Sendable {
    /// What the launcher is.
    public enum Mode: UInt8, Hashable, Sendable {
        /// Real root, with a pool of build users.
        case privileged = 0
        /// An ordinary user inside a user namespace of its own, where it is user 0.
        case rootless = 1
    }

    /// The digest of the policies that ``profiles`` was compiled from.
    public var generation: Generation
    /// What the launcher is.
    public var mode: Mode
    /// Where things are on the host.
    public var directories: Directories
    /// The user that the engine runs as; the owner of ``Directories/incoming``.
    public var engineUser: UserID
    /// The group that the engine runs as.
    public var engineGroup: GroupID
    /// Which users builders run as.
    public var pool: BuildUsers
    /// The most builds that may be prepared at once.
    public var maximumBuilds: UInt16
    /// The compiled profiles; a request names one by position.
    public var profiles: [CompiledProfile]

    /// Puts a configuration together.
    public init(
        generation: Generation, mode: Mode, directories: Directories, engineUser: UserID,
        engineGroup: GroupID, pool: BuildUsers, maximumBuilds: UInt16, profiles: [CompiledProfile]
    ) {
        self.generation = generation
        self.mode = mode
        self.directories = directories
        self.engineUser = engineUser
        self.engineGroup = engineGroup
        self.pool = pool
        self.maximumBuilds = maximumBuilds
        self.profiles = profiles
    }

    /// Physical places on the host: absolute paths in bytes, without symbolic links.
    public struct Directories: Hashable, Sendable {
        /// The store directory.
        public var store: [UInt8]
        /// Where builders see the store directory, such as `/nix/store`.
        public var logicalStore: [UInt8]
        /// Kiln's own state; holds `work`, `staging` and `trash`, which the launcher makes and owns.
        public var state: [UInt8]
        /// Where the engine writes trees for `adopt`: entries are decimal ``BuildID`` numbers.
        public var incoming: [UInt8]
        /// Where lock files of build users are: `userpool` for a group, `userpool2` for automatic slots.
        public var userPool: [UInt8]
        /// A cgroup v2 directory in which the launcher may make children, or nothing.
        public var cgroup: [UInt8]?

        /// Puts the places together.
        public init(
            store: [UInt8], logicalStore: [UInt8], state: [UInt8], incoming: [UInt8],
            userPool: [UInt8], cgroup: [UInt8]?
        ) {
            self.store = store
            self.logicalStore = logicalStore
            self.state = state
            self.incoming = incoming
            self.userPool = userPool
            self.cgroup = cgroup
        }
    }
}

/// Which users of the host builders run as.
public enum BuildUsers: Hashable, Sendable {
    /// The members of the build group. Lock files are `<uid>`.
    case group(GroupID, [UserID])
    /// `count` slots; the user and the group of slot `n` are `first + 65536 * n`. Lock files are `slot-<n>`.
    case automatic(first: UserID, count: UInt16)
    /// The caller alone (rootless), who is user and group 0 of the launcher's user namespace.
    case caller
}

extension LauncherConfiguration {
    /// The longest encoding that a launcher reads, in bytes.
    public static let encodingLimit = 16 << 20
    private static let version: UInt32 = 0x4b4c_4302

    /// The bytes of this configuration.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        for byte in generation.bytes { writer.write(byte) }
        writer.write(mode.rawValue)
        writer.write(directories.store)
        writer.write(directories.logicalStore)
        writer.write(directories.state)
        writer.write(directories.incoming)
        writer.write(directories.userPool)
        writer.write(directories.cgroup != nil)
        if let cgroup = directories.cgroup { writer.write(cgroup) }
        writer.write(engineUser.rawValue)
        writer.write(engineGroup.rawValue)
        switch pool {
        case .group(let group, let users):
            writer.write(UInt8(0))
            writer.write(group.rawValue)
            writer.write(list: users) { $0.write($1.rawValue) }
        case .automatic(let first, let count):
            writer.write(UInt8(1))
            writer.write(first.rawValue)
            writer.write(count)
        case .caller:
            writer.write(UInt8(2))
        }
        writer.write(maximumBuilds)
        writer.write(list: profiles) { $1.encode(into: &$0) }
        return writer.bytes
    }

    /// Reads a configuration; every byte must be accounted for.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt32.self)
        guard version == Self.version else { throw .unknownValue(UInt64(version), at: 0) }
        generation = Generation(bytes: try reader.readExactly(32))
        mode = try reader.readCase()
        let store = try reader.readPath()
        let logicalStore = try reader.readPath()
        let state = try reader.readPath()
        let incoming = try reader.readPath()
        let userPool = try reader.readPath()
        let cgroup = try reader.readBool() ? try reader.readPath() : nil
        directories = Directories(
            store: store, logicalStore: logicalStore, state: state, incoming: incoming,
            userPool: userPool, cgroup: cgroup)
        engineUser = UserID(rawValue: try reader.read(UInt32.self))
        engineGroup = GroupID(rawValue: try reader.read(UInt32.self))
        let poolAt = reader.offset
        switch try reader.read(UInt8.self) {
        case 0:
            let group = GroupID(rawValue: try reader.read(UInt32.self))
            let users = try reader.readList(limit: 4096) { (reader) throws(CodingFault) in
                UserID(rawValue: try reader.read(UInt32.self))
            }
            pool = .group(group, users)
        case 1:
            let first = UserID(rawValue: try reader.read(UInt32.self))
            pool = .automatic(first: first, count: try reader.read(UInt16.self))
        case 2: pool = .caller
        case let other: throw .unknownValue(UInt64(other), at: poolAt)
        }
        maximumBuilds = try reader.read(UInt16.self)
        profiles = try reader.readList(limit: 1024) { (reader) throws(CodingFault) in
            try CompiledProfile(decoding: &reader)
        }
        try reader.finish()
    }
}
