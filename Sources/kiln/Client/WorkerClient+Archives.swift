import ArchiveFormat
import DaemonWire
import Glibc
import Hashing
import StoreFiles
import StoreModel
import SystemCalls

/// An object that is sent to a store, with what is known of it.
struct Upload: Hashable, Sendable {
    /// What the object is made of.
    enum Content: Hashable, Sendable {
        /// The tree at a path of this machine.
        case tree(String)
        /// One file with these bytes.
        case text([UInt8])
    }

    /// The path, hash, size, references and content address.
    var info: ValidPathInfo
    var content: Content

    /// One text file that may refer to other objects, such as a derivation.
    init(text bytes: [UInt8], at path: StorePath, references: Set<StorePath>) {
        let archive = Self.archive(ofText: bytes)
        content = .text(bytes)
        info = ValidPathInfo(
            path: path, narHash: .of(.sha256, archive), narSize: UInt64(archive.count),
            references: references,
            contentAddress: ContentAddress(method: .text, digest: .of(.sha256, bytes)))
    }

    /// A tree whose archive was hashed before.
    init(tree: String, at path: StorePath, narHash: Digest, narSize: UInt64) {
        content = .tree(tree)
        info = ValidPathInfo(
            path: path, narHash: narHash, narSize: narSize,
            contentAddress: ContentAddress(method: .recursive, digest: narHash))
    }

    /// The archive of one file that is not executable.
    static func archive(ofText bytes: [UInt8]) -> [UInt8] {
        var writer = NARWriter()
        writer.beginFile(isExecutable: false, size: UInt64(bytes.count))
        writer.contents(bytes)
        writer.endFile()
        return writer.take()
    }

    /// Tells the object's archive in pieces.
    func archive(_ body: (UnsafeRawBufferPointer) -> Void) throws(StoreFileError) {
        switch content {
        case .tree(let path): try StoreFiles.archive(path, body)
        case .text(let bytes): Self.archive(ofText: bytes).withUnsafeBytes(body)
        }
    }
}

extension FrameSender {
    /// Sends an archive as it is made; memory does not grow with it.
    func sendArchive(
        _ archive: ((UnsafeRawBufferPointer) -> Void) throws(StoreFileError) -> Void
    ) throws(ClientError) {
        // The walk cannot be stopped from here, so after a failure what it still reads is dropped.
        var failure: ClientError?
        do throws(StoreFileError) {
            try archive { piece in
                guard failure == nil else { return }
                do throws(ClientError) {
                    try self.send(piece)
                } catch {
                    failure = error
                }
            }
        } catch {
            throw .source(error)
        }
        if let failure { throw failure }
    }
}

extension WorkerClient {
    /// Adds the tree at a path, addressed by its archive.
    ///
    /// - Parameters:
    ///   - path: The top of the tree on this machine.
    ///   - name: The object's name.
    /// - Returns: What the store knows of the object.
    /// - Throws: ``ClientError``; when the tree cannot be read, the connection is over.
    func addTree(_ path: String, name: String) throws(ClientError) -> ValidPathInfo {
        let request = WorkerRequest.addToStore(
            name: name, method: .recursive, algorithm: HashAlgorithm.sha256.name, references: [],
            repair: false)
        return try ask(
            request,
            upload: { (frames) throws(ClientError) in
                try frames.sendArchive { (body) throws(StoreFileError) in
                    try archive(path, body)
                }
            },
            { (reader, context) throws(WireError) in try reader.pathInfo(context) })
    }

    /// Adds one text that may refer to other objects.
    func addText(
        _ bytes: [UInt8], name: String, references: Set<StorePath>
    ) throws(ClientError) -> ValidPathInfo {
        let request = WorkerRequest.addToStore(
            name: name, method: .text, algorithm: HashAlgorithm.sha256.name,
            references: references, repair: false)
        return try ask(
            request, upload: { (frames) throws(ClientError) in try frames.send(bytes) },
            { (reader, context) throws(WireError) in try reader.pathInfo(context) })
    }

    /// Adds one object whose hash and path are known.
    func add(_ upload: Upload) throws(ClientError) {
        try ask(
            .addToStoreNar(upload.info, repair: false, skipsSignatures: false),
            upload: { (frames) throws(ClientError) in
                try frames.sendArchive { (body) throws(StoreFileError) in
                    try upload.archive(body)
                }
            },
            { (_, _) throws(WireError) in })
    }

    /// Adds those of many objects that are not there yet, in one request.
    ///
    /// - Parameter uploads: The objects, each after those that it refers to.
    /// - Throws: ``ClientError``; when a tree cannot be read, the connection is over.
    func add(all uploads: [Upload]) throws(ClientError) {
        let valid = try validPaths(among: Set(uploads.map(\.info.path)))
        var seen = valid
        let absent = uploads.filter { seen.insert($0.info.path).inserted }
        // Valid ones could be collected before they are used.
        for path in valid.sorted() { try addTemporaryRoot(path) }
        guard !absent.isEmpty else { return }
        // Infos are sent in one form whatever the version of the connection.
        let form = WireContext(store: context.store, version: ProtocolVersion(minor: 16))
        do {
            try send(absent, form)
        } catch {
            // The other side can only say that something is not what it was said to be.
            guard case .refused = error, let tree = try changedTree(of: absent) else { throw error }
            throw .changed(tree)
        }
    }

    /// A tree that is not what it was when its path was computed, if there is one.
    private func changedTree(of uploads: [Upload]) throws(ClientError) -> String? {
        for upload in uploads {
            guard case .tree(let path) = upload.content else { continue }
            var hash = HashStream(.sha256)
            do {
                try upload.archive { hash.update($0) }
            } catch {
                throw .source(error)
            }
            if hash.finalize() != upload.info.narHash { return path }
        }
        return nil
    }

    private func send(_ absent: [Upload], _ form: WireContext) throws(ClientError) {
        try ask(
            .addMultipleToStore(repair: false, skipsSignatures: false),
            upload: { (frames) throws(ClientError) in
                var writer = WireWriter()
                writer.integer(UInt64(absent.count))
                for upload in absent {
                    writer.pathInfo(upload.info, form)
                    try frames.send(writer.take())
                    try frames.sendArchive { (body) throws(StoreFileError) in
                        try upload.archive(body)
                    }
                }
            },
            { (_, _) throws(WireError) in })
    }

    /// Writes the archive of a valid path to a descriptor, and checks it on the way.
    ///
    /// - Parameters:
    ///   - info: What the store knows of the path.
    ///   - number: Where to write; stays the caller's.
    /// - Throws: ``ClientError/corrupt(_:)`` when the bytes, which are written then, are not the object's.
    func dump(_ info: ValidPathInfo, to number: CInt) throws(ClientError) {
        try ask(.narFromPath(info.path)) { (_, _) throws(WireError) in }
        var hash = HashStream(.sha256)
        var left = info.narSize
        while left > 0 {
            let piece = try read { (reader, _) throws(WireError) in
                try reader.bytes(Int(min(left, 1 << 20)))
            }
            hash.update(piece)
            do {
                try writeAll(piece, to: number, called: "the archive")
            } catch {
                channel.abort()
                throw .sink(error)
            }
            left -= UInt64(piece.count)
        }
        guard hash.finalize() == info.narHash else {
            // After the archive nothing can be said any more, so another one leaves us out of step.
            channel.abort()
            throw .corrupt(info.path)
        }
    }
}

/// Writes all of `bytes`.
func writeAll(_ bytes: [UInt8], to number: CInt, called name: String) throws(SystemError) {
    try bytes.borrowed { (all) throws(SystemError) in
        var rest = all[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = try check("write", on: name) {
                write(number, piece.baseAddress, piece.count)
            }
            rest = rest.dropFirst(count)
        }
    }
}
