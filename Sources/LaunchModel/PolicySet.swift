/// The policies of one generation, as a launcher that runs already is given them.
///
/// A launcher's configuration holds more than this on purpose: who builders are and where the store lies is
/// fixed when it starts, so no reload can change it.
public struct PolicySet: Hashable, Sendable {
    /// The digest of the policies that ``profiles`` was compiled from.
    public var generation: Generation
    /// The compiled profiles; a request names one by position.
    public var profiles: [CompiledProfile]

    /// Puts a set together.
    public init(generation: Generation, profiles: [CompiledProfile]) {
        self.generation = generation
        self.profiles = profiles
    }

    private static let version: UInt32 = 0x4b50_5301

    /// The bytes of this set.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        for byte in generation.bytes { writer.write(byte) }
        writer.write(list: profiles) { $1.encode(into: &$0) }
        return writer.bytes
    }

    /// Reads a set; every byte must be accounted for.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt32.self)
        guard version == Self.version else { throw .unknownValue(UInt64(version), at: 0) }
        generation = Generation(bytes: try reader.readExactly(32))
        profiles = try reader.readList(limit: 1024) { (reader) throws(CodingFault) in
            try CompiledProfile(decoding: &reader)
        }
        try reader.finish()
    }
}

/// What root may ask of a launcher while it runs.
///
/// One packet of one byte; descriptors go along as said.
public enum ControlRequest: UInt8, Hashable, Sendable {
    /// Builds that are prepared from now on get these policies. Goes with two descriptors, both sealed memory:
    /// an encoded ``PolicySet``, and what the engine is given, which the launcher does not look into.
    case reload = 1

    /// How many descriptors go with this request.
    public var descriptorCount: Int {
        switch self {
        case .reload: 2
        }
    }
}

/// What a launcher answers to a ``ControlRequest``.
public enum ControlReply: Hashable, Sendable {
    /// It is done. So many builds go on under what they were prepared with; their policies' digest was this.
    case reloaded(previous: Generation, running: UInt32)
    /// It is refused, and nothing has changed.
    case refused(Refusal)

    /// The longest answer, in bytes.
    public static let encodingLimit = Refusal.subjectLimit + 64

    /// The bytes of one packet.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .reloaded(let previous, let running):
            writer.write(UInt8(1))
            for byte in previous.bytes { writer.write(byte) }
            writer.write(running)
        case .refused(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Reads one packet; every byte must be accounted for.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 1:
            let previous = Generation(bytes: try reader.readExactly(32))
            self = .reloaded(previous: previous, running: try reader.read(UInt32.self))
        case 2: self = .refused(try Refusal(decoding: &reader))
        case let tag: throw .unknownValue(UInt64(tag), at: 0)
        }
        try reader.finish()
    }
}
