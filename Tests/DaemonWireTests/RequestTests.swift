import DaemonWire
import Hashing
import StoreModel
import Testing

@Suite("Worker requests") struct RequestTests {
    static let out = storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo")
    static let drv = storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv")

    static let requests: [WorkerRequest] = {
        let info = ValidPathInfo(
            path: out, narHash: .of(.sha256, "y"), narSize: 7, references: [out], deriver: drv,
            registrationTime: 9, isUltimate: true, signatures: ["a:b"])
        let derivation = Derivation(
            name: "foo", outputs: [.out: .inputAddressed(out)], inputDerivations: [:],
            inputSources: [out], system: "s", builder: "b", arguments: ["c"],
            environment: ["k": "v"])
        let paths: [DerivedPath] = [
            .opaque(drv), .built(drv, outputs: nil), .built(drv, outputs: [.out]),
        ]
        var requests: [WorkerRequest] = [
            .isValidPath(out), .queryReferrers(out), .ensurePath(out), .addTemporaryRoot(out),
            .addIndirectRoot([UInt8]("/home/result".utf8)), .findRoots, .queryAllValidPaths,
            .queryPathInfo(out), .queryPathFromHashPart(out.hashPart),
            .queryValidPaths([out, drv], substitute: true), .queryValidDerivers(out),
            .verifyStore(checkContents: true, repair: false), .narFromPath(out),
            .addToStoreNar(info, repair: false, skipsSignatures: true), .queryMissing(paths),
            .queryDerivationOutputMap(drv),
            .addMultipleToStore(repair: true, skipsSignatures: false),
            .setOptions(
                ClientOptions(
                    keepsFailed: true, keepsGoing: true, verbosity: 7, maximumJobs: 2,
                    maximumSilence: 3, cores: 4, usesSubstitutes: false, settings: ["a": "b"])),
        ]
        requests += ContentAddressMethod.allCases.map {
            .addToStore(
                name: "x", method: $0, algorithm: "sha256", references: [out], repair: false)
        }
        requests += WorkerRequest.GarbageAction.allCases.map {
            .collectGarbage($0, paths: [out], ignoresLiveness: false, maximumFreed: .max)
        }
        for mode in WorkerRequest.BuildMode.allCases {
            requests += [
                .buildPaths(paths, mode), .buildPathsWithResults(paths, mode),
                .buildDerivation(drv, derivation, mode),
            ]
        }
        return requests
    }()

    @Test("every request is read as it was written, and no prefix of one is", arguments: requests)
    func roundTrip(request: WorkerRequest) throws {
        var writer = WireWriter()
        writer.request(request, WireContext())
        var whole = reader(writer.bytes, piece: 7)
        #expect(try whole.request(WireContext()) == request)
        #expect(try whole.isAtEnd())
        for count in writer.bytes.indices {
            #expect(throws: WireError.truncated(at: UInt64(count))) {
                var cut = reader([UInt8](writer.bytes[..<count]))
                return try cut.request(WireContext())
            }
        }
    }

    @Test("operations that do not exist, and values that mean nothing, end the connection")
    func refuses() {
        func refused(_ write: (inout WireWriter) -> Void) -> WireError? {
            var writer = WireWriter()
            write(&writer)
            var reader = reader(writer.bytes)
            do {
                _ = try reader.request(WireContext())
                return nil
            } catch {
                return error
            }
        }
        for number: UInt64 in [0, 2, 15, 48, 1000, .max] {
            #expect(
                refused { $0.integer(number) }
                    == .malformed("an operation that this daemon knows", at: 0))
        }
        #expect(
            refused {
                $0.integer(20)
                $0.integer(4)
            } == .malformed("an action of the collector", at: 8))
        #expect(
            refused {
                $0.integer(46)
                $0.integer(0)
                $0.integer(3)
            } == .malformed("a build mode", at: 16))
        #expect(
            refused {
                $0.integer(36)
                $0.storePath(Self.out, WireContext())
            } == .malformed("the path of a derivation", at: 8))
        #expect(
            refused {
                $0.integer(7)
                $0.text("x")
                $0.text("sha256")
            } == .malformed("a method of content addressing", at: 24))
    }
}

@Suite("Handshake") struct HandshakeTests {
    @Test("both sides agree on the older version", arguments: [UInt8(10), 13, 14, 32, 33, 35, 38])
    func agree(minor: UInt8) throws {
        let theirs = ProtocolVersion(minor: minor)
        var client = WireWriter()
        client.clientHello(theirs)
        client.features(["a", "b"], theirs)
        client.clientRest(theirs)
        var daemon = reader(client.bytes)
        #expect(try daemon.clientHello() == theirs)
        #expect(try daemon.features(theirs) == (minor == 38 ? ["a", "b"] : []))
        try daemon.clientRest(theirs)
        #expect(try daemon.isAtEnd())
        var answer = WireWriter()
        answer.daemonHello()
        answer.daemonInfo(.init(version: "2.34.8", trust: .trusted), theirs)
        var reading = reader(answer.bytes)
        #expect(try reading.daemonHello() == .newest)
        let info = try reading.daemonInfo(theirs)
        #expect(info.version == (minor >= 33 ? "2.34.8" : nil))
        #expect(info.trust == (minor >= 35 ? .trusted : .unknown))
        #expect(try reading.isAtEnd())
    }

    @Test("a version from the future is spoken as our newest; others are refused")
    func versions() throws {
        var writer = WireWriter()
        writer.clientHello(ProtocolVersion(minor: 200))
        var future = reader(writer.bytes)
        #expect(try future.clientHello() == .newest)
        for minor: UInt8 in [0, 9] {
            writer = WireWriter()
            writer.clientHello(ProtocolVersion(minor: minor))
            #expect(throws: WireError.malformed("a version from 1.10 on", at: 8)) {
                var old = reader(writer.bytes)
                return try old.clientHello()
            }
        }
        #expect(throws: WireError.malformed("a daemon of the worker protocol", at: 0)) {
            var wrong = reader(writer.bytes)
            return try wrong.daemonHello()
        }
    }

    @Test(
        "what upstream's daemons send a client is understood", .enabled(if: Golden.directory != nil)
    )
    func upstream() throws {
        var hello = reader(Golden.read("worker-protocol/handshake-to-client.bin"))
        #expect(throws: Never.self) { try hello.daemonHello() }
        for minor: UInt8 in [30, 33, 35] {
            let bytes = Golden.read("worker-protocol/client-handshake-info_1_\(minor).bin")
            let version = ProtocolVersion(minor: minor)
            var reader = reader(bytes)
            var writer = WireWriter()
            var count = 0
            while try !reader.isAtEnd() {
                writer.daemonInfo(try reader.daemonInfo(version), version)
                count += 1
            }
            #expect(writer.bytes == bytes)
            #expect((count > 0) == (minor >= 33))
        }
    }
}
