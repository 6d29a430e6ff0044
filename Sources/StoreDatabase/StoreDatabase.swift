import GRDB
public import StoreModel

/// The database of one store: which paths are valid, what is known of them, and how they refer to one
/// another.
///
/// Safe for any number of threads and processes; every call blocks. Several engines and other programs
/// that know schema 10 may have the same file open.
public final class StoreDatabase: Sendable {
    /// What to do about tables that are missing.
    public enum Missing: Hashable, Sendable {
        /// Refuse the database.
        case refuse
        /// Make them; the caller holds the lock that keeps others away.
        case create
    }

    /// The directory that all paths in the database are in.
    public let store: StoreDirectory
    let connections: ConnectionPool
    /// What stands before a base name in every path: the store directory and a slash.
    let prefix: String

    /// Opens the database.
    ///
    /// - Parameters:
    ///   - path: The file; made when it is not there.
    ///   - store: The directory that paths are in.
    ///   - missing: What to do about missing tables.
    /// - Throws: ``StoreDatabaseError`` when the file is no such database.
    public init(
        path: String, store: StoreDirectory, missing: Missing
    ) throws(StoreDatabaseError) {
        guard let text = String(validating: store.bytes, as: UTF8.self) else {
            throw .storeDirectory(store)
        }
        self.store = store
        prefix = text + "/"
        do {
            connections = try ConnectionPool(path: path)
        } catch let error as DatabaseError {
            throw .sqlite(
                code: error.extendedResultCode.rawValue,
                message: "\(path): \(error.message ?? "no message")")
        } catch {
            throw .sqlite(code: -1, message: "\(path): \(error)")
        }
        switch missing {
        case .create: try connections.write { try $0.execute(sql: Schema.creation) }
        case .refuse: break
        }
        try connections.read(Schema.check)
    }

    /// The path as the database spells it.
    func text(of path: StorePath) -> String { prefix + path.baseName }

    /// The path that the database spells so.
    func path(spelled text: String) throws(StoreDatabaseError) -> StorePath {
        do {
            return try store.parse([UInt8](text.utf8))
        } catch {
            throw .corrupt("\(error)")
        }
    }
}
