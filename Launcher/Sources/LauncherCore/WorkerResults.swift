import LaunchModel

// What workers tell the launcher, in the fixed encoding of LaunchModel: a tag, then what the case holds.

extension TakeResult {
    /// The bytes of the result.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .taken(let kinds):
            writer.write(UInt8(0))
            writer.write(list: kinds) { $0.write($1.rawValue) }
        case .refused(let refusal):
            writer.write(UInt8(1))
            refusal.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Reads a result; nothing if the bytes are not exactly one.
    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        do {
            switch try reader.read(UInt8.self) {
            case 0:
                let kinds = try reader.readList(limit: LaunchRequest.outputLimit) {
                    (reader) throws(CodingFault) -> ObjectKind in try reader.readCase()
                }
                self = .taken(kinds)
            case 1: self = .refused(try Refusal(decoding: &reader))
            default: return nil
            }
            try reader.finish()
        } catch {
            return nil
        }
    }
}

extension CopyResult {
    /// The bytes of the result.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .copied(let skipped):
            writer.write(UInt8(0))
            writer.write(skipped)
        case .refused(let refusal):
            writer.write(UInt8(1))
            refusal.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Reads a result; nothing if the bytes are not exactly one.
    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        do {
            switch try reader.read(UInt8.self) {
            case 0: self = .copied(skipped: try reader.read(UInt64.self))
            case 1: self = .refused(try Refusal(decoding: &reader))
            default: return nil
            }
            try reader.finish()
        } catch {
            return nil
        }
    }
}
