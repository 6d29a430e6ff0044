import DerivationFormat
import Hashing
import StoreModel
import Testing

@Suite("DerivationHasher") struct DerivationHasherTests {
    /// Some path; what is hashed here is not compared with anything that it would follow from.
    static let output: StorePath = {
        do {
            return try StorePathMaker(.standard).textPath(name: "x", contents: [])
        } catch {
            preconditionFailure("\(error)")
        }
    }()

    @Test("every output path that Nix computed is computed again")
    func golden() throws {
        var derivations: [StorePath: Derivation] = [:]
        for (name, bytes) in Fixtures.derivations {
            let (path, derivation) = try Fixtures.parse(name, bytes)
            derivations[path] = derivation
        }
        var hasher = DerivationHasher(.standard)
        for derivation in derivations.values {
            let paths = try hasher.outputPaths(of: derivation) { derivations[$0] }
            for (name, output) in derivation.outputs { #expect(paths[name] == output.path) }
        }
    }

    @Test("a chain of 100,000 derivations is walked without recursion, each asked for once")
    func chain() throws {
        let count = 100_000
        var asked = 0
        var hasher = DerivationHasher(.standard)
        let hash = try hasher.hashModulo(of: try path(count - 1)) { wanted in
            asked += 1
            return chained(wanted)
        }
        #expect(asked == count)
        guard case .regular = hash else {
            Issue.record("\(hash) should be one digest")
            return
        }
    }

    @Test("a derivation that needs itself is refused")
    func cycle() throws {
        let first = try path(1)
        let second = try path(2)
        var hasher = DerivationHasher(.standard)
        #expect(throws: DerivationHashFault.cycle(first)) {
            try hasher.hashModulo(of: first) { derivation(needing: [$0 == first ? second : first]) }
        }
    }

    @Test("a missing input is named")
    func missing() throws {
        let wanted = try path(1)
        let needed = try path(2)
        var hasher = DerivationHasher(.standard)
        #expect(throws: DerivationHashFault.missingInput(needed)) {
            try hasher.hashModulo(of: wanted) { $0 == wanted ? derivation(needing: [needed]) : nil }
        }
    }

    @Test("the recipe of a fixed output does not matter, its content does")
    func fixedOutputs() throws {
        func hash(system: String, content: String) throws -> HashModulo {
            let address = ContentAddress(method: .flat, digest: .of(.sha256, content))
            let output = try StorePathMaker(.standard).path(name: "x", address: address)
            var fixed = derivation(needing: [])
            fixed.system = ByteString(system)
            fixed.outputs = [.out: .fixed(output, address)]
            var hasher = DerivationHasher(.standard)
            return try hasher.hashModulo(of: try path(1)) { _ in fixed }
        }
        #expect(try hash(system: "a", content: "c") == hash(system: "b", content: "c"))
        #expect(try hash(system: "a", content: "c") != hash(system: "a", content: "d"))
    }

    private func path(_ number: Int) throws -> StorePath {
        let digits = String(number)
        let hash = String(repeating: "0", count: 32 - digits.utf8.count) + digits
        return try StorePath(baseName: [UInt8]("\(hash)-x.drv".utf8))
    }

    private func chained(_ wanted: StorePath) -> Derivation? {
        guard let number = Int(wanted.hashPart) else { return nil }
        do {
            return derivation(needing: number == 0 ? [] : [try path(number - 1)])
        } catch {
            return nil
        }
    }

    private func derivation(needing inputs: [StorePath]) -> Derivation {
        var wanted: [StorePath: DerivationInput] = [:]
        for input in inputs { wanted[input] = DerivationInput([.out]) }
        return Derivation(
            name: "x", outputs: [.out: .inputAddressed(Self.output)], inputDerivations: wanted,
            inputSources: [], system: "s", builder: "b", arguments: [], environment: [:])
    }
}
