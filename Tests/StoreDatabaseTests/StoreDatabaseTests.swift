import Glibc
import Hashing
import StoreDatabase
import StoreModel
import Testing

@Suite("Store database") struct StoreDatabaseTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test("a new database has the tables of schema 10 and a write-ahead log")
    func schema() throws {
        let rows = try scratch.open()
        try rows.add([info("a")])
        #expect(
            try scratch.sqlite(
                "select type, name from sqlite_master where sql is not null order by type, name")
                    == """
                    index|IndexDerivationOutputs
                    index|IndexReference
                    index|IndexReferrer
                    table|DerivationOutputs
                    table|Refs
                    table|ValidPaths
                    table|sqlite_sequence
                    trigger|DeleteSelfRefs

                    """)
        #expect(try scratch.sqlite("pragma journal_mode") == "wal\n")
        #expect(try rows.damage().isEmpty)
    }

    @Test("a database of another kind is refused, and nothing is made in it")
    func otherDatabase() throws {
        try scratch.sqlite("create table Refs (referrer)")
        #expect(throws: StoreDatabaseError.schema(missing: "table 'ValidPaths'")) {
            try scratch.open(.refuse)
        }
        #expect(throws: StoreDatabaseError.self) { try scratch.open(.create) }
        #expect(try scratch.sqlite("select name from sqlite_master") == "Refs\n")
    }

    @Test("a file that is no database is an error")
    func noDatabase() throws {
        let file = open(scratch.database, O_WRONLY | O_CREAT, 0o600)
        try #require(file >= 0)
        let text = [UInt8](repeating: UInt8(ascii: "x"), count: 8192)
        #expect(write(file, text, text.count) == text.count)
        close(file)
        #expect(throws: StoreDatabaseError.self) { try scratch.open(.refuse) }
    }

    @Test(
        "a row that no store wrote is an error, not a crash and not a guess",
        arguments: [
            "'/elsewhere/a', 'sha256:00', 1, null, 1, null, null, null",
            "'STORE', 'sha256:00', 1, null, 1, null, null, null",
            "'STORE', 'HASH', 'x', null, 1, null, null, null",
            "'STORE', 'HASH', 1, '/x', 1, null, null, null",
            "'STORE', 'HASH', 1, null, 'x', null, null, null",
            "'STORE', 'HASH', 1, null, 1, null, x'00', null",
            "'STORE', 'HASH', 1, null, 1, null, null, 'x:y'",
        ])
    func corrupt(values: String) throws {
        let rows = try scratch.open()
        let a = info("a")
        let hash = a.narHash.text(.base16, prefixed: true)
        func insert(_ values: String) throws {
            let text = values.split(separator: "STORE", omittingEmptySubsequences: false)
                .joined(separator: "/nix/store/\(a.path)")
                .split(separator: "HASH", omittingEmptySubsequences: false).joined(separator: hash)
            try scratch.sqlite(
                """
                insert into ValidPaths
                (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)
                values (\(text))
                """)
        }
        try insert(values)
        #expect(throws: StoreDatabaseError.self) {
            _ = try rows.allValidPaths()
            _ = try rows.info(of: a.path)
        }
        try scratch.sqlite("delete from ValidPaths")
        try insert("'STORE', 'HASH', 1, null, 1, null, null, null")
        #expect(try rows.info(of: a.path)?.registrationTime == 1)
    }

    @Test("two connections see what the other one wrote")
    func shared() throws {
        let one = try scratch.open()
        let two = try scratch.open(.refuse)
        try one.add([info("a")])
        try two.add([info("b", references: ["a"])])
        #expect(try one.allValidPaths() == two.allValidPaths())
        #expect(try one.allValidPaths().count == 2)
    }
}
