import Dispatch
import GRDB
import Synchronization

/// One connection that writes and a few that read, none of which waits for another.
///
/// GRDB's own pool is not used: it makes and drops a table of its own in every database that it opens,
/// and this database belongs to other programs too.
final class ConnectionPool: Sendable {
    private static let readers = 4

    private let path: String
    private let writer: DatabaseQueue
    private let idle = Mutex<[DatabaseQueue]>([])
    private let slots = DispatchSemaphore(value: ConnectionPool.readers)

    init(path: String) throws {
        self.path = path
        writer = try DatabaseQueue(path: path, configuration: Self.configuration)
        try writer.writeWithoutTransaction { db in
            // Changing the mode takes an exclusive lock, which others need not wait for each time.
            if try String.fetchOne(db, sql: "pragma main.journal_mode") != "wal" {
                try db.execute(sql: "pragma main.journal_mode = wal")
            }
            // As large as those of the other programs, so that none truncates what another extends.
            try db.execute(sql: "pragma main.journal_size_limit = 1099511627776")
            try db.execute(sql: "pragma wal_autocheckpoint = 40000")
        }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        // Others hold the write lock for one transaction only; whoever holds it longer hangs.
        configuration.busyMode = .timeout(600)
        configuration.prepareDatabase { db in
            // NORMAL would let a power cut take committed transactions away from a WAL.
            try db.execute(sql: "pragma synchronous = full")
        }
        return configuration
    }

    /// Runs `body` on one snapshot of the database.
    func read<R>(_ body: (Database) throws -> R) throws(StoreDatabaseError) -> R {
        slots.wait()
        defer { slots.signal() }
        return try translated {
            let reader =
                try idle.withLock { $0.popLast() }
                ?? DatabaseQueue(path: path, configuration: Self.configuration)
            defer { idle.withLock { $0.append(reader) } }
            return try reader.read(body)
        }
    }

    /// Runs `body` in one transaction, which is durable when this returns.
    func write<R>(_ body: (Database) throws -> R) throws(StoreDatabaseError) -> R {
        try translated {
            try writer.writeWithoutTransaction { db in
                var result: R?
                try db.inTransaction(.immediate) {
                    result = try body(db)
                    return .commit
                }
                guard let result else { preconditionFailure("the body ran") }
                return result
            }
        }
    }

    private func translated<R>(_ body: () throws -> R) throws(StoreDatabaseError) -> R {
        do {
            return try body()
        } catch let error as StoreDatabaseError {
            throw error
        } catch let error as DatabaseError {
            throw .sqlite(
                code: error.extendedResultCode.rawValue,
                message: error.message ?? "no message")
        } catch {
            throw .sqlite(code: -1, message: "\(error)")
        }
    }
}
