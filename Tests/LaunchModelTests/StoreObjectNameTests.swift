import LaunchModel
import Testing

@Suite("StoreObjectName") struct StoreObjectNameTests {
    static let hash = "0123456789abcdfghijklmnpqrsvwxyz"

    @Test(
        "accepts every byte that Nix accepts",
        arguments: ["a", "A.b_c+d?e=f-0", ".hidden", "...", String(repeating: "n", count: 211)])
    func accepts(name: String) throws {
        let bytes = [UInt8]((Self.hash + "-" + name).utf8)
        let parsed = try StoreObjectName(parsing: bytes)
        #expect(parsed.bytes == bytes)
        #expect([UInt8](parsed.name) == [UInt8](name.utf8))
        #expect([UInt8](parsed.hashPart) == [UInt8](Self.hash.utf8))
    }

    @Test(
        "refuses at the first byte that does not fit",
        arguments: [
            ("", StoreObjectName.Fault.length(33)),
            (String(repeating: "n", count: 212), .length(245)),
            (".", .dotName), ("..", .dotName), (".-x", .dotName), ("..-x", .dotName),
            ("a/b", .illegalByte(0x2f, at: 34)), ("\0", .illegalByte(0, at: 33)),
            ("ä", .illegalByte(0xc3, at: 33)),
            ("a\n", .illegalByte(0x0a, at: 34)),
        ])
    func refuses(name: String, fault: StoreObjectName.Fault) {
        #expect(throws: fault) {
            try StoreObjectName(parsing: [UInt8]((Self.hash + "-" + name).utf8))
        }
    }

    @Test(
        "refuses letters that the hash alphabet does not have",
        arguments: ["e", "o", "t", "u", "A", "/"])
    func refusesHash(letter: String) {
        let bytes = [UInt8]((letter + Self.hash.dropFirst() + "-x").utf8)
        #expect(throws: StoreObjectName.Fault.illegalByte(bytes[0], at: 0)) {
            try StoreObjectName(parsing: bytes)
        }
    }

    @Test("refuses another byte in place of the dash")
    func refusesDash() {
        #expect(throws: StoreObjectName.Fault.illegalByte(UInt8(ascii: "_"), at: 32)) {
            try StoreObjectName(parsing: [UInt8]((Self.hash + "_x").utf8))
        }
    }
}
