import StoreFiles
import StoreModel
import Testing

@Suite("ReferenceScanner") struct ReferenceScannerTests {
    static func path(_ hash: String) -> StorePath {
        do {
            return try StorePath(baseName: [UInt8]("\(hash)-x".utf8))
        } catch {
            preconditionFailure("\(error)")
        }
    }

    static let first = path("0123456789abcdfghijklmnpqrsvwxyz")
    static let second = path("zyxwvsrqpnmlkjihgfdcba9876543210")

    func scan(_ text: String, pieces size: Int = .max) -> Set<StorePath> {
        var scanner = ReferenceScanner([Self.first, Self.second])
        let bytes = [UInt8](text.utf8)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = [UInt8](rest.prefix(size))
            piece.withUnsafeBytes { scanner.update($0) }
            rest = rest.dropFirst(piece.count)
        }
        return scanner.found
    }

    @Test(
        "finds hash parts anywhere, whatever stands around them",
        arguments: ["", "/nix/store/", "0", "z1", "e", String(repeating: "0", count: 100)])
    func finds(before: String) {
        #expect(scan(before + Self.first.hashPart) == [Self.first])
        #expect(
            scan(before + Self.first.hashPart + "-x" + Self.second.hashPart + before) == [
                Self.first, Self.second,
            ])
    }

    @Test("finds a hash part that pieces share, of any size", arguments: 1...70)
    func pieces(size: Int) {
        let text =
            String(repeating: "0", count: 33) + Self.first.hashPart + "/" + Self.second.hashPart
        #expect(scan(text, pieces: size) == [Self.first, Self.second])
        #expect(scan("....." + Self.first.hashPart, pieces: size) == [Self.first])
    }

    @Test("does not find what is one byte short, one byte off, or in capitals")
    func misses() {
        #expect(scan(String(Self.first.hashPart.dropLast())) == [])
        #expect(scan(String(Self.first.hashPart.dropFirst()) + "e") == [])
        #expect(scan(Self.first.hashPart.replacing("a", with: "A")) == [])
        #expect(scan("1" + Self.first.hashPart.dropFirst()) == [])
    }

    @Test("does not find parts that only touch when pieces of a dropped stretch are put together")
    func seams() {
        let half = Self.first.hashPart.prefix(16)
        let rest = Self.first.hashPart.dropFirst(16)
        #expect(scan(half + "." + rest, pieces: 16) == [])
        #expect(scan(half + "." + rest, pieces: 17) == [])
    }

    @Test("looks for nothing when nothing is asked for, and agrees with a plain search")
    func plain() {
        var empty = ReferenceScanner([])
        [UInt8](Self.first.hashPart.utf8).withUnsafeBytes { empty.update($0) }
        #expect(empty.found == [])
        // Overlaps: a run of base-32 characters in which the part begins at each place once.
        for shift in 0..<64 {
            let noise = String(repeating: "5", count: shift)
            #expect(scan(noise + Self.second.hashPart + noise, pieces: 32) == [Self.second])
        }
    }
}
