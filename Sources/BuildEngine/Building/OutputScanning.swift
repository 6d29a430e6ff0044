import ArchiveFormat
import Glibc
import Hashing
import LaunchModel
import SandboxPlanning
import StoreFiles
import StoreModel
import SystemCalls

/// Reads one output once: the hash and size of its archive, its references, and what a promise needs.
///
/// - Parameters:
///   - descriptor: The top, open for reading, or `O_PATH` for a symbolic link.
///   - kind: What the launcher says the top is.
///   - path: The path that it will have.
///   - candidates: The objects that it may refer to.
///   - promise: The promised content, if there is one.
/// - Returns: What was found.
/// - Throws: ``StoreFileError`` when something of it cannot be read, or has no place in an archive.
func scan(
    _ descriptor: SharedDescriptor, _ kind: ObjectKind, path: StorePath,
    candidates: Set<StorePath>, promise: ContentAddress?
) throws(StoreFileError) -> ScannedOutput {
    var hash = HashStream(.sha256)
    var size: UInt64 = 0
    var scanner = ReferenceScanner(candidates)
    // The other function of a recursive promise, or the content alone of a flat one.
    var archiveHash: HashStream?
    var contents: ContentHash?
    switch promise {
    case .some(let promise) where promise.method == .recursive:
        if promise.digest.algorithm != .sha256 {
            archiveHash = HashStream(promise.digest.algorithm)
        }
    case .some(let promise): contents = ContentHash(promise.digest.algorithm)
    case .none: break
    }
    var isExecutable = false
    try descriptor.withNumber { (number) throws(StoreFileError) in
        var status = stat()
        do throws(SystemError) {
            try check("fstat", on: path.baseName) { fstat(number, &status) }
        } catch {
            throw .system(error)
        }
        isExecutable = kind == .regular && status.st_mode & S_IXUSR != 0
        try archive(of: number, calling: path.baseName) { bytes in
            hash.update(bytes)
            size += UInt64(bytes.count)
            scanner.update(bytes)
            archiveHash?.update(bytes)
            contents?.update(bytes)
        }
    }
    let narHash = hash.finalize()
    var promised: Digest?
    if let promise {
        promised =
            promise.method == .recursive
            ? archiveHash?.finalize() ?? narHash : contents?.digest
    }
    return ScannedOutput(
        path: path, kind: kind, isExecutable: isExecutable, narHash: narHash, narSize: size,
        references: scanner.found, promisedDigest: promised)
}

/// Hashes the content of the one file that an archive holds, while the archive passes by.
struct ContentHash {
    private struct Visitor: NARVisitor {
        typealias Failure = Never

        var hash: HashStream
        var isOneFile = false
        var isExecutable = false

        mutating func regular(isExecutable: Bool, size: UInt64) {
            isOneFile = true
            self.isExecutable = isExecutable
        }
        mutating func contents(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }
        mutating func endOfFile() {}
        mutating func symbolicLink(target: [UInt8]) {}
        mutating func directory() {}
        mutating func entry(name: [UInt8]) {}
        mutating func endOfDirectory() { isOneFile = false }
    }

    private var reader = NARReader()
    private var visitor: Visitor
    private var isBroken = false

    init(_ algorithm: HashAlgorithm) { visitor = Visitor(hash: HashStream(algorithm)) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard !isBroken else { return }
        do throws(NARReadError<Never>) {
            _ = try reader.feed(bytes, to: &visitor)
        } catch {
            isBroken = true
        }
    }

    /// The digest of the content; nothing if the archive is not of one plain file.
    var digest: Digest? {
        let isPlain = reader.isFinished && visitor.isOneFile && !visitor.isExecutable
        return isPlain && !isBroken ? visitor.hash.finalize() : nil
    }
}
