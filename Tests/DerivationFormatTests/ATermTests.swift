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

    /// A derivation that wants outputs of outputs, nested this deep.
    static func nested(_ depth: Int) -> [UInt8] {
        let start = #"DrvWithVersion("xp-dyn-drv",[("out","","","")],[("\#(input)","#
        let value =
            String(repeating: #"([],[("out","#, count: depth) + #"["dev","out"]"#
            + String(repeating: ")])", count: depth)
        return [UInt8]((start + value + #")],[],"s","b",[],[])"#).utf8)
    }

    static let input = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a.drv"

    @Test("wants of wants are read and written")
    func dynamicInputs() throws {
        for depth in [1, 2, derivationInputDepthLimit] {
            let text = Self.nested(depth)
            let derivation = try parseDerivation(text, name: "x")
            #expect(aterm(of: derivation, in: .standard) == text)
            let value = try JSONValue(parsing: [UInt8](try json(of: derivation).text.utf8))
            #expect(try DerivationFormat.derivation(from: value) == derivation)
        }
        let two = #"(["out"],[("a",["x"]),("b",["y"])])"#
        let text = [UInt8](Self.minimal.utf8)
        let whole = String(decoding: text, as: UTF8.self).replacing(
            #"Derive([("out","","","")],[]"#,
            with:
                #"DrvWithVersion("xp-dyn-drv",[("out","","","")],[("\#(Self.input)",\#(two))]"#)
        let derivation = try parseDerivation([UInt8](whole.utf8), name: "x")
        #expect(derivation.inputDerivations.values.first?.dynamic.count == 2)
        #expect(aterm(of: derivation, in: .standard) == [UInt8](whole.utf8))
    }

    @Test("wants of wants beyond the limit are refused where they begin, however many follow")
    func deepInputs() throws {
        let prefix = #"DrvWithVersion("xp-dyn-drv",[("out","","","")],[("","#.utf8.count
        let fault = ATermFault.tooDeep(
            at: prefix + Self.input.utf8.count
                + derivationInputDepthLimit * #"([],[("out","#.utf8.count)
        for depth in [derivationInputDepthLimit + 1, 300_000] {
            #expect(throws: fault) { try parseDerivation(Self.nested(depth), name: "x") }
        }
    }

    @Test("an input of which nothing is wanted is refused")
    func emptyInputs() throws {
        let start = #"Derive([("out","","","")],[("#
        let text = start + #""\#(Self.input)",[])],[],"s","b",[],[])"#
        #expect(
            throws: ATermFault.malformed(
                "an input of which no output is wanted",
                at: start.utf8.count + Self.input.utf8.count + 3)
        ) { try parseDerivation([UInt8](text.utf8), name: "x") }
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
