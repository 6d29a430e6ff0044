import ArchiveFormat
import DerivationFormat
import Glibc
import Hashing
import LocalStore
import StoreFiles
import StoreModel
import SystemCalls
import Testing

/// A store of a test's own below a temporary directory, deleted at its end.
final class TestRoot: Sendable {
    let path: String
    let layout: StoreLayout

    init(directory: String = "nix/store") throws {
        var template = [CChar]("/tmp/kiln-store-XXXXXX".utf8.map { CChar(bitPattern: $0) } + [0])
        guard mkdtemp(&template) != nil else {
            throw SystemError(call: "mkdtemp", path: nil, errno: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        layout = StoreLayout(root: path)
        var place = path
        for part in directory.split(separator: "/") {
            place += "/" + part
            try #require(mkdir(place, 0o755) == 0)
        }
    }

    deinit {
        do {
            try Process.run(["chmod", "-R", "u+w", path])
            try Process.run(["rm", "-rf", path])
        } catch {
            Issue.record(error)
        }
    }

    func open() throws -> LocalStore { try LocalStore(layout) }

    func write(_ text: String, to file: String) throws {
        let number = Glibc.open(path + "/" + file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        try #require(number >= 0)
        #expect(Glibc.write(number, text, text.utf8.count) == text.utf8.count)
        close(number)
    }

    func read(_ file: String) throws -> String {
        let number = Glibc.open(path + "/" + file, O_RDONLY | O_CLOEXEC)
        try #require(number >= 0)
        defer { close(number) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(number, &buffer, buffer.count)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    // MARK: Objects

    /// Restores an archive as an object, which is not valid yet.
    func restore(_ archive: [UInt8], as path: StorePath) throws {
        let store = Glibc.open(layout.store, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(store >= 0)
        defer { close(store) }
        var reader = NARReader()
        var restorer = ArchiveRestorer(name: path.bytes, in: store, path: layout.store)
        _ = try archive.withUnsafeBytes { (bytes) throws(NARReadError<SystemError>) in
            try reader.feed(bytes, to: &restorer)
        }
        try reader.finish()
    }

    /// A file with contents, in the store directory but not valid yet.
    func makeText(
        _ name: String, _ text: String = "some text\n", references: Set<StorePath> = []
    ) throws -> ValidPathInfo {
        let contents = [UInt8](text.utf8)
        var writer = NARWriter()
        writer.beginFile(isExecutable: false, size: UInt64(contents.count))
        writer.contents(contents)
        writer.endFile()
        let nar = writer.take()
        let path = try StorePathMaker(.standard).textPath(
            name: name, contents: contents, references: references)
        try restore(nar, as: path)
        return ValidPathInfo(
            path: path, narHash: .of(.sha256, nar), narSize: UInt64(nar.count),
            references: references,
            contentAddress: ContentAddress(method: .text, digest: .of(.sha256, contents)))
    }

    /// A directory with a program, a link and a file in a subdirectory, not valid yet.
    func makeTree(
        _ name: String, references: Set<StorePath> = [], refersToItself: Bool = false
    ) throws -> ValidPathInfo {
        let hash = NixBase32.encode(Digest.of(.sha256, name).compressed(to: 20))
        let path = try StorePath(baseName: [UInt8]("\(hash)-\(name)".utf8))
        let mentioned = references.union(refersToItself ? [path] : [])
        let text = mentioned.sorted().map { "/nix/store/\($0)\n" }.joined()
        var writer = NARWriter()
        writer.beginDirectory()
        writer.entry(name: [UInt8]("bin".utf8))
        writer.beginDirectory()
        writer.entry(name: [UInt8]("program".utf8))
        writer.beginFile(isExecutable: true, size: UInt64(text.utf8.count))
        writer.contents([UInt8](text.utf8))
        writer.endFile()
        writer.endDirectory()
        writer.entry(name: [UInt8]("link".utf8))
        writer.symbolicLink(target: [UInt8]("bin/program".utf8))
        writer.endDirectory()
        let nar = writer.take()
        try restore(nar, as: path)
        return ValidPathInfo(
            path: path, narHash: .of(.sha256, nar), narSize: UInt64(nar.count),
            references: mentioned)
    }

    func removeObject(_ path: StorePath) throws {
        try Process.run(["chmod", "-R", "u+w", layout.store + "/" + path.baseName])
        try Process.run(["rm", "-rf", layout.store + "/" + path.baseName])
    }

    // MARK: The real Nix

    /// Runs a command of the real Nix on this store and gives what it prints.
    @discardableResult
    func nix(_ words: String...) throws -> String {
        // A collector reads what every process has open, and fails when another test's process has
        // something odd: so it sees no other processes.
        let alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        let process = try Process(
            (words.contains("--gc") ? alone : []) + [words[0], "--store", path] + words.dropFirst(),
            environment: [
                "NIX_CONFIG=build-users-group =\nsubstitute = false\nsandbox = false",
                "NIX_CONF_DIR=\(path)", "HOME=\(path)", "TMPDIR=\(path)",
                "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
            ])
        let text = process.rest()
        try #require(process.wait() == 0, "\(words) failed: \(text)")
        return text
    }

    func paths(in text: String) throws -> Set<StorePath> {
        Set(
            try text.split(separator: "\n").map {
                try StoreDirectory.standard.parse([UInt8]($0.utf8))
            })
    }
}
