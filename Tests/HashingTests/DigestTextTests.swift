import Hashing
import Testing

@Suite("Digest") struct DigestTextTests {
    @Test(
        "hashes what the standards say",
        arguments: [
            (HashAlgorithm.md5, "900150983cd24fb0d6963f7d28e17f72"),
            (.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                .sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                    + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ])
    func standards(algorithm: HashAlgorithm, expected: String) {
        let digest = Digest.of(algorithm, "abc")
        #expect(digest.text(.base16, prefixed: false) == expected)
        var stream = HashStream(algorithm)
        for byte in "abc".utf8 { stream.update([byte]) }
        #expect(stream.finalize() == digest)
    }

    @Test(
        "every text form is read again, with and without the algorithm",
        arguments: HashAlgorithm.allCases)
    func roundTrip(algorithm: HashAlgorithm) throws {
        let digest = Digest.of(algorithm, "kiln")
        for form in DigestForm.allCases {
            #expect(try Digest(parsing: digest.text(form, prefixed: true)) == digest)
            #expect(
                try Digest(parsing: digest.text(form, prefixed: false), algorithm: algorithm)
                    == digest)
        }
    }

    @Test("says why a text is no digest")
    func refuses() {
        let text = Digest.of(.sha256, "kiln").text(.base16, prefixed: false)
        #expect(throws: DigestFault.algorithmMissing(text)) { try Digest(parsing: text) }
        #expect(throws: DigestFault.unknownAlgorithm("sha3")) {
            try Digest(parsing: "sha3:" + text)
        }
        #expect(throws: DigestFault.otherAlgorithm("sha256:" + text, expected: .md5)) {
            try Digest(parsing: "sha256:" + text, algorithm: .md5)
        }
        #expect(throws: DigestFault.length("sha256:00", .sha256)) {
            try Digest(parsing: "sha256:00")
        }
        let bad = "g" + text.dropFirst()
        #expect(throws: DigestFault.malformed(bad)) { try Digest(parsing: bad, algorithm: .sha256) }
        // Base 16 is no form of subresource integrity.
        #expect(throws: DigestFault.length("sha256-" + text, .sha256)) {
            try Digest(parsing: "sha256-" + text)
        }
    }

    @Test("folds a digest by exclusive or")
    func compressed() {
        var expected: [UInt8] = [0, 0, 0]
        for byte in UInt8(0)..<16 { expected[Int(byte % 3)] ^= byte }
        #expect(Digest(.md5, bytes: [UInt8](0..<16)).compressed(to: 3) == expected)
    }
}
