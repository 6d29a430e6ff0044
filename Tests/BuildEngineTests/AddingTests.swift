import ArchiveFormat
import BuildEngine
import DerivationFormat
import Foundation
import Hashing
import LocalStore
import StoreModel
import Testing

@Suite("Objects that clients add")
struct AddingTests {
    /// The archive of a directory with a file and a link.
    private func tree() -> [UInt8] {
        var writer = NARWriter()
        writer.beginDirectory()
        writer.entry(name: [UInt8]("file".utf8))
        writer.beginFile(isExecutable: true, size: 3)
        writer.contents([UInt8]("abc".utf8))
        writer.endFile()
        writer.entry(name: [UInt8]("link".utf8))
        writer.symbolicLink(target: [UInt8]("file".utf8))
        writer.endDirectory()
        return writer.bytes
    }

    private func feed(_ bytes: [UInt8], to upload: ObjectUpload) throws {
        for start in stride(from: 0, to: bytes.count, by: 7) {
            try [UInt8](bytes[start..<min(start + 7, bytes.count)]).withUnsafeBytes {
                _ = try upload.feed($0)
            }
        }
    }

    @Test("a tree lies at the path that follows from its archive, and twice is once")
    func recursive() throws {
        let store = try TestStore()
        var infos: [ValidPathInfo] = []
        for _ in 0..<2 {
            let upload = try store.engine.upload(
                name: "tree", method: .recursive, algorithm: .sha256, references: [])
            try feed(tree(), to: upload)
            infos.append(try upload.finish())
        }
        let digest = Digest.of(.sha256, tree())
        #expect(infos[0].narHash == digest)
        #expect(infos[0].path == infos[1].path)
        let computed = try StorePathMaker(.standard).path(
            name: "tree", address: ContentAddress(method: .recursive, digest: digest))
        #expect(infos[0].path == computed)
        let place = store.engine.store.object(at: infos[0].path)
        #expect(FileManager.default.isExecutableFile(atPath: place + "/file"))
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: place + "/link") == "file")
        #expect(try incoming(store).isEmpty)
    }

    @Test(
        "engines that run at once add to one store, and only one that is alone clears what is left")
    func twoEngines() throws {
        let first = try TestStore()
        let begun = try first.engine.upload(
            name: "tree", method: .recursive, algorithm: .sha256, references: [])
        try feed(tree(), to: begun)
        let second = try TestStore(sharing: first)
        let other = try second.engine.upload(
            name: "other", method: .recursive, algorithm: .sha256, references: [])
        try feed(tree(), to: other)
        let (one, two) = (try begun.finish(), try other.finish())
        #expect(one.narHash == two.narHash)
        #expect(one.path != two.path)
        #expect(try second.engine.store.pathInfo(one.path) != nil)

        let left = first.root + "/nix/var/kiln/incoming/1"
        #expect(FileManager.default.createFile(atPath: left, contents: nil))
        try TestStore(sharing: first).close()
        #expect(FileManager.default.fileExists(atPath: left))
        first.close()
        second.close()
        withExtendedLifetime((begun, other, first.engine, second.engine)) {}
    }

    @Test("what a killed engine left is cleared by the next")
    func leftovers() throws {
        let place = "/nix/var/kiln/incoming/1"
        let root = NSTemporaryDirectory() + "kiln-engine-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: root + "/nix/var/kiln/incoming", withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: root + place, contents: nil))
        let store = try TestStore(at: root)
        #expect(try incoming(store).isEmpty)
    }

    private func incoming(_ store: TestStore) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: store.root + "/nix/var/kiln/incoming")
    }

    @Test("a bare file is hashed as it comes, whatever its size")
    func flat() throws {
        let store = try TestStore()
        for contents in [[UInt8]("flat".utf8), [], [UInt8](repeating: 9, count: 300_000)] {
            let upload = try store.engine.upload(
                name: "file", method: .flat, algorithm: .sha512, references: [])
            try contents.withUnsafeBytes { try upload.feed(file: $0) }
            try upload.endFile()
            let info = try upload.finish()
            var writer = NARWriter()
            writer.beginFile(isExecutable: false, size: UInt64(contents.count))
            writer.contents(contents)
            writer.endFile()
            #expect(info.narHash == Digest.of(.sha256, writer.bytes))
            #expect(info.narSize == UInt64(writer.bytes.count))
            #expect(info.contentAddress?.digest == Digest.of(.sha512, contents))
        }
    }

    @Test("an archive that is cut short or has another hash or size leaves nothing behind")
    func wrongArchive() throws {
        let store = try TestStore()
        let bytes = tree()
        let address = ContentAddress(method: .recursive, digest: .of(.sha256, bytes))
        let path = try StorePathMaker(.standard).path(name: "tree", address: address)
        let right = ValidPathInfo(
            path: path, narHash: .of(.sha256, bytes), narSize: UInt64(bytes.count),
            contentAddress: address)
        var otherHash = right
        otherHash.narHash = .of(.sha256, "other")
        var otherSize = right
        otherSize.narSize += 8
        var otherPath = right
        otherPath.path = try StorePathMaker(.standard).path(
            name: "tree", address: ContentAddress(method: .recursive, digest: .of(.sha256, "")))
        for (info, sent) in [
            (otherHash, bytes), (otherSize, bytes), (otherPath, bytes),
            (right, [UInt8](bytes.dropLast(8))),
        ] {
            #expect(throws: EngineError.self) {
                let upload = try store.engine.upload(info, isTrusted: true)
                try feed(sent, to: upload)
                _ = try upload.finish()
            }
            #expect(try !store.engine.store.isValid(info.path))
        }
        #expect(try incoming(store).isEmpty)
        let upload = try store.engine.upload(right, isTrusted: false)
        try feed(bytes, to: upload)
        #expect(try upload.finish().path == path)
    }

    @Test("only trusted clients add what no content proves, and references must be valid")
    func trust() throws {
        let store = try TestStore()
        let bytes = tree()
        let path = try StorePath(baseName: [UInt8]((String(repeating: "1", count: 32) + "-x").utf8))
        let absent = try StorePath(
            baseName: [UInt8]((String(repeating: "0", count: 32) + "-y").utf8))
        var info = ValidPathInfo(
            path: path, narHash: .of(.sha256, bytes), narSize: UInt64(bytes.count),
            references: [absent])
        #expect(throws: EngineError.self) { _ = try store.engine.upload(info, isTrusted: false) }
        #expect(throws: EngineError.invalidReference(path, to: absent)) {
            let upload = try store.engine.upload(info, isTrusted: true)
            try feed(bytes, to: upload)
            _ = try upload.finish()
        }
        info.references = [path]
        let upload = try store.engine.upload(info, isTrusted: true)
        try feed(bytes, to: upload)
        #expect(try upload.finish().references == [path])
    }

    @Test("a derivation that lies about its outputs is refused")
    func lyingDerivation() throws {
        let store = try TestStore()
        let honest = try TestStore.derivation("honest")
        var lying = honest
        lying.arguments = ["other"]
        #expect(throws: EngineError.self) { try store.add(lying) }
        #expect(try store.engine.store.allValidPaths().isEmpty)
        let path = try store.add(honest)
        let outputs = try store.engine.store.derivationOutputs(of: path)
        #expect(outputs[.out] == honest.outputs[.out]?.path)
    }

    /// Uploads one derivation.
    private func add(
        _ derivation: Derivation, in group: UploadGroup, _ store: TestStore
    ) throws -> StorePath {
        let text = aterm(of: derivation, in: .standard)
        var writer = NARWriter()
        writer.beginFile(isExecutable: false, size: UInt64(text.count))
        writer.contents(text)
        writer.endFile()
        let upload = try store.engine.upload(
            name: derivation.name + ".drv", method: .text, algorithm: .sha256,
            references: derivation.inputSources.union(derivation.inputDerivations.keys))
        try feed(writer.bytes, to: upload)
        return try upload.finish(in: group).path
    }

    @Test("objects of a group may refer to those before them, come twice, and are valid at its end")
    func group() throws {
        let store = try TestStore()
        let group = store.engine.uploadGroup()
        var known: [StorePath: Derivation] = [:]
        var last: StorePath?
        for number in 0..<40 {
            let derivation = try TestStore.derivation(
                "d\(number)", inputs: last.map { [$0: [.out]] } ?? [:], known: known)
            let path = try add(derivation, in: group, store)
            #expect(try add(derivation, in: group, store) == path)
            known[path] = derivation
            last = path
        }
        try group.finish()
        #expect(try store.engine.store.allValidPaths() == Set(known.keys))
    }

    @Test("what a group refuses hinders neither what came before it nor what comes after")
    func refusedInGroup() throws {
        let store = try TestStore()
        let group = store.engine.uploadGroup()
        let first = try add(try TestStore.derivation("first"), in: group, store)
        var lying = try TestStore.derivation("lying")
        lying.arguments = ["other"]
        #expect(throws: EngineError.self) { _ = try add(lying, in: group, store) }
        let second = try add(try TestStore.derivation("second"), in: group, store)
        try group.finish()
        #expect(try store.engine.store.allValidPaths() == [first, second])
    }

    @Test("a derivation refers to its inputs and nothing else")
    func derivationReferences() throws {
        let store = try TestStore()
        let source = try store.engine.addFile(name: "s", contents: [1], references: []).path
        let derivation = try TestStore.derivation("d")
        #expect(throws: EngineError.self) {
            _ = try store.engine.addFile(
                name: "d.drv", contents: aterm(of: derivation, in: .standard), references: [source])
        }
    }

    @Test("objects are deleted only when nothing refers to them")
    func deletion() throws {
        let store = try TestStore()
        let bytes = tree()
        let below = try StorePath(
            baseName: [UInt8]((String(repeating: "1", count: 32) + "-b").utf8))
        let above = try StorePath(
            baseName: [UInt8]((String(repeating: "2", count: 32) + "-a").utf8))
        let objects: [(StorePath, Set<StorePath>)] = [(below, []), (above, [below])]
        for (path, references) in objects {
            let place = store.engine.store.object(at: path)
            _ = FileManager.default.createFile(atPath: place, contents: Data("x".utf8))
            try store.engine.store.register([
                ValidPathInfo(
                    path: path, narHash: .of(.sha256, bytes), narSize: 100, references: references)
            ])
        }
        #expect(throws: EngineError.self) { _ = try store.engine.delete([below]) }
        #expect(try store.engine.store.isValid(below))
        let missing = try StorePath(
            baseName: [UInt8]((String(repeating: "3", count: 32) + "-m").utf8))
        let (deleted, freed) = try store.engine.delete([below, above, missing])
        #expect(deleted == [below, above])
        #expect(freed == 200)
        #expect(try store.engine.store.allValidPaths().isEmpty)
        #expect(store.contents(of: below) == nil)
    }
}
