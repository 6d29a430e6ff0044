extension LauncherEvent {
    /// The bytes of one packet.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .ready: writer.write(UInt8(1))
        case .unable(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        case .prepared(let build, let user):
            writer.write(tag: 3, build)
            writer.write(user.rawValue)
        case .noUser(let build): writer.write(tag: 4, build)
        case .started(let build): writer.write(tag: 5, build)
        case .ended(let build, let end):
            writer.write(tag: 6, build)
            end.encode(into: &writer)
        case .phase(let build, let phase):
            writer.write(tag: 7, build)
            writer.write(phase.rawValue)
        case .taken(let build, let kinds):
            writer.write(tag: 8, build)
            writer.write(list: kinds) { $0.write($1.rawValue) }
        case .published(let build, let output):
            writer.write(tag: 9, build)
            writer.write(output)
        case .trashed(let name): writer.write(tag: 10, name)
        case .discarded(let build): writer.write(tag: 11, build)
        case .locked(let name): writer.write(tag: 12, name)
        case .lockBusy(let name): writer.write(tag: 13, name)
        case .unlocked(let name): writer.write(tag: 14, name)
        case .refused(let build, let refusal):
            writer.write(tag: 15, build)
            refusal.encode(into: &writer)
        case .nameRefused(let name, let refusal):
            writer.write(tag: 16, name)
            refusal.encode(into: &writer)
        case .kept(let build, let name):
            writer.write(tag: 17, build)
            writer.write(name)
        case .reloaded(let generation):
            writer.write(UInt8(20))
            for byte in generation.bytes { writer.write(byte) }
        case .quarantined(let user, let processes):
            writer.write(UInt8(18))
            writer.write(user.rawValue)
            writer.write(list: processes) { $0.write($1) }
        }
        return writer.bytes
    }

    /// Reads one packet; every byte must be accounted for.
    public init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 1: self = .ready
        case 2: self = .unable(try Refusal(decoding: &reader))
        case 3:
            self = .prepared(try reader.readBuild(), UserID(rawValue: try reader.read(UInt32.self)))
        case 4: self = .noUser(try reader.readBuild())
        case 5: self = .started(try reader.readBuild())
        case 6: self = .ended(try reader.readBuild(), try BuildEnd(decoding: &reader))
        case 7:
            let build = try reader.readBuild()
            self = .phase(build, try reader.readCase())
        case 8:
            let build = try reader.readBuild()
            let kinds = try reader.readList(limit: LaunchRequest.outputLimit) {
                (reader) throws(CodingFault) -> ObjectKind in try reader.readCase()
            }
            self = .taken(build, kinds)
        case 9: self = .published(try reader.readBuild(), output: try reader.read(UInt16.self))
        case 10: self = .trashed(try reader.readName())
        case 11: self = .discarded(try reader.readBuild())
        case 12: self = .locked(try reader.readName())
        case 13: self = .lockBusy(try reader.readName())
        case 14: self = .unlocked(try reader.readName())
        case 15: self = .refused(try reader.readBuild(), try Refusal(decoding: &reader))
        case 16: self = .nameRefused(try reader.readName(), try Refusal(decoding: &reader))
        case 17:
            self = .kept(try reader.readBuild(), name: try reader.readString(limit: 255))
        case 20: self = .reloaded(Generation(bytes: try reader.readExactly(32)))
        case 18:
            let user = UserID(rawValue: try reader.read(UInt32.self))
            let processes = try reader.readList(limit: Self.survivorLimit) {
                (reader) throws(CodingFault) -> UInt32 in try reader.read(UInt32.self)
            }
            self = .quarantined(user, processes: processes)
        case let tag: throw .unknownValue(UInt64(tag), at: 0)
        }
        try reader.finish()
    }

    /// How many descriptors go with this event.
    public var descriptorCount: Int {
        switch self {
        case .started, .locked, .reloaded: 1
        case .taken(_, let kinds): kinds.count
        case .ready, .unable, .prepared, .noUser, .ended, .phase, .published, .trashed, .kept,
            .discarded, .lockBusy, .unlocked, .refused, .nameRefused, .quarantined:
            0
        }
    }
}

extension ByteWriter {
    mutating func write(tag: UInt8, _ name: StoreObjectName) {
        write(tag)
        write(name.bytes)
    }
}

extension Refusal {
    /// The longest subject, in bytes.
    public static let subjectLimit = 1024

    /// Appends the refusal.
    public func encode(into writer: inout ByteWriter) {
        writer.write(reason.rawValue)
        writer.write(UInt32(bitPattern: errno))
        writer.write(subject)
    }

    /// Reads a refusal; bytes behind it stay.
    public init(decoding reader: inout ByteReader) throws(CodingFault) {
        let start = reader.offset
        let number = try reader.read(UInt16.self)
        guard let reason = Reason(rawValue: number) else {
            throw .unknownValue(UInt64(number), at: start)
        }
        let errno = Int32(bitPattern: try reader.read(UInt32.self))
        self.init(reason, errno: errno, subject: try reader.readBytes(limit: Self.subjectLimit))
    }
}

extension BuildEnd {
    func encode(into writer: inout ByteWriter) {
        switch builder {
        case .exited(let status):
            writer.write(UInt8(0))
            writer.write(status)
        case .signaled(let signal):
            writer.write(UInt8(1))
            writer.write(signal)
        case .notStarted(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        case .killed: writer.write(UInt8(3))
        }
        writer.write(userTime)
        writer.write(systemTime)
        denied.encode(into: &writer)
    }

    init(decoding reader: inout ByteReader) throws(CodingFault) {
        let start = reader.offset
        switch try reader.read(UInt8.self) {
        case 0: builder = .exited(try reader.read(UInt8.self))
        case 1: builder = .signaled(try reader.read(UInt8.self))
        case 2: builder = .notStarted(try Refusal(decoding: &reader))
        case 3: builder = .killed
        case let tag: throw .unknownValue(UInt64(tag), at: start)
        }
        userTime = try reader.read(UInt64.self)
        systemTime = try reader.read(UInt64.self)
        denied = try DeniedCalls(decoding: &reader)
    }
}
