import LaunchModel
import StoreModel
import Testing

@Suite("StorePath") struct StorePathTests {
    let text = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-hello.drv"

    @Test("is the one component below the store directory")
    func parses() throws {
        let path = try StoreDirectory.standard.parse([UInt8](text.utf8))
        #expect(path.objectName == "hello.drv")
        #expect(path.hashPart == "0123456789abcdfghijklmnpqrsvwxyz")
        #expect(path.isDerivation)
        #expect(StoreDirectory.standard.path(of: path).description == text)
    }

    @Test(
        "is refused when it lies elsewhere or deeper",
        arguments: [
            "", "/nix/store", "/nix/store/", "/nix/storex/0123456789abcdfghijklmnpqrsvwxyz-a",
            "/gnu/store/0123456789abcdfghijklmnpqrsvwxyz-a",
            "/nix/store//0123456789abcdfghijklmnpqrsvwxyz-a",
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/bin",
        ])
    func refuses(path: String) {
        #expect(throws: StorePathFault.self) {
            try StoreDirectory.standard.parse([UInt8](path.utf8))
        }
    }

    @Test(
        "a store directory is absolute and clean",
        arguments: ["", "/", "nix", "/nix/", "/a/../b", "/a//b"])
    func directories(path: String) {
        #expect(StoreDirectory([UInt8](path.utf8)) == nil)
    }

    @Test("names that differ only in Unicode form are different byte strings")
    func bytesNotText() {
        #expect(ByteString("\u{e9}") != ByteString("e\u{301}"))
        #expect(OutputName([UInt8]("\u{e9}".utf8)) == nil)
        #expect(ByteString("a") < ByteString("b"))
    }
}
