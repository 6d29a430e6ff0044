import Glibc
import StoreDatabase
import StoreModel
import SystemCalls

/// What lies around the database: directories, the schema file, the reserve and the big lock.
///
/// Source: `reference/nix-features.md` §12, §13.
enum StateDirectory {
    private static let schema = "10"
    private static let reservedBytes: off_t = 8 << 20

    /// Opens the database of a store, made first where there is none.
    ///
    /// - Returns: The database, and the shared big lock, which is to be held as long as it is used.
    static func open(
        _ layout: StoreLayout
    ) throws(LocalStoreError) -> (database: StoreDatabase, lock: FileLock) {
        try systemCalls { () throws(SystemError) in try makeDirectories(of: layout) }
        let lock = try systemCalls { () throws(SystemError) in
            let lock = try FileLock.waiting(.shared, layout.database + "/big-lock")
            try reserve(layout.database + "/reserved")
            return lock
        }
        if try needsSchema(layout) {
            try systemCalls { () throws(SystemError) in try lock.become(.exclusive) }
            // Somebody else may have made it while the lock changed hands.
            if try needsSchema(layout) {
                _ = try connect(layout, .create)
                try systemCalls { () throws(SystemError) in try writeSchema(layout) }
            }
            try systemCalls { () throws(SystemError) in try lock.become(.shared) }
        }
        guard
            try systemCalls({ () throws(SystemError) in try fileStatus(of: layout.databaseFile) })
                != nil
        else { throw .databaseMissing(layout.databaseFile) }
        return (try connect(layout, .refuse), lock)
    }

    private static func connect(
        _ layout: StoreLayout, _ missing: StoreDatabase.Missing
    ) throws(LocalStoreError) -> StoreDatabase {
        try inDatabase { () throws(StoreDatabaseError) in
            try StoreDatabase(
                path: layout.databaseFile, store: layout.logicalStore, missing: missing)
        }
    }

    private static func makeDirectories(of layout: StoreLayout) throws(SystemError) {
        let directories = [
            layout.database, layout.temporaryRoots, layout.indirectRoots,
            layout.roots + "/per-user", layout.profiles + "/per-user",
        ]
        for directory in directories { try makeDirectory(directory) }
        let link = layout.roots + "/profiles"
        if try fileStatus(of: link) == nil { try replaceLink(link, target: layout.profiles) }
    }

    /// Whether there is no schema file; any other schema than ours is an error.
    private static func needsSchema(_ layout: StoreLayout) throws(LocalStoreError) -> Bool {
        let path = layout.schemaFile
        let text: String? = try systemCalls { () throws(SystemError) in
            guard try fileStatus(of: path) != nil else { return nil }
            let file = try openFile(path, O_RDONLY)
            let bytes = try file.withNumber { (number) throws(SystemError) in
                try contents(of: number, path: path, limit: 64)
            }
            return bytes.map { String(decoding: $0, as: UTF8.self) } ?? "more than 64 bytes"
        }
        guard let text else { return true }
        // Some write a newline behind the number.
        let stated = text.hasSuffix("\n") ? String(text.dropLast()) : text
        guard stated == schema else { throw .schema(stated, file: path) }
        return false
    }

    private static func writeSchema(_ layout: StoreLayout) throws(SystemError) {
        let temporary = layout.schemaFile + ".new"
        let file = try openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try file.withNumber { (number) throws(SystemError) in
            try writeAll([UInt8](schema.utf8), to: number, path: temporary)
            try check("fsync", on: temporary) { fsync(number) }
        }
        try check("rename", on: temporary) { rename(temporary, layout.schemaFile) }
        try syncDirectory(layout.database)
    }

    /// Keeps disk space that a collector can give back when the disk is full.
    private static func reserve(_ path: String) throws(SystemError) {
        let file = try openFile(path, O_WRONLY | O_CREAT, mode: 0o600)
        try file.withNumber { (number) throws(SystemError) in
            var status = stat()
            try check("fstat", on: path) { fstat(number, &status) }
            guard status.st_size != reservedBytes else { return }
            // A full disk is no reason not to open the store: that is when one wants to collect.
            let code = posix_fallocate(number, 0, reservedBytes)
            guard code == 0 || code == ENOSPC || code == EDQUOT || code == EOPNOTSUPP else {
                throw SystemError(call: "posix_fallocate", path: path, errno: code)
            }
            if code == 0 { try check("ftruncate", on: path) { ftruncate(number, reservedBytes) } }
        }
    }
}
