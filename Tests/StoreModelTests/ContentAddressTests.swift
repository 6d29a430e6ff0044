import Hashing
import StoreModel
import Testing

@Suite("ContentAddress") struct ContentAddressTests {
    @Test("every method and algorithm is read as it was written")
    func roundTrip() throws {
        for method in ContentAddressMethod.allCases {
            for algorithm in HashAlgorithm.allCases {
                let address = ContentAddress(method: method, digest: .of(algorithm, "kiln"))
                #expect(try ContentAddress(parsing: address.description) == address)
            }
        }
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "fixed:", "text:sha256", "fixed:x:sha256:00", "nar:sha256:0", "fixed:r:sha256:zz",
        ])
    func refuses(text: String) {
        #expect(throws: ContentAddressFault.self) { try ContentAddress(parsing: text) }
    }

    @Test("a digest in another text form is refused")
    func otherForms() {
        let digest = Digest.of(.sha256, "kiln")
        #expect(throws: ContentAddressFault.self) {
            try ContentAddress(parsing: "fixed:r:" + digest.text(.base16, prefixed: true))
        }
    }
}
