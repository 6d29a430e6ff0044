import DerivationFormat
import Hashing
import StoreModel
import Testing

@Suite("StorePathMaker") struct StorePathMakerTests {
    let maker = StorePathMaker(.standard)

    @Test("every content-addressed path that Nix registered is computed again")
    func golden() throws {
        let infos = try JSONValue(parsing: Fixtures.read("path-info.json"))
        guard case .object(let paths) = infos else {
            Issue.record("path-info.json should be an object")
            return
        }
        var computed = 0
        for (text, info) in paths {
            guard case .string(let address)? = info["ca"] else { continue }
            guard case .array(let list)? = info["references"] else { continue }
            let path = try StoreDirectory.standard.parse([UInt8](text.utf8))
            var references: Set<StorePath> = []
            for case .string(let reference) in list {
                references.insert(try StoreDirectory.standard.parse([UInt8](reference.utf8)))
            }
            let isItself = references.remove(path) != nil
            let parsed = try ContentAddress(parsing: address)
            #expect(parsed.description == address)
            #expect(
                try maker.path(
                    name: path.objectName, address: parsed, references: references,
                    refersToItself: isItself) == path)
            computed += 1
        }
        #expect(computed >= 77)
    }

    @Test("the store directory is part of what is hashed")
    func directories() throws {
        let other = try #require(StoreDirectory([UInt8]("/gnu/store".utf8)))
        #expect(
            try maker.textPath(name: "a", contents: [])
                != StorePathMaker(other).textPath(name: "a", contents: []))
    }

    @Test("only text and archives may refer to objects")
    func references() throws {
        let reference = try maker.textPath(name: "a", contents: [])
        for method in [ContentAddressMethod.flat, .git] {
            #expect(throws: StorePathMakerFault.referencesNotAllowed(method)) {
                try maker.path(
                    name: "b", address: ContentAddress(method: method, digest: .of(.sha256, "")),
                    references: [reference])
            }
        }
        #expect(throws: StorePathMakerFault.referencesNotAllowed(.recursive)) {
            try maker.path(
                name: "b", address: ContentAddress(method: .recursive, digest: .of(.sha1, "")),
                references: [reference])
        }
        #expect(throws: StorePathMakerFault.algorithm(.sha1)) {
            try maker.path(
                name: "b", address: ContentAddress(method: .text, digest: .of(.sha1, "")))
        }
    }

    @Test(
        "a name that no object can have is refused",
        arguments: ["", ".", "a/b", "a b", String(repeating: "a", count: 212)])
    func names(name: String) {
        #expect(throws: StorePathMakerFault.name(name)) {
            try maker.textPath(name: name, contents: [])
        }
    }
}
