import ArchiveFormat
import Glibc
import Hashing
import LaunchModel
import LocalStore
import StoreFiles
import SystemCalls

/// A tree that the engine writes, for the launcher to take over.
///
/// It lies in the incoming directory under the number of its session, and is hashed while it is written.
/// One thread uses it.
final class Incoming {
    private let directory: SharedDescriptor
    private let path: String
    private let name: [UInt8]
    private var reader = NARReader()
    private var visitor: Visitor
    private var narHash = HashStream(.sha256)
    private var otherHash: HashStream?
    private var isBareFile = false
    /// Bytes of the archive so far.
    private(set) var narSize: UInt64 = 0

    /// Begins a tree.
    ///
    /// - Parameters:
    ///   - build: The session that will adopt it.
    ///   - layout: Where the store lies.
    ///   - archiveAlgorithm: Another function to hash the archive with.
    ///   - fileAlgorithm: A function to hash the bytes with, if it is one file.
    ///   - captureLimit: Up to how many bytes they are kept in memory too, if at all.
    /// - Throws: ``EngineError`` when the incoming directory cannot be opened.
    init(
        _ build: BuildID, in layout: StoreLayout, archiveAlgorithm: HashAlgorithm? = nil,
        fileAlgorithm: HashAlgorithm? = nil, captureLimit: Int? = nil
    ) throws(EngineError) {
        do {
            directory = try Self.open(layout)
        } catch {
            throw .system(error)
        }
        path = layout.incoming
        name = [UInt8]("\(build.rawValue)".utf8)
        let number = directory.withNumber { $0 }
        visitor = Visitor(
            restorer: ArchiveRestorer(name: name, in: number, path: layout.incoming),
            hash: fileAlgorithm.map(HashStream.init), captureLimit: captureLimit)
        if let archiveAlgorithm, archiveAlgorithm != .sha256 {
            otherHash = HashStream(archiveAlgorithm)
        }
    }

    /// Takes the next bytes of the archive.
    ///
    /// - Returns: How many belong to it; less than there are only when it is complete.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(EngineError) -> Int {
        let count: Int
        do {
            count = try reader.feed(bytes, to: &visitor)
        } catch {
            switch error {
            case .format(let fault): throw .archive(fault)
            case .visitor(let error): throw .system(error)
            }
        }
        let taken = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        narHash.update(taken)
        otherHash?.update(taken)
        narSize += UInt64(count)
        return count
    }

    /// Whether the archive is complete.
    var isFinished: Bool { reader.isFinished }

    /// Takes the next bytes of the one file that this is, in place of an archive.
    func feed(file bytes: UnsafeRawBufferPointer) throws(EngineError) {
        do {
            try beginFile()
            try visitor.contents(bytes)
        } catch {
            throw .system(error)
        }
    }

    private func beginFile() throws(SystemError) {
        guard !isBareFile else { return }
        isBareFile = true
        try visitor.regular(isExecutable: false, size: 0)
    }

    /// Completes the file, and hashes its archive: the size stands in front and is known only now.
    func finishFile() throws(EngineError) {
        do throws(SystemError) {
            try beginFile()
            try visitor.endOfFile()
        } catch {
            throw .system(error)
        }
        let place = path + "/" + String(decoding: name, as: UTF8.self)
        var size: UInt64 = 0
        do {
            try archive(place) { bytes in
                narHash.update(bytes)
                size += UInt64(bytes.count)
            }
        } catch {
            throw .file(error)
        }
        narSize = size
    }

    /// Checks that the archive is complete.
    func finish() throws(EngineError) {
        guard !isBareFile else { return }
        do {
            try reader.finish()
        } catch {
            throw .archive(error)
        }
    }

    /// The SHA-256 of the archive.
    var narDigest: Digest { narHash.finalize() }
    /// The archive's digest by the other function, or by SHA-256 if none was asked for.
    var archiveDigest: Digest { otherHash?.finalize() ?? narDigest }
    /// The digest of the bytes, if it is one file that is not executable.
    var fileDigest: Digest? { visitor.isPlainFile ? visitor.hash?.finalize() : nil }
    /// The bytes, if it is one file that is not executable, and they were to be kept and not too many.
    var file: [UInt8]? { visitor.isPlainFile ? visitor.captured : nil }

    /// Deletes what was written, as far as it is still the engine's.
    func remove() {
        do {
            try directory.withNumber { (number) throws(SystemError) in
                try removeTree(name, in: number, path: path)
            }
        } catch {
            // The next engine clears the directory before it does anything.
        }
    }

    /// Joins the engines that write into the incoming directory, and deletes what dead ones left there.
    ///
    /// Engines that run at once share the directory: each holds a lock of it, and only one that is alone
    /// deletes anything. Their sessions never have the same number.
    ///
    /// - Returns: The directory, locked; hold it for as long as anything is written there.
    /// - Throws: ``EngineError/system(_:)`` when it cannot be opened, locked or cleared.
    static func join(_ layout: StoreLayout) throws(EngineError) -> SharedDescriptor {
        do {
            let directory = try open(layout)
            try directory.withNumber { (number) throws(SystemError) in
                if try isAlone(number, layout) {
                    for name in try names(in: number, path: layout.incoming) {
                        try removeTree(name, in: number, path: layout.incoming)
                    }
                }
                // Whoever deletes at this moment is soon done.
                try check("flock", on: layout.incoming) { flock(number, LOCK_SH) }
            }
            return directory
        } catch {
            throw .system(error)
        }
    }

    private static func isAlone(
        _ directory: CInt, _ layout: StoreLayout
    ) throws(SystemError) -> Bool {
        do {
            try check("flock", on: layout.incoming) { flock(directory, LOCK_EX | LOCK_NB) }
            return true
        } catch {
            guard error.errno == EWOULDBLOCK else { throw error }
            return false
        }
    }

    private static func open(_ layout: StoreLayout) throws(SystemError) -> SharedDescriptor {
        let number = try check("open", on: layout.incoming) {
            Glibc.open(layout.incoming, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
        return SharedDescriptor(OwnedDescriptor(takingOwnershipOf: number))
    }
}

extension Incoming {
    /// Restores the tree, and looks at its bytes if it is one file.
    fileprivate struct Visitor: NARVisitor {
        var restorer: ArchiveRestorer
        var hash: HashStream?
        var captureLimit: Int?
        var captured: [UInt8]? = []
        private var depth = 0
        private var isFile = false
        private var isExecutable = false

        init(restorer: ArchiveRestorer, hash: HashStream?, captureLimit: Int?) {
            self.restorer = restorer
            self.hash = hash
            self.captureLimit = captureLimit
            if captureLimit == nil { captured = nil }
        }

        var isPlainFile: Bool { isFile && !isExecutable }

        mutating func regular(isExecutable: Bool, size: UInt64) throws(SystemError) {
            if depth == 0 {
                isFile = true
                self.isExecutable = isExecutable
            }
            try restorer.regular(isExecutable: isExecutable, size: size)
        }

        mutating func contents(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
            if depth == 0 {
                hash?.update(bytes)
                if let limit = captureLimit, let count = captured?.count {
                    if count + bytes.count <= limit {
                        captured?.append(contentsOf: bytes)
                    } else {
                        captured = nil
                    }
                }
            }
            try restorer.contents(bytes)
        }

        mutating func endOfFile() throws(SystemError) { try restorer.endOfFile() }

        mutating func symbolicLink(target: [UInt8]) throws(SystemError) {
            try restorer.symbolicLink(target: target)
        }

        mutating func directory() throws(SystemError) {
            depth += 1
            try restorer.directory()
        }

        mutating func entry(name: [UInt8]) throws(SystemError) { restorer.entry(name: name) }

        mutating func endOfDirectory() throws(SystemError) {
            depth -= 1
            try restorer.endOfDirectory()
        }
    }
}
