import GRDB
import Glibc
import Hashing
import StoreDatabase
import StoreModel
import Testing

/// A directory of a test's own, deleted at its end.
final class Scratch {
    let path: String

    init() throws {
        var template = [CChar]("/tmp/kiln-rows-XXXXXX".utf8.map { CChar(bitPattern: $0) } + [0])
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var database: String { path + "/db.sqlite" }

    func open(_ missing: StoreDatabase.Missing = .create) throws -> StoreDatabase {
        try StoreDatabase(path: database, store: .standard, missing: missing)
    }

    /// Runs SQL on a connection of its own; columns are parted by `|`, rows end in newlines.
    @discardableResult
    func sqlite(_ sql: String) throws -> String {
        let connection = try DatabaseQueue(path: database)
        return try connection.writeWithoutTransaction { db in
            try Row.fetchAll(db, sql: sql).map { row in
                row.databaseValues.map { value in
                    switch value.storage {
                    case .null: ""
                    case .int64(let number): "\(number)"
                    case .string(let text): text
                    case .double, .blob: "?"
                    }
                }.joined(separator: "|") + "\n"
            }.joined()
        }
    }

    deinit {
        for suffix in ["", "-wal", "-shm"] { unlink(database + suffix) }
        rmdir(path)
    }
}

/// A path whose hash part follows from `name`.
func sample(_ name: String) -> StorePath {
    let hash = NixBase32.encode(Digest.of(.sha256, name).compressed(to: 20))
    guard let path = try? StorePath(baseName: [UInt8]("\(hash)-\(name)".utf8)) else {
        preconditionFailure("'\(name)' is a name")
    }
    return path
}

func info(_ name: String, references: [String] = []) -> ValidPathInfo {
    ValidPathInfo(
        path: sample(name), narHash: .of(.sha256, name), narSize: 1234,
        references: Set(references.map(sample)), registrationTime: 1_700_000_000)
}

extension StoreDatabase {
    func add(
        _ infos: [ValidPathInfo], outputs: [StorePath: [OutputName: StorePath]] = [:]
    ) throws {
        for result in register([Registration(infos, outputs: outputs)]) { try result.get() }
    }

    func info(of path: StorePath) throws -> ValidPathInfo? { try pathInfos([path])[path] }
}
