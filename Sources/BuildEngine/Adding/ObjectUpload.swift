import ArchiveFormat
import DerivationFormat
import Hashing
import LaunchModel
import LocalStore
public import StoreModel

/// An object that a client sends, from its first byte to the store.
///
/// The archive is written into the incoming directory and hashed as it comes; then the launcher adopts and
/// publishes it, and it is registered. One thread uses an upload, and calls ``finish()`` or ``abandon()``.
public final class ObjectUpload {
    /// What the client says of the object.
    enum Claim {
        /// Everything, as for a copy from another store.
        case info(ValidPathInfo)
        /// A name, and how the path follows from the content.
        case addressed(
            name: String, ContentAddressMethod, HashAlgorithm, references: Set<StorePath>)
    }

    /// The largest `.drv` file, in bytes.
    static let derivationLimit = derivationSizeLimit

    private let engine: Engine
    private let claim: Claim
    private let roots: TemporaryRoots?
    private let session: LauncherSession
    private let incoming: Incoming
    private var isOver = false

    init(
        _ claim: Claim, to engine: Engine, roots: TemporaryRoots?
    ) throws(EngineError) {
        self.engine = engine
        self.roots = roots
        self.claim = claim
        session = try engine.parts.launcher.session()
        let layout = engine.configuration.layout
        do throws(EngineError) {
            switch claim {
            case .info(let info):
                incoming = try Incoming(
                    session.id, in: layout,
                    archiveAlgorithm: info.contentAddress?.digest.algorithm,
                    fileAlgorithm: info.contentAddress?.digest.algorithm,
                    captureLimit: info.path.isDerivation ? Self.derivationLimit : nil)
            case .addressed(let name, let method, let algorithm, _):
                incoming = try Incoming(
                    session.id, in: layout, archiveAlgorithm: algorithm, fileAlgorithm: algorithm,
                    captureLimit: method == .text && name.hasSuffix(".drv")
                        ? Self.derivationLimit : nil)
            }
        } catch {
            session.abandon()
            throw error
        }
    }

    deinit { if !isOver { abandon() } }

    /// Takes the next bytes of the archive.
    ///
    /// - Returns: How many belong to it; less than there are only when it is complete.
    public func feed(_ bytes: UnsafeRawBufferPointer) throws(EngineError) -> Int {
        try incoming.feed(bytes)
    }

    /// Takes the next bytes of the one file that the object is, in place of an archive.
    public func feed(file bytes: UnsafeRawBufferPointer) throws(EngineError) {
        try incoming.feed(file: bytes)
    }

    /// Says that the file is complete, which may be empty.
    public func endFile() throws(EngineError) { try incoming.finishFile() }

    /// Whether the archive is complete.
    public var isComplete: Bool { incoming.isFinished }

    /// Deletes what was written.
    public func abandon() {
        guard !isOver else { return }
        isOver = true
        incoming.remove()
        session.abandon()
    }

    /// Checks everything that was claimed, and makes the object valid.
    ///
    /// - Returns: What the store knows of it; of an object that was valid before, what it knew.
    public func finish() throws(EngineError) -> ValidPathInfo {
        let group = UploadGroup(engine)
        let info = try finish(in: group)
        try group.finish()
        return try validInfo(of: info.path) ?? info
    }

    /// Checks everything that was claimed, and puts the object in its place.
    ///
    /// - Parameter group: With what the object becomes valid; it may refer to what is in it.
    /// - Returns: What the store will know of it; of an object that was valid before, what it knew.
    /// - Throws: ``EngineError`` when the object is refused, or what it refers to could not become valid.
    @discardableResult
    public func finish(in group: UploadGroup) throws(EngineError) -> ValidPathInfo {
        defer { abandon() }
        try incoming.finish()
        let info = try checkedInfo()
        // A root before the look, so that no collection comes in between.
        try engine.keepAlive(info.path, by: roots)
        // Before the look into the store, or it could become valid in between.
        guard try group.added(among: [info.path]).isEmpty else { return info }
        if let known = try validInfo(of: info.path) { return known }
        let checked = try checkedDerivation(of: info, in: group)
        // Groups hold locks for a moment and a transaction, so they can be waited for with locks in hand.
        try engine.parts.locks.wait(for: [info.path.name])
        do throws(EngineError) {
            if let known = try validInfo(of: info.path) {
                engine.parts.locks.release([info.path.name])
                return known
            }
            try checkReferences(of: info, in: group)
            try publish(info)
        } catch {
            engine.parts.locks.release([info.path.name])
            throw error
        }
        group.add(info, outputs: checked?.outputs, derivation: checked?.derivation)
        return info
    }

    private func validInfo(of path: StorePath) throws(EngineError) -> ValidPathInfo? {
        do {
            return try engine.store.pathInfo(path)
        } catch {
            throw .store(error)
        }
    }

    private func publish(_ info: ValidPathInfo) throws(EngineError) {
        if try objectExists(at: engine.store.object(at: info.path)) {
            try engine.parts.locks.trash(info.path.name)
        }
        try session.send(.adopt(session.id, as: info.path.name))
        switch try session.answer().event {
        case .taken: break
        case .refused(_, let refusal): throw .refused(info.path, refusal)
        case let event: throw .launcherGone("it answered '\(event)' to 'adopt'")
        }
        try session.send(.publish(session.id, output: 0))
        switch try session.answer().event {
        case .published: break
        case .refused(_, let refusal): throw .refused(info.path, refusal)
        case let event: throw .launcherGone("it answered '\(event)' to 'publish'")
        }
    }

    // MARK: What was claimed

    private func checkedInfo() throws(EngineError) -> ValidPathInfo {
        switch claim {
        case .info(let info):
            guard incoming.narDigest == info.narHash else {
                throw .hashMismatch(info.path, specified: info.narHash, got: incoming.narDigest)
            }
            guard info.narSize == 0 || incoming.narSize == info.narSize else {
                throw .sizeMismatch(info.path, specified: info.narSize, got: incoming.narSize)
            }
            var info = info
            info.narSize = incoming.narSize
            // When it became valid here.
            info.registrationTime = 0
            if let address = info.contentAddress {
                let digest = try digest(by: address.method, name: info.path.baseName)
                guard digest == address.digest else {
                    throw .hashMismatch(info.path, specified: address.digest, got: digest)
                }
                try check(
                    info.path, followsFrom: address, name: info.path.objectName,
                    references: info.references)
            }
            return info
        case .addressed(let name, let method, _, let references):
            let address = ContentAddress(
                method: method, digest: try digest(by: method, name: name))
            let path = try path(name, address, references)
            return ValidPathInfo(
                path: path, narHash: incoming.narDigest, narSize: incoming.narSize,
                references: references, contentAddress: address)
        }
    }

    private func digest(
        by method: ContentAddressMethod, name: String
    ) throws(EngineError) -> Digest {
        switch method {
        case .recursive: return incoming.archiveDigest
        case .flat, .text:
            guard let digest = incoming.fileDigest else { throw .notOneFile(name) }
            return digest
        case .git: throw .unsupported("content cannot be addressed by its git hash here")
        }
    }

    private func check(
        _ path: StorePath, followsFrom address: ContentAddress, name: String,
        references: Set<StorePath>
    ) throws(EngineError) {
        guard !references.contains(path) else {
            throw .unsupported(
                "'\(path)' is addressed by its content and refers to itself; that is not checked here, "
                    + "so it cannot be added")
        }
        let computed = try self.path(name, address, references)
        guard computed == path else { throw .notAddressed(path, computed: computed) }
    }

    private func path(
        _ name: String, _ address: ContentAddress, _ references: Set<StorePath>
    ) throws(EngineError) -> StorePath {
        do {
            return try StorePathMaker(engine.configuration.layout.logicalStore).path(
                name: name, address: address, references: references)
        } catch {
            throw .path(error)
        }
    }

    private func checkReferences(
        of info: ValidPathInfo, in group: UploadGroup
    ) throws(EngineError) {
        // First those of the group: what is not among them any more is valid by now.
        let added = try group.added(among: info.references)
        let others = info.references.subtracting(added).subtracting([info.path])
        guard !others.isEmpty else { return }
        let valid: Set<StorePath>
        do {
            valid = try engine.store.validPaths(among: others)
        } catch {
            throw .store(error)
        }
        if let missing = others.subtracting(valid).min() {
            throw .invalidReference(info.path, to: missing)
        }
    }

    /// A derivation with its outputs, which must follow from it, as its own path must.
    ///
    /// - Returns: Nothing if the object is none.
    private func checkedDerivation(
        of info: ValidPathInfo, in group: UploadGroup
    ) throws(EngineError) -> (derivation: Derivation, outputs: [OutputName: StorePath])? {
        guard info.path.isDerivation else { return nil }
        guard let bytes = incoming.file else { throw .notOneFile(info.path.baseName) }
        let store = engine.configuration.layout.logicalStore
        let derivation: Derivation
        do {
            derivation = try parseDerivation(
                bytes, name: String(info.path.objectName.dropLast(4)), in: store)
        } catch {
            throw .derivation(info.path, "is malformed: \(error)")
        }
        // Its inputs are its references, or it would be built without them.
        let inputs = derivation.inputSources.union(derivation.inputDerivations.keys)
        guard info.references == inputs else {
            throw .derivation(info.path, "should refer to its inputs and nothing else")
        }
        let address = ContentAddress(method: .text, digest: Digest.of(.sha256, bytes))
        try check(
            info.path, followsFrom: address, name: info.path.objectName, references: inputs)
        try checkReferences(of: info, in: group)
        let outputs = try engine.parts.inspector.derivations.check(
            new: derivation, at: info.path, after: group)
        return (derivation, outputs)
    }
}
