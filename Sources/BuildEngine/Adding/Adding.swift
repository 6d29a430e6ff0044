import ArchiveFormat
import DerivationFormat
import Glibc
public import Hashing
public import LocalStore
public import StoreModel
import SystemCalls

extension Engine {
    /// Begins the upload of an object whose path follows from its content, as an archive.
    public func upload(
        name: String, method: ContentAddressMethod, algorithm: HashAlgorithm,
        references: Set<StorePath>, keptAliveBy roots: TemporaryRoots? = nil
    ) throws(EngineError) -> ObjectUpload {
        guard method != .text || algorithm == .sha256 else { throw .path(.algorithm(algorithm)) }
        return try ObjectUpload(
            .addressed(name: name, method, algorithm, references: references), to: self,
            roots: roots)
    }

    /// Begins the upload of an object of which everything is said, as an archive.
    ///
    /// - Parameters:
    ///   - info: What the client says; the hash, the size and the content address are checked.
    ///   - isTrusted: Whether the client may add objects whose path nothing proves.
    ///   - roots: What keeps it alive; nothing means until the engine ends.
    /// - Returns: The upload, which waits for its first byte.
    /// - Throws: ``EngineError`` when the client may not add such an object, or nothing can be added.
    public func upload(
        _ info: ValidPathInfo, isTrusted: Bool, keptAliveBy roots: TemporaryRoots? = nil
    ) throws(EngineError) -> ObjectUpload {
        var info = info
        if !isTrusted {
            info.isUltimate = false
            guard info.contentAddress != nil else {
                throw .notAllowed(
                    "'\(info.path)' does not follow from its content, and only trusted users may add "
                        + "such objects; ask the administrator to be one of 'trusted-users'")
            }
        }
        return try ObjectUpload(.info(info), to: self, roots: roots)
    }

    /// Adds one file that is in memory, such as a derivation.
    public func addFile(
        name: String, contents: [UInt8], method: ContentAddressMethod = .text,
        algorithm: HashAlgorithm = .sha256, references: Set<StorePath> = [],
        keptAliveBy roots: TemporaryRoots? = nil
    ) throws(EngineError) -> ValidPathInfo {
        let digest = Digest.of(algorithm, contents)
        if method != .recursive, let known = try known(name, method, digest, references, roots) {
            return known
        }
        var writer = NARWriter()
        writer.beginFile(isExecutable: false, size: UInt64(contents.count))
        writer.contents(contents)
        writer.endFile()
        let upload = try upload(
            name: name, method: method, algorithm: algorithm, references: references,
            keptAliveBy: roots)
        let bytes = writer.take()
        _ = try bytes.withUnsafeBytes { bytes in
            Result { () throws(EngineError) in try upload.feed(bytes) }
        }.get()
        return try upload.finish()
    }

    /// What is known of the object that has this content, if it is valid.
    private func known(
        _ name: String, _ method: ContentAddressMethod, _ digest: Digest,
        _ references: Set<StorePath>, _ roots: TemporaryRoots?
    ) throws(EngineError) -> ValidPathInfo? {
        let path: StorePath
        do {
            path = try StorePathMaker(configuration.layout.logicalStore).path(
                name: name, address: ContentAddress(method: method, digest: digest),
                references: references)
        } catch {
            throw .path(error)
        }
        try keepAlive(path, by: roots)
        do {
            return try store.pathInfo(path)
        } catch {
            throw .store(error)
        }
    }
}

/// Whether something lies at a path of the host; links are not followed.
func objectExists(at path: String) throws(EngineError) -> Bool {
    var status = stat()
    do {
        try check("lstat", on: path) { lstat(path, &status) }
        return true
    } catch {
        guard error.errno == ENOENT else { throw .system(error) }
        return false
    }
}
