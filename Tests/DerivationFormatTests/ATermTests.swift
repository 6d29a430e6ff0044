import DerivationFormat
import StoreModel
import Testing

@Suite("Text form of derivations") struct ATermTests {
    static let minimal =
        #"Derive([("out","","","")],[],[],"x86_64-linux","/bin/sh",["-c"],[("a","b"),("out","")])"#

    @Test("every derivation that Nix wrote is written again byte for byte, and belongs at its path")
    func golden() throws {
        #expect(Fixtures.derivations.count == 77)
        for (name, bytes) in Fixtures.derivations {
            let (path, derivation) = try Fixtures.parse(name, bytes)
            #expect(aterm(of: derivation, in: .standard) == bytes)
            #expect(try StorePathMaker(.standard).derivationPath(of: derivation) == path)
        }
    }

    @Test("no derivation is read from a text that ends too early")
    func truncations() throws {
        let bytes = Fixtures.derivations[0].bytes
        for count in bytes.indices {
            #expect(throws: ATermFault.self) {
                try parseDerivation([UInt8](bytes[..<count]), name: "x")
            }
        }
    }

    @Test(
        "says at which byte a text stops being the canonical form",
        arguments: [
            ("", ATermFault.truncated(at: 0)),
            ("Derive[", .expected("Derive(", at: 0)),
            (minimal + "\n", .expected("the end", at: minimal.utf8.count)),
            (
                #"Derive([],[],[],"s","b",[],[])"#,
                .malformed("a derivation has at least one output", at: 9)
            ),
            (
                minimal.replacing(#"("a","b"),("out","")"#, with: #"("out",""),("a","b")"#),
                .notCanonical(at: 67)
            ),
            (minimal.replacing(#""b""#, with: #""\b""#), .notCanonical(at: 71)),
            (
                minimal.replacing(#"("a","b")"#, with: #"("a","b"),("a","b")"#),
                .notCanonical(at: 77)
            ),
            (
                minimal.replacing(#"("out","","","")"#, with: #"("o t","","","")"#),
                .malformed("not an output name", at: 9)
            ),
            (
                minimal.replacing(#"("out","","","")"#, with: #"("out","","","ff")"#),
                .malformed("a hash without an algorithm", at: 21)
            ),
            (
                minimal.replacing(#"("out","","","")"#, with: #"("out","","r:sha3","")"#),
                .malformed("unknown hash algorithm 'r:sha3'", at: 18)
            ),
        ])
    func refuses(text: String, fault: ATermFault) {
        #expect(throws: fault) { try parseDerivation([UInt8](text.utf8), name: "x") }
    }

    @Test("wants of wants are read and written, however deep, without recursion")
    func dynamicInputs() throws {
        let drv = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a.drv"
        let start = #"DrvWithVersion("xp-dyn-drv",[("out","","","")],[(""# + drv + #"","#
        let end = #")],[],"s","b",[],[])"#
        for depth in [1, 2, 20_000] {
            let value =
                String(repeating: #"([],[("out","#, count: depth) + #"["dev","out"]"#
                + String(repeating: ")])", count: depth)
            let text = [UInt8]((start + value + end).utf8)
            let derivation = try parseDerivation(text, name: "x")
            #expect(aterm(of: derivation, in: .standard) == text)
        }
        let two = #"(["out"],[("a",["x"]),("b",["y"])])"#
        let text = [UInt8]((start + two + end).utf8)
        let derivation = try parseDerivation(text, name: "x")
        #expect(derivation.inputDerivations.values.first?.dynamic.count == 2)
        #expect(aterm(of: derivation, in: .standard) == text)
    }

    @Test("bytes that are no UTF-8 survive")
    func rawBytes() throws {
        var text = [UInt8](Self.minimal.utf8)
        let place = try #require(text.lastIndex(of: UInt8(ascii: "b")))
        text[place] = 0xff
        let derivation = try parseDerivation(text, name: "x")
        #expect(derivation.environment["a"]?.bytes == [0xff])
        #expect(aterm(of: derivation, in: .standard) == text)
    }
}
