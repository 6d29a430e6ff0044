import GRDB
public import StoreModel

extension StoreDatabase {
    /// Makes paths invalid, in one transaction; those that are not valid are passed over.
    ///
    /// - Throws: ``StoreDatabaseError/stillReferenced(_:by:)`` when a valid object that is not among
    ///   `paths` refers to one of them; nothing is changed then.
    public func invalidate(_ paths: Set<StorePath>) throws(StoreDatabaseError) {
        try connections.write { db in
            var ids: [Int64: StorePath] = [:]
            for path in paths {
                if let id = try id(of: path, db) { ids[id] = path }
            }
            for (id, path) in ids {
                let statement = try db.cachedStatement(
                    sql: "select referrer from Refs where reference = ?")
                let rows = try Row.fetchCursor(statement, arguments: [id])
                while let row = try rows.next() {
                    let referrer = try row.requiredNumber(0)
                    if ids[referrer] == nil {
                        throw StoreDatabaseError.stillReferenced(
                            path, by: try spelled(referrer, db))
                    }
                }
            }
            // All references first: the schema forbids to delete what another row refers to.
            for id in ids.keys {
                try db.cachedStatement(sql: "delete from Refs where referrer = ?")
                    .execute(arguments: [id])
            }
            for id in ids.keys {
                try db.cachedStatement(sql: "delete from ValidPaths where id = ?")
                    .execute(arguments: [id])
            }
        }
    }
}
