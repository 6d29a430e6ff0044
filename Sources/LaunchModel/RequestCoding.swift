extension LauncherRequest {
    /// The longest packet of the conversation, in either direction, in bytes.
    public static let packetLimit = 64 << 10

    /// The bytes of one packet.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .prepare(let build, let generation, let profile):
            writer.write(UInt8(1))
            writer.write(build.rawValue)
            for byte in generation.bytes { writer.write(byte) }
            writer.write(profile.rawValue)
        case .start(let build): writer.write(tag: 2, build)
        case .kill(let build): writer.write(tag: 3, build)
        case .status(let build): writer.write(tag: 4, build)
        case .takeOutputs(let build): writer.write(tag: 5, build)
        case .adopt(let build, let name):
            writer.write(tag: 6, build)
            writer.write(name.bytes)
        case .publish(let build, let output):
            writer.write(tag: 7, build)
            writer.write(output)
        case .trash(let name):
            writer.write(UInt8(8))
            writer.write(name.bytes)
        case .discard(let build): writer.write(tag: 9, build)
        case .lock(let name, let operation):
            writer.write(UInt8(10))
            writer.write(name.bytes)
            writer.write(operation.rawValue)
        case .keep(let build): writer.write(tag: 11, build)
        }
        return writer.bytes
    }

    /// Reads one packet; every byte must be accounted for.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 1:
            self = .prepare(
                try reader.readBuild(), Generation(bytes: try reader.readExactly(32)),
                ProfileNumber(rawValue: try reader.read(UInt16.self)))
        case 2: self = .start(try reader.readBuild())
        case 3: self = .kill(try reader.readBuild())
        case 4: self = .status(try reader.readBuild())
        case 5: self = .takeOutputs(try reader.readBuild())
        case 6: self = .adopt(try reader.readBuild(), as: try reader.readName())
        case 7: self = .publish(try reader.readBuild(), output: try reader.read(UInt16.self))
        case 8: self = .trash(try reader.readName())
        case 9: self = .discard(try reader.readBuild())
        case 10:
            let name = try reader.readName()
            self = .lock(name, try reader.readCase())
        case 11: self = .keep(try reader.readBuild())
        case let tag: throw .unknownValue(UInt64(tag), at: 0)
        }
        try reader.finish()
    }

    /// How many descriptors go with this request.
    public var descriptorCount: Int {
        switch self {
        case .prepare: 1
        case .start, .kill, .status, .takeOutputs, .adopt, .publish, .trash, .keep, .discard, .lock:
            0
        }
    }
}

extension ByteWriter {
    mutating func write(tag: UInt8, _ build: BuildID) {
        write(tag)
        write(build.rawValue)
    }
}

extension ByteReader {
    mutating func readBuild() throws(CodingFault) -> BuildID {
        BuildID(rawValue: try read(UInt64.self))
    }

    /// The next byte as a case of an enumeration.
    public mutating func readCase<E: RawRepresentable>() throws(CodingFault) -> E
    where E.RawValue == UInt8 {
        let start = offset
        let byte = try read(UInt8.self)
        guard let value = E(rawValue: byte) else { throw .unknownValue(UInt64(byte), at: start) }
        return value
    }
}
