import Hashing
public import StoreModel

/// How values look on one connection: its store directory and protocol version.
public struct WireContext: Hashable, Sendable {
    /// The store directory; paths are sent in full.
    public var store: StoreDirectory
    /// The version that both sides speak.
    public var version: ProtocolVersion

    /// Puts a context together.
    public init(store: StoreDirectory = .standard, version: ProtocolVersion = .newest) {
        self.store = store
        self.version = version
    }
}

extension WireWriter {
    /// Appends a store path.
    public mutating func storePath(_ path: StorePath, _ context: WireContext) {
        string(context.store.path(of: path).bytes)
    }

    /// Appends a store path, or an empty string for none.
    public mutating func storePath(_ path: StorePath?, _ context: WireContext) {
        if let path { storePath(path, context) } else { string([]) }
    }

    /// Appends store paths in order.
    public mutating func storePaths(_ paths: Set<StorePath>, _ context: WireContext) {
        list(paths.sorted()) { $0.storePath($1, context) }
    }

    /// Appends a content address, or an empty string for none.
    public mutating func contentAddress(_ address: ContentAddress?) {
        text(address.map { "\($0)" } ?? "")
    }

    /// Appends what is known of a path, without the path.
    public mutating func pathInfo(unkeyed info: ValidPathInfo, _ context: WireContext) {
        storePath(info.deriver, context)
        text(info.narHash.text(.base16, prefixed: false))
        storePaths(info.references, context)
        integer(UInt64(bitPattern: info.registrationTime))
        integer(info.narSize)
        guard context.version >= ProtocolVersion(minor: 16) else { return }
        bool(info.isUltimate)
        list(info.signatures.sorted()) { $0.text($1) }
        contentAddress(info.contentAddress)
    }

    /// Appends a path and what is known of it.
    public mutating func pathInfo(_ info: ValidPathInfo, _ context: WireContext) {
        storePath(info.path, context)
        pathInfo(unkeyed: info, context)
    }

    /// Appends something that can be made valid: a path, or `<derivation>!<outputs>`.
    public mutating func derivedPath(_ path: DerivedPath, _ context: WireContext) {
        switch path {
        case .opaque(let path): storePath(path, context)
        case .built(let path, let outputs):
            let names = outputs.map { $0.sorted().map(\.description).joined(separator: ",") } ?? "*"
            string(context.store.path(of: path).bytes + [UInt8](("!" + names).utf8))
        }
    }
}

extension WireReader {
    /// The next store path.
    public mutating func storePath(_ context: WireContext) throws(WireError) -> StorePath {
        let at = offset
        return try parse(try string(limit: WireLimits.short), at: at, context)
    }

    /// The next store path, or nothing for an empty string.
    public mutating func optionalStorePath(_ context: WireContext) throws(WireError) -> StorePath? {
        let at = offset
        let bytes = try string(limit: WireLimits.short)
        return bytes.isEmpty ? nil : try parse(bytes, at: at, context)
    }

    /// The next store paths, in any order.
    public mutating func storePaths(_ context: WireContext) throws(WireError) -> Set<StorePath> {
        Set(try list { (reader) throws(WireError) in try reader.storePath(context) })
    }

    /// The next content address, or nothing for an empty string.
    public mutating func contentAddress() throws(WireError) -> ContentAddress? {
        let at = offset
        let text = try text(limit: WireLimits.short)
        guard !text.isEmpty else { return nil }
        do {
            return try ContentAddress(parsing: text)
        } catch {
            throw .malformed("a content address", at: at)
        }
    }

    /// What is known of `path`, which was read or is known already.
    public mutating func pathInfo(
        of path: StorePath, _ context: WireContext
    ) throws(WireError) -> ValidPathInfo {
        let deriver = try optionalStorePath(context)
        let hashAt = offset
        let hashText = try text(limit: WireLimits.short)
        let hash: Digest
        do {
            hash = try Digest(parsing: hashText, algorithm: .sha256)
        } catch {
            throw .malformed("a SHA-256", at: hashAt)
        }
        let references = try storePaths(context)
        let time = Int64(truncatingIfNeeded: try integer(limit: UInt64(Int64.max)))
        var info = ValidPathInfo(
            path: path, narHash: hash, narSize: try integer(), references: references,
            deriver: deriver, registrationTime: time)
        guard context.version >= ProtocolVersion(minor: 16) else { return info }
        info.isUltimate = try bool()
        info.signatures = try list { (reader) throws(WireError) in
            try reader.text(limit: WireLimits.short)
        }
        info.contentAddress = try contentAddress()
        return info
    }

    /// The next path and what is known of it.
    public mutating func pathInfo(_ context: WireContext) throws(WireError) -> ValidPathInfo {
        try pathInfo(of: try storePath(context), context)
    }

    /// The next thing that can be made valid.
    ///
    /// Before 1.30 a derivation without outputs means all of them; later it means the file itself.
    public mutating func derivedPath(_ context: WireContext) throws(WireError) -> DerivedPath {
        let at = offset
        let bytes = try string(limit: WireLimits.string)
        guard let mark = bytes.lastIndex(of: UInt8(ascii: "!")) else {
            let path = try parse(bytes, at: at, context)
            let isOld = context.version < ProtocolVersion(minor: 30)
            return isOld && path.isDerivation ? .built(path, outputs: nil) : .opaque(path)
        }
        let path = try parse([UInt8](bytes[..<mark]), at: at, context)
        let names = bytes[(mark + 1)...]
        if names.elementsEqual("*".utf8) { return .built(path, outputs: nil) }
        var outputs: Set<OutputName> = []
        for name in names.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let name = OutputName([UInt8](name)) else {
                throw .malformed("output names", at: at)
            }
            outputs.insert(name)
        }
        return .built(path, outputs: outputs)
    }

    private func parse(
        _ bytes: [UInt8], at offset: UInt64, _ context: WireContext
    ) throws(WireError) -> StorePath {
        do {
            return try context.store.parse(bytes)
        } catch {
            throw .malformed("a store path in '\(ByteString(context.store.bytes))'", at: offset)
        }
    }
}
