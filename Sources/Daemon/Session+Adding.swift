import BuildEngine
import DaemonWire
import DerivationFormat
import Hashing
import StoreModel

extension Session {
    /// Adds an object whose path follows from its content.
    func add(
        _ name: String, _ method: ContentAddressMethod, _ algorithm: String,
        _ references: Set<StorePath>, repair: Bool
    ) throws(DaemonError) -> Reply {
        let upload = Result { () throws(EngineError) -> ObjectUpload? in
            guard !repair else { throw .unsupported(Self.noRepair) }
            guard let algorithm = HashAlgorithm(name: algorithm) else {
                throw .unsupported("the hash algorithm '\(algorithm)' is not known here")
            }
            guard method != .text else { return nil }
            return try engine.upload(
                name: name, method: method, algorithm: algorithm, references: references,
                keptAliveBy: roots)
        }
        var text: [UInt8] = []
        let fed = try onConnection { () throws(WireError) in
            try peer.reader.frames { (piece) throws(EngineError) in
                switch (try upload.get(), method) {
                case (nil, _):
                    guard text.count + piece.count <= derivationSizeLimit else {
                        throw .tooLarge(name, limit: derivationSizeLimit)
                    }
                    text += piece
                case (.some(let upload), .flat): try upload.feed(file: piece)
                case (.some(let upload), _): try Self.feed(piece, to: upload)
                }
            }
        }
        let info = try inEngine { () throws(EngineError) in
            try fed.get()
            guard let upload = try upload.get() else {
                return try engine.addFile(
                    name: name, contents: text, references: references, keptAliveBy: roots)
            }
            if method == .flat { try upload.endFile() }
            return try upload.finish()
        }
        let context = context
        return Reply { $0.pathInfo(info, context) }
    }

    /// Adds an object of which everything is said.
    func add(_ info: ValidPathInfo, repair: Bool) throws(DaemonError) -> Reply {
        let upload = Result { () throws(EngineError) in
            guard !repair else { throw .unsupported(Self.noRepair) }
            return try engine.upload(info, isTrusted: isTrusted, keptAliveBy: roots)
        }
        let fed = try onConnection { () throws(WireError) in
            try peer.reader.frames { (piece) throws(EngineError) in
                try Self.feed(piece, to: try upload.get())
            }
        }
        try inEngine { () throws(EngineError) in
            try fed.get()
            _ = try upload.get().finish()
        }
        return .nothing
    }

    /// Adds many such objects, each after those that it refers to.
    func addMultiple(repair: Bool) throws(DaemonError) -> Reply {
        let source = FramedSource(peer)
        let result = try readMultiple(source, repair: repair)
        try onConnection { () throws(WireError) in try source.drain() }
        try inEngine { () throws(EngineError) in try result.get() }
        return .nothing
    }

    private func readMultiple(
        _ source: FramedSource, repair: Bool
    ) throws(DaemonError) -> Result<Void, EngineError> {
        guard !repair else { return .failure(.unsupported(Self.noRepair)) }
        var reader = WireReader(source)
        // Everything is sent as by 1.16, whatever the connection's version.
        let context = WireContext(store: context.store, version: ProtocolVersion(minor: 16))
        let count = try onConnection { () throws(WireError) in
            try reader.integer(limit: WireLimits.list)
        }
        // They become valid while the next ones come, and before the client is answered.
        let group = engine.uploadGroup()
        for _ in 0..<count {
            let info = try onConnection { () throws(WireError) in try reader.pathInfo(context) }
            let upload: ObjectUpload
            do {
                upload = try engine.upload(info, isTrusted: isTrusted, keptAliveBy: roots)
            } catch {
                return .failure(error)
            }
            var left = info.narSize
            while left > 0 {
                let bytes = try onConnection { () throws(WireError) in
                    try reader.bytes(Int(min(left, 1 << 16)))
                }
                left -= UInt64(bytes.count)
                let fed = bytes.withUnsafeBytes { piece in
                    Result { () throws(EngineError) in try Self.feed(piece, to: upload) }
                }
                if case .failure(let error) = fed { return .failure(error) }
            }
            do throws(EngineError) {
                try upload.finish(in: group)
            } catch {
                return .failure(error)
            }
        }
        return Result { () throws(EngineError) in try group.finish() }
    }

    private static func feed(
        _ piece: UnsafeRawBufferPointer, to upload: ObjectUpload
    ) throws(EngineError) {
        let count = try upload.feed(piece)
        guard count == piece.count else {
            throw .unsupported("bytes follow the end of the archive")
        }
    }

    static let noRepair = "objects cannot be repaired here yet; delete them and add them again"
}
