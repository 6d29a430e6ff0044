import Glibc
public import StoreModel
import Synchronization
import SystemCalls

/// Objects that are kept alive for as long as this value, and the process, lives.
///
/// Each has a file and a descriptor of its own. All files of one process have its number as their name,
/// with more or fewer zeros in front; so a stranger with the same number in another pid namespace does
/// no harm either.
///
/// Source: `reference/nix-features.md` §12.
public final class TemporaryRoots: Sendable {
    /// How many files one number may have: a name has at most 255 bytes, of which a number needs 10.
    private static let attempts = 240

    private let layout: StoreLayout
    private let path: String
    private let file: SharedDescriptor
    private let written = Mutex<Set<StorePath>>([])

    /// Makes and locks a file.
    init(of layout: StoreLayout) throws(SystemError) {
        self.layout = layout
        var name = "\(getpid())"
        var path = layout.temporaryRoots + "/" + name
        for _ in 0..<Self.attempts {
            let file = try openFile(path, O_RDWR | O_CREAT, mode: 0o600)
            guard try FileLock.tryLock(file, .exclusive, path: path) else {
                // Zeros in front keep it the number that readers expect as a name.
                name = "0" + name
                path = layout.temporaryRoots + "/" + name
                continue
            }
            // A collector that got the lock before us has unlinked the file and written to it; and
            // a file with contents is that of a dead process with our number.
            guard try Self.isFresh(file, path: path) else { continue }
            self.file = file
            self.path = path
            return
        }
        throw SystemError(call: "flock", path: path, errno: EWOULDBLOCK)
    }

    deinit {
        // Should this fail, the next collector sees a file that nobody locks, and removes it.
        _ = unlink(path)
    }

    private static func isFresh(_ file: SharedDescriptor, path: String) throws(SystemError) -> Bool
    {
        try file.withNumber { (number) throws(SystemError) in
            var status = stat()
            try check("fstat", on: path) { fstat(number, &status) }
            guard status.st_nlink > 0 else { return false }
            if status.st_size == 0 { return true }
            try TemporaryRoots.remove(number, path: path)
            return false
        }
    }

    /// Removes a dead process's file, and marks it for a process that opened it before.
    fileprivate static func remove(_ number: CInt, path: String) throws(SystemError) {
        try check("unlink", on: path) { unlink(path) }
        try writeAll([UInt8(ascii: "d")], to: number, path: path)
    }

    /// Keeps an object alive, valid or not; when this returns, no collector deletes it.
    ///
    /// While a collector of another process runs, this waits until that has taken note.
    ///
    /// - Throws: ``LocalStoreError/system(_:)``.
    public func add(_ root: StorePath) throws(LocalStoreError) {
        try systemCalls { () throws(SystemError) in try announce(root) }
    }

    private func announce(_ root: StorePath) throws(SystemError) {
        guard !written.withLock({ $0.contains(root) }) else { return }
        while true {
            // A collector that runs holds the lock exclusively, and must be asked.
            if let lock = try FileLock.trying(.shared, layout.collectionLock) {
                try withExtendedLifetime(lock) { () throws(SystemError) in try write(root) }
                return
            }
            if try CollectorSocket.announce(root, in: layout) {
                try write(root)
                return
            }
            usleep(100_000)
        }
    }

    private func write(_ root: StorePath) throws(SystemError) {
        try written.withLock { written throws(SystemError) in
            guard !written.contains(root) else { return }
            try file.withNumber { (number) throws(SystemError) in
                try writeAll(
                    layout.logicalStore.path(of: root).bytes + [0], to: number, path: path)
            }
            written.insert(root)
        }
    }

    /// The temporary roots of all live processes, each with what to call it.
    ///
    /// Files of dead processes are removed.
    static func all(
        of layout: StoreLayout
    ) throws(LocalStoreError) -> [(root: StorePath, holder: String)] {
        var roots: [(root: StorePath, holder: String)] = []
        for name in try directoryNames(layout.temporaryRoots) {
            // Hidden files are those of other programs.
            guard name.first != UInt8(ascii: ".") else { continue }
            let text = String(decoding: name, as: UTF8.self)
            let path = layout.temporaryRoots + "/" + text
            let bytes = try systemCalls { () throws(SystemError) in try read(path) }
            guard let bytes else { throw .unreadableRoot(path, fault: "it is too large") }
            // Behind the last NUL stands a root that is being written, whose owner still waits.
            for root in bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast() {
                do {
                    let path = try layout.logicalStore.parse([UInt8](root))
                    roots.append((path, "a temporary root of process \(text)"))
                } catch {
                    throw .unreadableRoot(path, fault: "\(error)")
                }
            }
        }
        return roots
    }

    private static func read(_ path: String) throws(SystemError) -> [UInt8]? {
        let file: SharedDescriptor
        do {
            file = try openFile(path, O_RDWR)
        } catch {
            // Its process ended after the directory was read.
            if error.errno == ENOENT { return [] }
            throw error
        }
        if try FileLock.tryLock(file, .exclusive, path: path) {
            return try file.withNumber { (number) throws(SystemError) in
                do throws(SystemError) {
                    try remove(number, path: path)
                } catch {
                    // Its process removed it when it ended.
                    guard error.errno == ENOENT else { throw error }
                }
                return []
            }
        }
        return try file.withNumber { (number) throws(SystemError) in
            try contents(of: number, path: path, limit: 256 << 20)
        }
    }
}
