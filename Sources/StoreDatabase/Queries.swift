import GRDB
public import StoreModel

extension StoreDatabase {
    /// What is known of those of `paths` that are valid, on one snapshot.
    public func pathInfos(
        _ paths: Set<StorePath>
    ) throws(StoreDatabaseError) -> [StorePath: ValidPathInfo] {
        try connections.read { db in
            try infos(
                db, selected: "select v.id from \(Self.named)",
                arguments: [Self.list(paths), prefix])
        }
    }

    /// Those of `paths` that are valid.
    public func validPaths(
        among paths: Set<StorePath>
    ) throws(StoreDatabaseError) -> Set<StorePath> {
        try self.paths("select v.path from \(Self.named)", [Self.list(paths), prefix])
    }

    /// Every valid path.
    public func allValidPaths() throws(StoreDatabaseError) -> Set<StorePath> {
        try paths("select path from ValidPaths", [])
    }

    /// The valid objects that refer to `path`, itself included if it does.
    public func referrers(of path: StorePath) throws(StoreDatabaseError) -> Set<StorePath> {
        try paths(
            """
            select v.path from ValidPaths t cross join Refs r on r.reference = t.id
            cross join ValidPaths v on v.id = r.referrer where t.path = ?
            """, [text(of: path)])
    }

    /// The valid derivations that have `path` as an output.
    public func validDerivers(of path: StorePath) throws(StoreDatabaseError) -> Set<StorePath> {
        try paths(
            """
            select v.path from DerivationOutputs d cross join ValidPaths v on v.id = d.drv
            where d.path = ?
            """, [text(of: path)])
    }

    /// The valid path with a hash part; nothing for a text that is none.
    public func path(withHashPart hashPart: String) throws(StoreDatabaseError) -> StorePath? {
        guard hashPart.utf8.count == 32 else { return nil }
        let first = try connections.read { db in
            let statement = try db.cachedStatement(
                sql: "select path from ValidPaths where path >= ? order by path limit 1")
            return try Row.fetchOne(statement, arguments: [prefix + hashPart])?.requiredText(0)
        }
        guard let first, first.hasPrefix(prefix + hashPart + "-") else { return nil }
        return try path(spelled: first)
    }

    /// The outputs of a valid derivation whose paths are known.
    ///
    /// - Throws: ``StoreDatabaseError/notValid(_:)``.
    public func derivationOutputs(
        of derivation: StorePath
    ) throws(StoreDatabaseError) -> [OutputName: StorePath] {
        try connections.read { db in
            guard let id = try id(of: derivation, db) else {
                throw StoreDatabaseError.notValid(derivation)
            }
            let statement = try db.cachedStatement(
                sql: "select id, path from DerivationOutputs where drv = ?")
            var outputs: [OutputName: StorePath] = [:]
            let rows = try Row.fetchCursor(statement, arguments: [id])
            while let row = try rows.next() {
                let text = try row.requiredText(0)
                guard let name = OutputName([UInt8](text.utf8)) else {
                    throw StoreDatabaseError.corrupt("'\(text)' is not the name of an output")
                }
                outputs[name] = try path(spelled: row.requiredText(1))
            }
            return outputs
        }
    }

    /// What is known of `paths` and all that they refer to, directly or not, on one snapshot.
    ///
    /// - Throws: ``StoreDatabaseError/notValid(_:)`` when one of `paths` is not valid.
    public func closure(
        of paths: Set<StorePath>
    ) throws(StoreDatabaseError) -> [StorePath: ValidPathInfo] {
        let closure = try connections.read { db in
            try infos(
                db,
                selected: """
                    select v.id from \(Self.named)
                    union select r.reference from selected s cross join Refs r on r.referrer = s.id
                    """,
                arguments: [Self.list(paths), prefix])
        }
        if let missing = paths.filter({ closure[$0] == nil }).min() { throw .notValid(missing) }
        return closure
    }

    /// What SQLite finds wrong with the file and with references between its rows; nothing if all is well.
    public func damage() throws(StoreDatabaseError) -> [String] {
        try connections.read { db in
            var damage = try String.fetchAll(db, sql: "pragma quick_check(100)")
                .filter { $0 != "ok" }
            let violations = try Row.fetchCursor(db, sql: "pragma foreign_key_check")
            while let row = try violations.next(), damage.count < 200 {
                let table = try row.text(0) ?? "?"
                let number = try row.number(1) ?? -1
                damage.append("row \(number) of table '\(table)' refers to a row that is not there")
            }
            return damage
        }
    }

    // MARK: Parts of statements

    /// The rows of the paths in the JSON list `?1`, below the prefix `?2`.
    private static let named = "json_each(?1) j cross join ValidPaths v on v.path = ?2 || j.value"

    /// Base names as JSON; none of their characters needs an escape.
    private static func list(_ paths: Set<StorePath>) -> String {
        paths.isEmpty ? "[]" : "[\"" + paths.map(\.baseName).joined(separator: "\",\"") + "\"]"
    }

    func id(of path: StorePath, _ db: Database) throws -> Int64? {
        let statement = try db.cachedStatement(sql: "select id from ValidPaths where path = ?")
        return try Row.fetchOne(statement, arguments: [text(of: path)])?.requiredNumber(0)
    }

    private func paths(
        _ sql: String, _ arguments: StatementArguments
    ) throws(StoreDatabaseError) -> Set<StorePath> {
        try connections.read { db in
            var paths: Set<StorePath> = []
            let statement = try db.cachedStatement(sql: sql)
            let rows = try Row.fetchCursor(statement, arguments: arguments)
            while let row = try rows.next() {
                paths.insert(try path(spelled: row.requiredText(0)))
            }
            return paths
        }
    }

    /// The infos of the rows whose ids `selected` gives, which may name itself to recurse.
    private func infos(
        _ db: Database, selected: String, arguments: StatementArguments
    ) throws -> [StorePath: ValidPathInfo] {
        let selection = "with recursive selected(id) as (\(selected))"
        var infos: [Int64: ValidPathInfo] = [:]
        let rows = try Row.fetchCursor(
            db.cachedStatement(
                sql: """
                    \(selection) select \(infoColumns)
                    from selected s cross join ValidPaths v on v.id = s.id
                    """), arguments: arguments)
        while let row = try rows.next() {
            let (id, info) = try info(in: row)
            infos[id] = info
        }
        let references = try Row.fetchCursor(
            db.cachedStatement(
                sql: """
                    \(selection) select r.referrer, r.reference
                    from selected s cross join Refs r on r.referrer = s.id
                    """), arguments: arguments)
        // Objects outside of the selection that it refers to.
        var others: [Int64: StorePath] = [:]
        while let row = try references.next() {
            let referrer = try row.requiredNumber(0)
            let reference = try row.requiredNumber(1)
            let path: StorePath
            if let known = infos[reference]?.path ?? others[reference] {
                path = known
            } else {
                path = try spelled(reference, db)
                others[reference] = path
            }
            infos[referrer]?.references.insert(path)
        }
        return Dictionary(infos.values.map { ($0.path, $0) }, uniquingKeysWith: { $1 })
    }

    func spelled(_ id: Int64, _ db: Database) throws -> StorePath {
        let statement = try db.cachedStatement(sql: "select path from ValidPaths where id = ?")
        guard let row = try Row.fetchOne(statement, arguments: [id]) else {
            throw StoreDatabaseError.corrupt("a reference leads to row \(id), which is not there")
        }
        return try path(spelled: row.requiredText(0))
    }
}
