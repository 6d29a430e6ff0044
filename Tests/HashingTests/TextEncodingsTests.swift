import Hashing
import Testing

@Suite("Text encodings") struct TextEncodingsTests {
    static let samples: [[UInt8]] = [
        [], [0], [0xff], [1, 2, 3], [UInt8](0..<20), [UInt8](0..<32),
        [UInt8](repeating: 0xff, count: 64),
    ]

    @Test("every encoding gives back what it was given", arguments: samples)
    func roundTrip(bytes: [UInt8]) {
        #expect(NixBase32.decode(NixBase32.encode(bytes)) == bytes)
        #expect(Base16.decode(Base16.encode(bytes)) == bytes)
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }

    @Test(
        "known text forms",
        arguments: [
            ("", "", "", ""), ("f", "36", "66", "Zg=="), ("fo", "0vv6", "666f", "Zm8="),
            ("foo", "6yvv6", "666f6f", "Zm9v"), ("foob", "1i6yvv6", "666f6f62", "Zm9vYg=="),
        ])
    func known(text: String, base32: String, base16: String, base64: String) {
        let bytes = [UInt8](text.utf8)
        #expect(NixBase32.length(ofBytes: bytes.count) == NixBase32.encode(bytes).utf8.count)
        #expect(Base16.encode(bytes) == base16)
        #expect(Base64.encode(bytes) == base64)
        #expect(NixBase32.encode(bytes) == base32)
    }

    @Test("nix-base32 refuses foreign characters, impossible lengths and bits beyond the last byte")
    func base32Refuses() {
        #expect(NixBase32.decode("e0") == nil)
        #expect(NixBase32.decode("0") == nil)
        #expect(NixBase32.decode("zz") == nil)
        #expect(NixBase32.decode("7z") == [0xff])
        #expect(NixBase32.decode("8z") == nil)
    }

    @Test(
        "base 64 refuses missing padding, bits that belong to no byte, and foreign characters",
        arguments: ["Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "====", "Z===", "Zm-v"])
    func base64Refuses(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("base 16 refuses odd lengths and foreign characters", arguments: ["0", "0g", "+1"])
    func base16Refuses(text: String) {
        #expect(Base16.decode(text) == nil)
    }
}
