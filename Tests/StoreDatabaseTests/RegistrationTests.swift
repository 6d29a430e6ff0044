import Hashing
import StoreDatabase
import StoreModel
import Testing

@Suite("Registration") struct RegistrationTests {
    let scratch: Scratch
    let rows: StoreDatabase

    init() throws {
        scratch = try Scratch()
        rows = try scratch.open()
    }

    @Test("every field comes back as it was written")
    func roundTrip() throws {
        var full = info("full", references: ["a", "b", "full"])
        full.deriver = sample("full.drv")
        full.isUltimate = true
        full.signatures = ["cache-1:c2ln", "other-1:c2ln"]
        full.contentAddress = ContentAddress(
            method: .recursive, digest: .of(.sha256, "content"))
        var flat = info("flat")
        flat.contentAddress = ContentAddress(method: .flat, digest: .of(.sha512, "content"))
        let all = [full, flat, info("a"), info("b", references: ["a"])]
        try rows.add(all)
        for info in all { #expect(try rows.info(of: info.path) == info) }
        #expect(try rows.pathInfos(Set(all.map(\.path))).count == 4)
        #expect(try rows.info(of: sample("nothing")) == nil)
    }

    @Test("rows are spelled as other programs spell them")
    func spelling() throws {
        var full = info("full")
        full.deriver = sample("full.drv")
        full.isUltimate = true
        full.signatures = ["b:c2ln", "a:c2ln", "b:c2ln"]
        full.contentAddress = ContentAddress(method: .text, digest: .of(.sha256, "content"))
        try rows.add([full, info("plain")])
        let hash = Digest.of(.sha256, "full").text(.base16, prefixed: true)
        let address = "text:" + Digest.of(.sha256, "content").text(.nix32, prefixed: true)
        #expect(
            try scratch.sqlite(
                """
                select path,hash,registrationTime,deriver,narSize,ultimate,sigs,ca
                from ValidPaths where ultimate = 1
                """)
                == "/nix/store/\(full.path)|\(hash)|1700000000|/nix/store/\(sample("full.drv"))"
                + "|1234|1|a:c2ln b:c2ln|\(address)\n")
        #expect(
            try scratch.sqlite(
                """
                select count(*) from ValidPaths where deriver is null and ultimate is null
                and sigs is null and ca is null and path like '%-plain'
                """) == "1\n")
    }

    @Test("a reference to an object that is neither valid nor in the batch is refused")
    func missingReference() throws {
        #expect(
            throws: StoreDatabaseError.referenceNotValid(sample("a"), reference: sample("b"))
        ) { try rows.add([info("c"), info("a", references: ["b"])]) }
        #expect(try rows.allValidPaths().isEmpty)
        try rows.add([info("b")])
        try rows.add([info("a", references: ["b"])])
        #expect(try rows.referrers(of: sample("b")) == [sample("a")])
    }

    @Test("objects that refer to one another in a circle are refused, also through valid ones")
    func cycles() throws {
        #expect(throws: StoreDatabaseError.cycle([sample("a"), sample("b")].sorted())) {
            try rows.add([
                info("a", references: ["b"]), info("b", references: ["a"]), info("c"),
            ])
        }
        #expect(try rows.allValidPaths().isEmpty)
        try rows.add([info("a")])
        try rows.add([info("b", references: ["a"])])
        #expect(throws: StoreDatabaseError.cycle([sample("a")])) {
            try rows.add([info("a", references: ["b"])])
        }
        #expect(try rows.info(of: sample("a")) == info("a"))
        try rows.add([info("a", references: ["a"])])
        #expect(try rows.referrers(of: sample("a")) == [sample("a"), sample("b")])
    }

    @Test("registering again replaces what is known, but for deriver and time, and adds references")
    func again() throws {
        var first = info("a", references: ["x"])
        first.deriver = sample("a.drv")
        first.signatures = ["one:c2ln"]
        try rows.add([first, info("x"), info("y")])
        var second = info("a", references: ["y"])
        second.registrationTime = 1
        second.deriver = sample("other.drv")
        second.isUltimate = true
        second.narHash = .of(.sha256, "other")
        second.narSize = 99
        try rows.add([second])
        var expected = second
        expected.registrationTime = first.registrationTime
        expected.deriver = first.deriver
        expected.references = [sample("x"), sample("y")]
        #expect(try rows.info(of: sample("a")) == expected)
    }

    @Test("one refused registration hinders none of the others in the same transaction")
    func group() throws {
        var bad = info("bad")
        bad.signatures = ["two words"]
        let results = rows.register([
            Registration([info("a")]),
            Registration([info("stray"), bad]),
            Registration([info("b", references: ["a"])]),
            Registration([info("c", references: ["stray"])]),
        ])
        #expect(
            results.map { result in
                if case .success = result { true } else { false }
            } == [true, false, true, false])
        #expect(try rows.allValidPaths() == [sample("a"), sample("b")])
    }

    @Test(
        "values that no row can hold are refused",
        arguments: ["", "a b", "a:\nb", "a:\u{e9}"])
    func values(signature: String) throws {
        var bad = info("bad")
        bad.signatures = [signature]
        #expect(throws: StoreDatabaseError.self) { try rows.add([bad]) }
        var huge = info("huge")
        huge.narSize = .max
        #expect(throws: StoreDatabaseError.self) { try rows.add([huge]) }
        var other = info("other")
        other.narHash = .of(.sha512, "other")
        #expect(throws: StoreDatabaseError.self) { try rows.add([other]) }
        #expect(try rows.allValidPaths().isEmpty)
    }

    @Test("the outputs of a derivation are found from both ends")
    func outputs() throws {
        let derivation = sample("a.drv")
        guard let dev = OutputName([UInt8]("dev".utf8)) else { return }
        let outputs = [OutputName.out: sample("a"), dev: sample("a-dev")]
        try rows.add([info("a.drv"), info("a")], outputs: [derivation: outputs])
        #expect(try rows.derivationOutputs(of: derivation) == outputs)
        #expect(try rows.validDerivers(of: sample("a-dev")) == [derivation])
        #expect(throws: StoreDatabaseError.notValid(sample("b.drv"))) {
            try rows.derivationOutputs(of: sample("b.drv"))
        }
        #expect(throws: StoreDatabaseError.self) {
            try rows.add([info("b")], outputs: [sample("b"): outputs])
        }
    }
}
