import DerivationFormat
import StoreModel
import Testing

@testable import kiln

@Suite("Adding derivations") struct DerivationAddTests {
    private func file(
        _ name: String, needing inputs: [DerivationFile] = []
    ) throws -> DerivationFile {
        let wants = inputs.map { ($0.path, DerivationInput([.out])) }
        let derivation = Derivation(
            name: name, outputs: [.out: .deferred],
            inputDerivations: Dictionary(uniqueKeysWithValues: wants), inputSources: [],
            system: "x86_64-linux", builder: "/bin/sh", arguments: [], environment: [:])
        return try DerivationFile(derivation, from: name)
    }

    @Test("inputs come before their users, whatever the order of the files")
    func order() throws {
        let a = try file("a")
        let b = try file("b", needing: [a])
        let c = try file("c", needing: [a])
        let d = try file("d", needing: [b, c])
        for files in [[a, b, c, d], [d, c, b, a], [c, a, d, b, a]] {
            let paths = try inputsFirst(files).map(\.path)
            #expect(paths.count == 4)
            for (user, input) in [(b, a), (c, a), (d, b), (d, c)] {
                let before = try #require(paths.firstIndex(of: input.path))
                let behind = try #require(paths.firstIndex(of: user.path))
                #expect(before < behind)
            }
        }
    }

    @Test("a chain of thousands is put in order without recursion")
    func chain() throws {
        var files: [DerivationFile] = []
        for number in 0..<5000 {
            files.append(try file("n\(number)", needing: files.suffix(1).map { $0 }))
        }
        #expect(try inputsFirst(files.reversed()).map(\.path) == files.map(\.path))
    }

    @Test("what is sent of one refers to everything that it names")
    func references() throws {
        let a = try file("a")
        let b = try file("b", needing: [a])
        #expect(b.upload.info.references == [a.path])
        #expect(b.upload.info.path == b.path)
    }
}
