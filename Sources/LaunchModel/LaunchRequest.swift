/// What one build asks of the launcher: names, strings and numbers, never a host path, a user or a filter.
///
/// The engine writes it into a sealed memfd that goes with `prepare`.
public struct LaunchRequest: Hashable, Sendable {
    /// The kernel personality that a builder runs under.
    public enum Personality: UInt8, Hashable, Sendable {
        /// The machine's own.
        case native = 0
        /// 32 bits: what `uname -m` says on a 64-bit kernel for `i686-linux`.
        case linux32 = 1
    }

    /// How the outputs become root's.
    public enum HandOver: UInt8, Hashable, Sendable {
        /// In place, where it is proved that nobody can write to them; copied elsewhere.
        case inPlace = 0
        /// Always copied to fresh inodes, whatever the profile says.
        case copied = 1
    }

    /// The closure of the derivation's inputs, each mounted read-only under its own name.
    public var inputs: [StoreObjectName]
    /// The objects the builder is to create, in the order of the output names.
    public var outputs: [StoreObjectName]
    /// The program, an absolute path inside the sandbox.
    public var builder: [UInt8]
    /// The arguments, with the zeroth.
    public var arguments: [[UInt8]]
    /// The environment, `NAME=value` each, in the order that the builder gets.
    public var environment: [[UInt8]]
    /// Files that are in the build directory before the builder runs.
    public var files: [BuildFile]
    /// The build directory's path inside the sandbox, such as `/build`.
    public var buildDirectory: [UInt8]
    /// The kernel personality.
    public var personality: Personality
    /// Whether the build directory is copied aside for the caller when the build fails.
    public var keepsFailed: Bool
    /// How the outputs become root's; the profile may be stricter.
    public var handOver = HandOver.inPlace

    /// Puts a request together.
    public init(
        inputs: [StoreObjectName], outputs: [StoreObjectName], builder: [UInt8],
        arguments: [[UInt8]], environment: [[UInt8]], files: [BuildFile], buildDirectory: [UInt8],
        personality: Personality, keepsFailed: Bool
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.builder = builder
        self.arguments = arguments
        self.environment = environment
        self.files = files
        self.buildDirectory = buildDirectory
        self.personality = personality
        self.keepsFailed = keepsFailed
    }

    /// A file that is in the build directory before the builder runs.
    public struct BuildFile: Hashable, Sendable {
        /// The name in the build directory: one component of 1 to 255 bytes, not `.` or `..`.
        public var name: [UInt8]
        /// What is in it.
        public var contents: [UInt8]

        /// Puts a file together.
        public init(name: [UInt8], contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
    }
}

extension LaunchRequest {
    /// The longest encoding that a launcher reads, in bytes.
    public static let encodingLimit = 256 << 20
    /// The most inputs: below the kernel's `fs.mount-max` of 100,000.
    public static let inputLimit = 90_000
    /// The most outputs: their descriptors go over the socket in one message of at most 253.
    public static let outputLimit = 128

    private static let version: UInt32 = 0x4b4c_5202

    /// The bytes of this request.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(list: inputs) { $0.write($1.bytes) }
        writer.write(list: outputs) { $0.write($1.bytes) }
        writer.write(builder)
        writer.write(list: arguments) { $0.write($1) }
        writer.write(list: environment) { $0.write($1) }
        writer.write(list: files) {
            $0.write($1.name)
            $0.write($1.contents)
        }
        writer.write(buildDirectory)
        writer.write(personality.rawValue)
        writer.write(keepsFailed)
        writer.write(handOver.rawValue)
        return writer.bytes
    }

    /// Reads a request; every byte must be accounted for, and everything in it is checked here.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt32.self)
        guard version == Self.version else { throw .unknownValue(UInt64(version), at: 0) }
        inputs = try reader.readList(limit: Self.inputLimit) { (reader) throws(CodingFault) in
            try reader.readName()
        }
        let outputsAt = reader.offset
        outputs = try reader.readList(limit: Self.outputLimit) { (reader) throws(CodingFault) in
            try reader.readName()
        }
        let distinct = Set(inputs).count + Set(outputs).count
        guard !outputs.isEmpty, distinct == inputs.count + outputs.count,
            Set(inputs).isDisjoint(with: outputs)
        else { throw .malformed(at: outputsAt) }
        // A relative builder is looked up from the build directory, as execve(2) does.
        builder = try reader.readString(limit: 4095)
        let string = { (reader: inout ByteReader) throws(CodingFault) -> [UInt8] in
            // The kernel's MAX_ARG_STRLEN: 32 pages.
            try reader.readString(limit: 131_071)
        }
        arguments = try reader.readList(limit: 1 << 20, string)
        environment = try reader.readList(limit: 1 << 20, string)
        files = try reader.readList(limit: 65_536) { (reader) throws(CodingFault) in
            let start = reader.offset
            let name = try reader.readString(limit: 255)
            guard !name.isEmpty, !name.contains(UInt8(ascii: "/")), name != [0x2e],
                name != [0x2e, 0x2e]
            else { throw .malformed(at: start) }
            return BuildFile(name: name, contents: try reader.readBytes(limit: Self.encodingLimit))
        }
        let buildDirectoryAt = reader.offset
        buildDirectory = try reader.readPath(limit: 255)
        // The root itself is nobody's to write.
        guard buildDirectory.count > 1 else { throw .malformed(at: buildDirectoryAt) }
        personality = try reader.readCase()
        keepsFailed = try reader.readBool()
        handOver = try reader.readCase()
        try reader.finish()
    }
}
