import DerivationFormat
import Glibc
import Hashing
import LocalStore
import StoreModel
import SystemCalls
import Testing

@Suite("Registering") struct RegisteringTests {
    let root: TestRoot
    let store: LocalStore

    init() throws {
        root = try TestRoot()
        store = try root.open()
    }

    @Test("an object that is there becomes valid, with the time if none is given")
    func register() throws {
        let a = try root.makeText("a")
        let b = try root.makeTree("b", references: [a.path], refersToItself: true)
        try store.register([b, a])
        var found = try #require(try store.pathInfo(b.path))
        #expect(found.registrationTime > 1_700_000_000)
        found.registrationTime = 0
        #expect(found == b)
        #expect(try store.referrers(of: a.path) == [b.path])
        #expect(try Set(store.closure(of: [b.path]).keys) == [a.path, b.path])
        #expect(try store.isValid(a.path))
        #expect(try store.path(withHashPart: a.path.hashPart) == a.path)
        #expect(
            throws: LocalStoreError.stillAlive(
                a.path, root: "the valid object '\(b.path)' refers to it")
        ) { try store.invalidate([a.path]) }
        try store.invalidate([a.path, b.path])
        #expect(try store.allValidPaths().isEmpty)
    }

    @Test("an object that is not there is refused, and so is all that came with it")
    func missing() throws {
        let a = try root.makeText("a")
        let b = try root.makeText("b")
        try root.removeObject(b.path)
        #expect(throws: LocalStoreError.objectMissing(b.path, at: store.object(at: b.path))) {
            try store.register([a, b])
        }
        #expect(try store.allValidPaths().isEmpty)
        #expect(mkfifo(store.object(at: b.path), 0o600) == 0)
        #expect(throws: LocalStoreError.objectMissing(b.path, at: store.object(at: b.path))) {
            try store.register([b])
        }
        try store.register([a])
        #expect(try store.allValidPaths() == [a.path])
    }

    @Test("of many threads that register at once, only those at fault are refused")
    func threads() async throws {
        let other = try root.open()
        let outcomes = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
            for number in 0..<120 {
                let store = number.isMultiple(of: 2) ? store : other
                group.addTask { [root] in
                    var info = try root.makeText("t\(number)", "\(number)")
                    switch number % 6 {
                    case 0: try root.removeObject(info.path)
                    case 1:
                        info.references = [
                            try StorePath(
                                baseName: [UInt8](
                                    "00000000000000000000000000000000-x".utf8))
                        ]
                    case 2: info.signatures = ["two words"]
                    default: break
                    }
                    do {
                        try store.register([info])
                        return (number, try store.isValid(info.path))
                    } catch {
                        return (number, false)
                    }
                }
            }
            var outcomes: [Int: Bool] = [:]
            for try await (number, isValid) in group { outcomes[number] = isValid }
            return outcomes
        }
        for (number, isValid) in outcomes { #expect(isValid == (number % 6 >= 3), "\(number)") }
        #expect(try store.allValidPaths().count == 60)
        #expect(try store.verify(checkContents: true) { Issue.record("\($0)") }.validPaths == 60)
    }

    /// A derivation that promises nothing about its content, with its one output's path.
    private func derivation(_ name: String, inputs: [StorePath] = []) throws -> Derivation {
        var derivation = Derivation(
            name: name, outputs: [.out: .deferred],
            inputDerivations: Dictionary(
                uniqueKeysWithValues: inputs.map { ($0, DerivationInput([.out])) }),
            inputSources: [], system: "x86_64-linux", builder: "/bin/sh", arguments: [],
            environment: ["out": "", "name": ByteString(name)])
        var hasher = DerivationHasher(.standard)
        let paths = try hasher.outputPaths(of: derivation) { input in
            do { return try store.readDerivation(input) } catch { return nil }
        }
        let out = try #require(paths[.out])
        derivation.outputs = [.out: .inputAddressed(out)]
        derivation.environment["out"] = StoreDirectory.standard.path(of: out)
        return derivation
    }

    private func make(_ derivation: Derivation) throws -> ValidPathInfo {
        try root.makeText(
            derivation.name + ".drv",
            String(decoding: aterm(of: derivation, in: .standard), as: UTF8.self),
            references: Set(derivation.inputDerivations.keys))
    }

    @Test("a derivation is read back, and its outputs are in the database without being told")
    func derivations() throws {
        let first = try derivation("first")
        let firstInfo = try make(first)
        try store.register([firstInfo])
        #expect(try store.readDerivation(firstInfo.path) == first)
        let second = try derivation("second", inputs: [firstInfo.path])
        let secondInfo = try make(second)
        try store.register([secondInfo])
        // Another store has nothing in its memory.
        #expect(try root.open().readDerivation(secondInfo.path) == second)
        let out = try #require(second.outputs[.out]?.path)
        #expect(try store.derivationOutputs(of: secondInfo.path) == [.out: out])
        #expect(try store.validDerivers(of: out) == [secondInfo.path])
    }

    @Test("a derivation whose output paths do not follow from it is refused")
    func forgedDerivation() throws {
        var forged = try derivation("forged")
        let stolen = try root.makeText("stolen").path
        forged.outputs = [.out: .inputAddressed(stolen)]
        forged.environment["out"] = StoreDirectory.standard.path(of: stolen)
        let info = try make(forged)
        #expect(throws: LocalStoreError.self) { try store.register([info]) }
        #expect(try store.allValidPaths().isEmpty)
        let nonsense = try root.makeText("nonsense.drv", "Derive(")
        #expect(throws: LocalStoreError.self) { try store.register([nonsense]) }
        // Somebody else may have registered it; reading checks again.
        try store.register([info], derivations: [info.path: [.out: stolen]])
        #expect(throws: LocalStoreError.self) { try store.readDerivation(info.path) }
        #expect(throws: LocalStoreError.notValid(nonsense.path)) {
            try store.readDerivation(nonsense.path)
        }
    }
}
