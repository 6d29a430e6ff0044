import StoreModel
import Testing

@testable import DerivationFormat

@Suite("Verification of derivation files") struct DerivationVerificationTests {
    static let files = Fixtures.derivations.map {
        (file: String(decoding: $0.name, as: UTF8.self), name: $0.name, bytes: $0.bytes)
    }

    @Test("finds nothing wrong with what Nix wrote")
    func golden() {
        let result = verifyDerivations(Self.files, in: .standard)
        #expect(result.derivations == 77)
        #expect(result.failures == [])
        #expect(result.outputs == 77)
    }

    @Test("finds one changed byte in any file")
    func changes() throws {
        for index in Self.files.indices {
            var files = [Self.files[index]]
            let place = try #require(files[0].bytes.lastIndex(of: UInt8(ascii: "h")))
            files[0].bytes[place] = UInt8(ascii: "i")
            #expect(verifyDerivations(files, in: .standard).failed == 1)
        }
    }

    @Test("finds an output path that does not follow from the derivation, under a name by hand")
    func outputs() throws {
        let text =
            #"Derive([("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x","","")],[],[],"s","b",[],[("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x")])"#
        let result = verifyDerivations(
            [("x.drv", [UInt8]("x.drv".utf8), [UInt8](text.utf8))], in: .standard)
        #expect(result.failed == 1)
        #expect(
            result.failures[0].message.hasPrefix(
                "output 'out' is '0123456789abcdfghijklmnpqrsvwxyz-x'"))
    }

    @Test("does not compute outputs whose inputs are not in the set")
    func openSet() throws {
        let file = try #require(Self.files.first { $0.file.hasSuffix("chain-9.drv") })
        let result = verifyDerivations([file], in: .standard)
        #expect(result.derivations == 1 && result.outputs == 0 && result.failures.isEmpty)
    }

    @Test("asks for each file of a chain of 5,000 a few times, whether its end is there or not")
    func longChains() throws {
        let count = 5_000
        var files: [(file: String, name: [UInt8], bytes: [UInt8])] = []
        var hasher = DerivationHasher(.standard)
        var derivations: [StorePath: Derivation] = [:]
        var last: StorePath?
        for number in 0..<count {
            var derivation = Derivation(
                name: "n\(number)", outputs: [.out: .deferred], inputDerivations: [:],
                inputSources: [], system: "s", builder: "b", arguments: [],
                environment: ["out": ""])
            if let last { derivation.inputDerivations[last] = DerivationInput([.out]) }
            let paths = try hasher.outputPaths(of: derivation) { derivations[$0] }
            let output = try #require(paths[.out])
            derivation.outputs[.out] = .inputAddressed(output)
            derivation.environment["out"] = StoreDirectory.standard.path(of: output)
            let path = try StorePathMaker(.standard).derivationPath(of: derivation)
            derivations[path] = derivation
            files.append((path.baseName, path.bytes, aterm(of: derivation, in: .standard)))
            last = path
        }
        var lookups = 0
        let whole = verifyDerivations(files, in: .standard) { lookups += 1 }
        #expect(whole.failures == [] && whole.outputs == count)
        #expect(lookups <= 2 * count)
        lookups = 0
        let open = verifyDerivations(Array(files.dropFirst()), in: .standard) { lookups += 1 }
        #expect(open.failures == [] && open.outputs == 0)
        #expect(lookups <= 2 * count)
    }

    @Test("finds a missing or wrong output variable, even where the path cannot be computed")
    func variables() throws {
        let file = try #require(Self.files.first { $0.file.hasSuffix("chain-9.drv") })
        let (_, derivation) = try Fixtures.parse(file.name, file.bytes)
        for value in [nil, "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x"] as [ByteString?] {
            var changed = derivation
            changed.environment["out"] = value
            let result = verifyDerivations(
                [("a.drv", [UInt8]("chain-9.drv".utf8), aterm(of: changed, in: .standard))],
                in: .standard)
            #expect(result.failed == 1)
            #expect(result.failures[0].message.hasPrefix("the variable 'out' is "))
        }
    }

    @Test("refuses a file that is not called .drv, and one that lies under another name")
    func names() throws {
        let other = [UInt8]("0123456789abcdfghijklmnpqrsvwxyz-simple.drv".utf8)
        let bytes = Self.files[0].bytes
        #expect(verifyDerivations([("a", [UInt8]("a".utf8), bytes)], in: .standard).failed == 1)
        #expect(verifyDerivations([("b", other, bytes)], in: .standard).failed == 1)
    }
}
