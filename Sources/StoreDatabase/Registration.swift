import GRDB
public import StoreModel

/// Objects that become valid together, or not at all.
public struct Registration: Hashable, Sendable {
    /// What is known of each; they may refer to one another.
    public var infos: [ValidPathInfo]
    /// The outputs, whose paths are known, of the derivations among them.
    public var outputs: [StorePath: [OutputName: StorePath]]

    /// Puts a registration together.
    public init(_ infos: [ValidPathInfo], outputs: [StorePath: [OutputName: StorePath]] = [:]) {
        self.infos = infos
        self.outputs = outputs
    }
}

extension StoreDatabase {
    /// Makes objects valid, all of `registrations` in one transaction where that is possible.
    ///
    /// Each registration sees those before it. One that is refused changes nothing and hinders none of
    /// the others. What is known of an object that is valid already is replaced, but for its deriver
    /// and time; its references are added to.
    ///
    /// - Returns: For each registration, in order, whether it is in the database, durably.
    public func register(
        _ registrations: [Registration]
    ) -> [Result<Void, StoreDatabaseError>] {
        do throws(StoreDatabaseError) {
            return try connections.write { db in
                try registrations.map { registration in
                    do {
                        try db.inSavepoint {
                            try add(registration, db)
                            return .commit
                        }
                        return .success(())
                    } catch let error as StoreDatabaseError where error.isRefusal {
                        return .failure(error)
                    }
                }
            }
        } catch {
            // The transaction is gone as a whole; perhaps only one of them was too much for it.
            guard registrations.count > 1 else { return registrations.map { _ in .failure(error) } }
            return registrations.flatMap { register([$0]) }
        }
    }

    private func add(_ registration: Registration, _ db: Database) throws {
        var ids: [StorePath: Int64] = [:]
        var wereValid: Set<StorePath> = []
        // In the order of paths, so that equal registrations give equal databases.
        let infos = registration.infos.sorted { $0.path < $1.path }
        for info in infos {
            if let id = try id(of: info.path, db) {
                try update(info, db)
                ids[info.path] = id
                wereValid.insert(info.path)
            } else {
                ids[info.path] = try insert(info, db)
            }
        }
        for info in infos {
            guard let referrer = ids[info.path] else { continue }
            var hasNewReferences = false
            for reference in info.references.sorted() {
                guard let id = try ids[reference] ?? id(of: reference, db) else {
                    throw StoreDatabaseError.referenceNotValid(info.path, reference: reference)
                }
                try db.cachedStatement(sql: "insert or ignore into Refs values (?, ?)")
                    .execute(arguments: [referrer, id])
                hasNewReferences = hasNewReferences || db.changesCount > 0
            }
            // What refers to an object that was valid before may lie outside of the registration.
            if hasNewReferences, wereValid.contains(info.path), try reachesItself(referrer, db) {
                throw StoreDatabaseError.cycle([info.path])
            }
        }
        for (derivation, outputs) in registration.outputs {
            guard let id = ids[derivation], derivation.isDerivation else {
                throw StoreDatabaseError.value(
                    derivation, "it has outputs but is no derivation of this registration")
            }
            let statement = try db.cachedStatement(
                sql: "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)")
            for (name, path) in outputs {
                try statement.execute(arguments: [id, name.description, text(of: path)])
            }
        }
        let cycle = Self.cycle(among: infos)
        guard cycle.isEmpty else { throw StoreDatabaseError.cycle(cycle) }
    }

    private func insert(_ info: ValidPathInfo, _ db: Database) throws -> Int64 {
        let statement = try db.cachedStatement(
            sql: """
                insert into ValidPaths
                (path, registrationTime, deriver, hash, narSize, ultimate, sigs, ca)
                values (?, ?, ?, ?, ?, ?, ?, ?)
                """)
        let identity: [(any DatabaseValueConvertible)?] = [
            text(of: info.path), info.registrationTime, info.deriver.map(text(of:)),
        ]
        try statement.execute(arguments: StatementArguments(identity + values(of: info)))
        return db.lastInsertedRowID
    }

    private func update(_ info: ValidPathInfo, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                update ValidPaths set hash = ?, narSize = ?, ultimate = ?, sigs = ?, ca = ?
                where path = ?
                """)
        try statement.execute(
            arguments: StatementArguments(values(of: info) + [text(of: info.path)]))
    }

    private func reachesItself(_ id: Int64, _ db: Database) throws -> Bool {
        let statement = try db.cachedStatement(
            sql: """
                with recursive reached(id) as (
                    select reference from Refs where referrer = ?1 and reference <> ?1
                    union select r.reference from reached s cross join Refs r on r.referrer = s.id
                ) select 1 from reached where id = ?1 limit 1
                """)
        return try Row.fetchOne(statement, arguments: [id]) != nil
    }

    /// Objects that are left when those whose references are all elsewhere are taken away again and
    /// again; none if there is an order in which each object comes after those that it refers to.
    private static func cycle(among infos: [ValidPathInfo]) -> [StorePath] {
        let members = Set(infos.map(\.path))
        var open: [StorePath: Set<StorePath>] = [:]
        var referrers: [StorePath: [StorePath]] = [:]
        for info in infos {
            let references = info.references.intersection(members).subtracting([info.path])
            open[info.path, default: []].formUnion(references)
        }
        for (path, references) in open {
            for reference in references { referrers[reference, default: []].append(path) }
        }
        var ready = open.filter(\.value.isEmpty).map(\.key)
        while let path = ready.popLast() {
            open[path] = nil
            for referrer in referrers[path] ?? [] {
                open[referrer]?.remove(path)
                if open[referrer]?.isEmpty == true { ready.append(referrer) }
            }
        }
        return open.keys.sorted()
    }
}
