import DaemonWire
import DerivationFormat
import Glibc
import Hashing
import StoreFiles
import StoreModel
import SystemCalls
import Testing

@testable import kiln

@Suite("The client, against the real nix-daemon") struct WorkerClientTests {
    @Test("a tree is added under its name, and known then")
    func tree() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        #expect(client.context.version >= WorkerClient.oldest)
        #expect(client.daemon.version?.isEmpty == false)
        let tree = try makeTree(in: daemon.directory)
        let info = try client.addTree(tree, name: "some-tree")
        #expect(info.path.objectName == "some-tree")
        #expect(try client.pathInfo(info.path)?.narHash == info.narHash)
        #expect(try client.validPaths(among: [info.path]) == [info.path])
        var hash = HashStream(.sha256)
        var size = 0
        try archive(tree) {
            hash.update($0)
            size += $0.count
        }
        #expect(info.narHash == hash.finalize())
        #expect(info.narSize == UInt64(size))
        // The same again, which the daemon answers without storing anything.
        #expect(try client.addTree(tree, name: "some-tree") == info)
    }

    @Test("what is dumped is what was added, to the byte")
    func dump() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let tree = try makeTree(in: daemon.directory)
        let info = try client.addTree(tree, name: "tree")
        var expected: [UInt8] = []
        try archive(tree) { expected += $0 }
        let file = try daemon.directory.write("dump", "")
        let number = open(file, O_WRONLY | O_CLOEXEC)
        try #require(number >= 0)
        defer { close(number) }
        try client.dump(info, to: number)
        #expect(try readFile(file, limit: 1 << 26) == expected)
        // The connection is in step: the next request is answered.
        #expect(try client.pathInfo(info.path) != nil)
    }

    @Test("many objects go up in one request, in order, and only those that are absent")
    func many() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let maker = StorePathMaker(daemon.store)
        let tree = try makeTree(in: daemon.directory)
        var stream = HashStream(.sha256)
        var size: UInt64 = 0
        try archive(tree) {
            stream.update($0)
            size += UInt64($0.count)
        }
        let address = ContentAddress(method: .recursive, digest: stream.finalize())
        let treePath = try maker.path(name: "tree", address: address)
        let source = Upload(
            tree: tree, at: treePath, narHash: address.digest, narSize: size)
        let text = [UInt8]("refers to \(daemon.store.path(of: treePath))".utf8)
        let textPath = try maker.textPath(name: "text", contents: text, references: [treePath])
        let upload = Upload(text: text, at: textPath, references: [treePath])
        try client.add(all: [source])
        try client.add(all: [source, upload, upload])
        let info = try #require(try client.pathInfo(textPath))
        #expect(info.references == [treePath])
        #expect(info.narHash == upload.info.narHash)
        #expect(try client.referrers(of: treePath) == [textPath])
        #expect(try client.verify(checkContents: true) == false)
        // What goes up alone gives the same.
        #expect(
            try client.addText(text, name: "text", references: [treePath]).path == textPath)
    }

    @Test("a tree that became another since it was hashed is refused, and nothing is added")
    func changed() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let tree = try makeTree(in: daemon.directory)
        let digest = Digest.of(.sha256, "another")
        let path = try StorePathMaker(daemon.store).path(
            name: "tree", address: ContentAddress(method: .recursive, digest: digest))
        let upload = Upload(tree: tree, at: path, narHash: digest, narSize: 100)
        #expect(throws: ClientError.self) { try client.add(upload) }
        let other = try NixDaemon()
        #expect(try other.client().pathInfo(path) == nil)
    }

    @Test("an upload that breaks off in the middle is not taken for a whole one")
    func brokenUpload() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let tree = try makeTree(in: daemon.directory)
        let fifo = tree + "/zz"
        try #require(mkfifo(fifo, 0o600) == 0)
        #expect(throws: ClientError.source(.fileType(fifo))) {
            try client.addTree(tree, name: "tree")
        }
        #expect(throws: ClientError.closed) { try client.pathInfo(someStorePath("x")) }
    }

    @Test("a refusal leaves the connection in step")
    func refusal() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let absent = someStorePath("absent")
        let error = #expect(throws: ClientError.self) {
            try client.addText([0x78], name: "t", references: [absent])
        }
        let text = try #require(error).description
        #expect(text.contains("is not valid"))
        #expect(!text.contains("\u{1b}"))
        #expect(try client.pathInfo(absent) == nil)
    }

    @Test("an archive that is not what the store knows ends the connection")
    func corruptDump() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        var info = try client.addTree(try makeTree(in: daemon.directory), name: "tree")
        info.narHash = .of(.sha256, "another")
        let number = open("/dev/null", O_WRONLY | O_CLOEXEC)
        try #require(number >= 0)
        defer { close(number) }
        #expect(throws: ClientError.corrupt(info.path)) { try client.dump(info, to: number) }
        #expect(throws: ClientError.closed) { try client.pathInfo(info.path) }
    }

    @Test("a derivation is built, its log is heard, and its output is known")
    func build() throws {
        let daemon = try NixDaemon()
        var messages: [StderrMessage] = []
        let client = try daemon.client { messages.append($0) }
        try client.setOptions(ClientOptions(verbosity: 3))
        let (path, upload) = try derivation(
            "echo heard; echo done > $out", name: "built", in: daemon.store)
        try client.add(all: [upload])
        #expect(try client.missing([.built(path, outputs: nil)]).toBuild == [path])
        let results = try client.build([.built(path, outputs: nil)])
        let result = try #require(results.first?.1)
        #expect(result.status == .built)
        let output = try #require(try client.outputs(of: path)[.out])
        #expect(result.outputs[.out] == output)
        #expect(try client.pathInfo(output)?.deriver == path)
        var state = ProgressState()
        let news = messages.compactMap { state.handle($0, now: 0, store: daemon.store) }
        #expect(news.contains(.started(path)))
        #expect(news.contains(.log(path, line: "heard")))
        #expect(state.tail(of: path) == ["heard"])
        #expect(state.running.isEmpty)
        #expect(try client.missing([.built(path, outputs: nil)]).toBuild.isEmpty)
    }

    @Test("a build that fails is a result, and its neighbour is built all the same")
    func failure() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        try client.setOptions(ClientOptions(keepsGoing: true))
        let (bad, badUpload) = try derivation("exit 3", name: "bad", in: daemon.store)
        let (good, goodUpload) = try derivation("echo > $out", name: "good", in: daemon.store)
        try client.add(all: [badUpload, goodUpload])
        let wanted: [DerivedPath] = [.built(bad, outputs: nil), .built(good, outputs: nil)]
        var statuses: [DerivedPath: BuildResult.Status] = [:]
        for (target, result) in try client.build(wanted) { statuses[target] = result.status }
        #expect(statuses[wanted[0]] == .permanentFailure)
        #expect(statuses[wanted[1]] == .built)
    }

    @Test("what nothing needs is deleted, and what is needed is not")
    func delete() throws {
        let daemon = try NixDaemon()
        let client = try daemon.client()
        let info = try client.addTree(try makeTree(in: daemon.directory), name: "tree")
        // The connection that added it keeps it; it is the daemon who refuses.
        #expect(throws: ClientError.self) { try client.delete([info.path]) }
        #expect(try client.pathInfo(info.path) != nil)
    }
}

@Suite("The client, against peers that misbehave") struct MisbehavingPeerTests {
    /// A client whose peer says `bytes` and then closes its end.
    private func client(_ write: (inout WireWriter) -> Void) throws -> WorkerClient {
        try greet(saying: write)
    }

    private func greet(
        saying write: (inout WireWriter) -> Void
    ) throws -> WorkerClient {
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        var writer = WireWriter()
        write(&writer)
        try writeAll(writer.bytes, to: ends[1], called: "the peer")
        try #require(shutdown(ends[1], CInt(SHUT_WR)) == 0)
        defer { close(ends[1]) }
        return try WorkerClient(StreamChannel(OwnedDescriptor(takingOwnershipOf: ends[0])))
    }

    @Test("another protocol, an old version and an early end are told apart")
    func greetings() {
        #expect(throws: ClientError.wire(.malformed("a daemon of the worker protocol", at: 0))) {
            try client { $0.integer(0x4854_5450) }
        }
        #expect(throws: ClientError.tooOld(ProtocolVersion(minor: 33))) {
            try client { $0.daemonHello(ProtocolVersion(minor: 33)) }
        }
        #expect(throws: ClientError.closed) { try client { $0.daemonHello() } }
        #expect(throws: ClientError.closed) { try client { _ in } }
    }

    @Test("a daemon that cannot serve says why")
    func refusal() {
        let version = ProtocolVersion(minor: 38)
        #expect(throws: ClientError.refused("no store", traces: ["opening it"])) {
            try client {
                $0.daemonHello(version)
                $0.features([], version)
                $0.daemonInfo(Handshake.DaemonInfo(version: "1", trust: .trusted), version)
                $0.message(
                    .error(
                        level: 0, message: "\u{1b}[31mno store\u{1b}[0m", traces: ["opening it"]),
                    WireContext(version: version))
            }
        }
    }

    @Test("a length that no answer has is refused before memory is taken for it")
    func hugeLength() {
        #expect(throws: ClientError.wire(.tooLong(1 << 60, at: 24, limit: WireLimits.short))) {
            let version = ProtocolVersion(minor: 38)
            return try client {
                $0.daemonHello(version)
                $0.features([], version)
                $0.integer(1 << 60)
            }
        }
    }
}

private func makeTree(in directory: TemporaryDirectory) throws -> String {
    let tree = try directory.make("tree")
    _ = try directory.write("tree/file", String(repeating: "text ", count: 100_000))
    _ = try directory.write("tree/run", "#!/bin/sh\n", mode: 0o755)
    try #require(symlink("file", tree + "/link") == 0)
    _ = try directory.make("tree/directory")
    return tree
}

func someStorePath(_ name: String) -> StorePath {
    do {
        return try StorePath(baseName: [UInt8]("00000000000000000000000000000000-\(name)".utf8))
    } catch {
        preconditionFailure("\(error)")
    }
}

private func derivation(
    _ script: String, name: String, in store: StoreDirectory
) throws -> (StorePath, Upload) {
    var derivation = Derivation(
        name: name, outputs: [.out: .deferred], inputDerivations: [:], inputSources: [],
        system: "x86_64-linux", builder: "/bin/sh", arguments: ["-c", ByteString(script)],
        environment: ["name": ByteString(name), "out": ""])
    var hasher = DerivationHasher(store)
    let output = try #require(try hasher.outputPaths(of: derivation) { _ in nil }[.out] ?? nil)
    derivation.outputs[.out] = .inputAddressed(output)
    derivation.environment["out"] = store.path(of: output)
    let path = try StorePathMaker(store).derivationPath(of: derivation)
    return (path, EvaluatedRecipe.upload(derivation, at: path, in: store))
}
