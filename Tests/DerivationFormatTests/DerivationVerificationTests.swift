import DerivationFormat
import StoreModel
import Testing

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
            #"Derive([("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x","","")],[],[],"s","b",[],[])"#
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

    @Test("refuses a file that is not called .drv, and one that lies under another name")
    func names() throws {
        let other = [UInt8]("0123456789abcdfghijklmnpqrsvwxyz-simple.drv".utf8)
        let bytes = Self.files[0].bytes
        #expect(verifyDerivations([("a", [UInt8]("a".utf8), bytes)], in: .standard).failed == 1)
        #expect(verifyDerivations([("b", other, bytes)], in: .standard).failed == 1)
    }
}
