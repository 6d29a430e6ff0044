import DaemonWire
import Hashing
import StoreModel
import Testing

@Suite("Wire primitives") struct WirePrimitiveTests {
    @Test(
        "integers, strings and lists are read as they were written, in pieces of any size",
        arguments: [1, 3, 8, 1000])
    func roundTrip(piece: Int) throws {
        var writer = WireWriter()
        writer.integer(.max)
        writer.string([])
        writer.text("twelve bytes")
        writer.list([1, 2, 3]) { $0.integer($1) }
        writer.bool(true)
        var reader = reader(writer.bytes, piece: piece)
        #expect(try reader.integer() == .max)
        #expect(try reader.string() == [])
        #expect(try reader.text() == "twelve bytes")
        #expect(
            try reader.list { (reader) throws(WireError) in try reader.integer() } == [1, 2, 3])
        #expect(try reader.bool())
        #expect(try reader.isAtEnd())
        #expect(reader.offset == UInt64(writer.bytes.count))
    }

    @Test("says at which byte a string is cut off, too long, badly padded or no text")
    func refuses() {
        var writer = WireWriter()
        writer.text("abc")
        for count in writer.bytes.indices {
            #expect(throws: WireError.truncated(at: UInt64(count))) {
                var cut = reader([UInt8](writer.bytes[..<count]))
                return try cut.string()
            }
        }
        #expect(throws: WireError.tooLong(3, at: 0, limit: 2)) {
            var long = reader(writer.bytes)
            return try long.string(limit: 2)
        }
        var padded = writer.bytes
        padded[13] = 1
        #expect(throws: WireError.padding(at: 13)) {
            var reader = reader(padded)
            return try reader.string()
        }
        var binary = writer.bytes
        binary[8] = 0xff
        #expect(throws: WireError.malformed("text in UTF-8", at: 0)) {
            var reader = reader(binary)
            return try reader.text()
        }
        #expect(throws: WireError.tooLong(.max, at: 0, limit: WireLimits.list)) {
            var huge = reader([UInt8](repeating: 0xff, count: 8))
            return try huge.list { (reader) throws(WireError) in try reader.integer() }
        }
    }

    @Test("a framed stream is told in pieces, and drained when nobody wants it any more")
    func frames() throws {
        struct Enough: Error {}
        var writer = WireWriter()
        for piece in ["hello, ", "", "world"] where !piece.isEmpty {
            [UInt8](piece.utf8).withUnsafeBytes { writer.frame($0) }
        }
        writer.integer(0)
        writer.integer(42)
        var whole = reader(writer.bytes, piece: 5)
        var bytes: [UInt8] = []
        _ = try whole.frames { bytes += $0 }
        #expect(bytes == [UInt8]("hello, world".utf8))
        #expect(try whole.integer() == 42)
        var stopped = reader(writer.bytes, piece: 5)
        let result = try stopped.frames { (_) throws(Enough) in throw Enough() }
        #expect(throws: Enough.self) { try result.get() }
        #expect(try stopped.integer() == 42)
    }
}

@Suite("Wire values") struct WireValueTests {
    static let foo = storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv")

    @Test(
        "path infos, derived paths, results and derivations are read as they were written, at every version"
    )
    func roundTrips() throws {
        let out = storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo")
        let address = ContentAddress(method: .recursive, digest: .of(.sha256, "x"))
        let info = ValidPathInfo(
            path: out, narHash: .of(.sha256, "y"), narSize: 7, references: [out], deriver: Self.foo,
            registrationTime: 9, isUltimate: true, signatures: ["a:b"], contentAddress: address)
        let result = BuildResult(
            status: .built, message: "m", timesBuilt: 1, isNonDeterministic: true, startTime: 2,
            stopTime: 3, userTime: 4, systemTime: nil, outputs: [.out: out])
        for minor in [UInt8(16), 28, 30, 37, 38] {
            let context = WireContext(version: ProtocolVersion(minor: minor))
            var writer = WireWriter()
            writer.pathInfo(info, context)
            writer.buildResult(result, context)
            for outputs: Set<OutputName>? in [nil, [.out]] {
                writer.derivedPath(.built(Self.foo, outputs: outputs), context)
            }
            var reader = reader(writer.bytes, piece: 3)
            #expect(try reader.pathInfo(context) == info)
            var expected = result
            if minor < 29 {
                (
                    expected.timesBuilt, expected.isNonDeterministic, expected.startTime,
                    expected.stopTime
                ) = (0, false, 0, 0)
            }
            if minor < 37 { expected.userTime = nil }
            if minor < 28 { expected.outputs = [:] }
            #expect(try reader.buildResult(context) == expected)
            #expect(try reader.derivedPath(context) == .built(Self.foo, outputs: nil))
            #expect(try reader.derivedPath(context) == .built(Self.foo, outputs: [.out]))
            #expect(try reader.isAtEnd())
        }
    }

    @Test("a derivation travels without its input derivations")
    func basicDerivations() throws {
        let out = storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo")
        let address = ContentAddress(method: .flat, digest: .of(.sha1, "x"))
        for output: DerivationOutput in [
            .inputAddressed(out), .fixed(out, address), .floating(.recursive, .sha256), .deferred,
            .impure(.text, .sha512),
        ] {
            let derivation = Derivation(
                name: "foo", outputs: [.out: output], inputDerivations: [:], inputSources: [out],
                system: "s", builder: "b", arguments: ["", "a\0"], environment: ["k": "v", "": ""])
            var writer = WireWriter()
            writer.basicDerivation(derivation, WireContext())
            var reader = reader(writer.bytes)
            #expect(try reader.basicDerivation(name: "foo", WireContext()) == derivation)
            #expect(try reader.isAtEnd())
        }
    }

    @Test(
        "paths outside of the store directory, and values that mean nothing, are refused",
        arguments: [
            "", "/nix/store", "/etc/passwd", "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a/b",
        ])
    func badPaths(text: String) {
        var writer = WireWriter()
        writer.text(text)
        #expect(throws: WireError.malformed("a store path in '/nix/store'", at: 0)) {
            var reader = reader(writer.bytes)
            return try reader.storePath(WireContext())
        }
    }

    @Test("messages are read as they were written")
    func messages() throws {
        let messages: [StderrMessage] = [
            .line("text"), .read(5), .write([1, 2]), .last,
            .error(level: 0, message: "m", traces: ["t", "u"]),
            .startActivity(
                id: 1, level: 2, type: 105, text: "x", fields: [.text("a"), .integer(1)], parent: 3),
            .stopActivity(id: 1), .result(id: 1, type: 101, fields: [.text("line")]),
        ]
        var writer = WireWriter()
        for message in messages { writer.message(message, WireContext()) }
        var reader = reader(writer.bytes)
        for message in messages { #expect(try reader.message(WireContext()) == message) }
        #expect(try reader.isAtEnd())
    }

    @Test("old clients get lines for activities that begin, and nothing for what they do not know")
    func oldMessages() throws {
        let old = WireContext(version: ProtocolVersion(minor: 18))
        var writer = WireWriter()
        writer.message(
            .startActivity(id: 1, level: 0, type: 0, text: "building", fields: [], parent: 0), old)
        writer.message(.stopActivity(id: 1), old)
        writer.message(.result(id: 1, type: 0, fields: []), old)
        writer.message(.error(level: 0, message: "m", traces: ["t"]), old)
        var reader = reader(writer.bytes)
        #expect(try reader.message(old) == .line("building..."))
        #expect(try reader.message(old) == .error(level: 0, message: "m", traces: []))
        #expect(try reader.isAtEnd())
    }

    @Test("a version is 1 and a number", arguments: [UInt64(0), 0x26, 0x200, 0x1_0126])
    func versions(number: UInt64) {
        #expect(ProtocolVersion(number: number) == nil)
        #expect(ProtocolVersion(number: 0x126) == .newest)
        #expect(ProtocolVersion(minor: 18) < .newest)
    }
}

@Suite("Upstream's golden bytes", .enabled(if: Golden.directory != nil))
struct UpstreamWireTests {
    @Test("path infos are read and written again byte for byte", arguments: [UInt8(15), 16])
    func pathInfos(minor: UInt8) throws {
        let context = WireContext(version: ProtocolVersion(minor: minor))
        let bytes = Golden.read("worker-protocol/valid-path-info-1.\(minor).bin")
        var reader = reader(bytes)
        var writer = WireWriter()
        var count = 0
        while try !reader.isAtEnd() {
            writer.pathInfo(try reader.pathInfo(context), context)
            count += 1
        }
        #expect(writer.bytes == bytes)
        #expect(count == (minor == 15 ? 2 : 3))
    }

    @Test("derived paths are read and written again byte for byte")
    func derivedPaths() throws {
        let bytes = Golden.read("worker-protocol/derived-path-1.30.bin")
        var reader = reader(bytes)
        var writer = WireWriter()
        var paths: [DerivedPath] = []
        while try !reader.isAtEnd() {
            let path = try reader.derivedPath(WireContext())
            paths.append(path)
            writer.derivedPath(path, WireContext())
        }
        #expect(writer.bytes == bytes)
        #expect(paths.count == 4)
        #expect(paths[1] == .opaque(storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv")))
        #expect(
            paths[2] == .built(storePath("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv"), outputs: nil))
    }

    @Test("build results are read and written again byte for byte", arguments: [UInt8(28), 29, 37])
    func buildResults(minor: UInt8) throws {
        let context = WireContext(version: ProtocolVersion(minor: minor))
        let bytes = Golden.read("worker-protocol/build-result-1.\(minor).bin")
        let hash = try Digest(
            parsing: "sha256:6f869f9ea2823bda165e06076fd0de4366dead2c0e8d2dbbad277d4f15c373f5")
        var reader = reader(bytes)
        var writer = WireWriter()
        var results: [BuildResult] = []
        while try !reader.isAtEnd() {
            let result = try reader.buildResult(context)
            results.append(result)
            writer.buildResult(result, hash: hash, context)
        }
        #expect(writer.bytes == bytes)
        #expect(results.map(\.status) == [.outputRejected, .notDeterministic, .built])
        #expect(results.last?.outputs.count == 2)
    }

    @Test("strings and store paths are read and written again byte for byte")
    func primitives() throws {
        for name in ["string", "store-path"] {
            let bytes = Golden.read("common-protocol/\(name).bin")
            var reader = reader(bytes)
            var writer = WireWriter()
            while try !reader.isAtEnd() {
                if name == "string" {
                    writer.string(try reader.string())
                } else {
                    writer.storePath(try reader.storePath(WireContext()), WireContext())
                }
            }
            #expect(writer.bytes == bytes)
        }
    }
}
