import CLinux
import DerivationFormat
import Glibc
import StoreDatabase
public import StoreModel
import Synchronization
import SystemCalls

/// One engine's view of a store: its database, its roots, and how objects become valid.
///
/// Any number of threads may use one, and any number of processes may have the same store open. Every
/// call blocks the calling thread. Objects are never made, changed or deleted here: the process that
/// uses this cannot write the store directory, and what can is the launcher.
public final class LocalStore: Sendable {
    /// Where the parts of the store lie.
    public let layout: StoreLayout
    let rows: StoreDatabase
    let temporaryRoots: TemporaryRoots
    let commits: GroupCommit
    let derivations: Mutex<DerivationCache>
    /// Held shared as long as the store is open, so that nobody upgrades the database meanwhile.
    private let bigLock: FileLock

    /// Opens a store; the state directory and the database are made when they are not there.
    ///
    /// - Parameter layout: Where the store lies; the store directory itself must exist.
    /// - Throws: ``LocalStoreError`` when something of it cannot be used, or has an unknown schema.
    public init(_ layout: StoreLayout) throws(LocalStoreError) {
        self.layout = layout
        let directory = try systemCalls { () throws(SystemError) -> SharedDescriptor? in
            do throws(SystemError) {
                return try openFile(layout.store, O_RDONLY | O_DIRECTORY)
            } catch {
                if error.errno == ENOENT { return nil }
                throw error
            }
        }
        guard let directory else { throw .storeDirectoryMissing(layout.store) }
        (rows, bigLock) = try StateDirectory.open(layout)
        temporaryRoots = try systemCalls { () throws(SystemError) in
            try TemporaryRoots(of: layout)
        }
        commits = GroupCommit(rows, directory: directory, layout: layout)
        derivations = Mutex(DerivationCache(layout.logicalStore))
    }

    // MARK: Queries

    /// What is known of a path; nothing if it is not valid.
    public func pathInfo(_ path: StorePath) throws(LocalStoreError) -> ValidPathInfo? {
        try pathInfos([path])[path]
    }

    /// What is known of those of `paths` that are valid, all at one moment.
    public func pathInfos(
        _ paths: Set<StorePath>
    ) throws(LocalStoreError) -> [StorePath: ValidPathInfo] {
        try inDatabase { () throws(StoreDatabaseError) in try rows.pathInfos(paths) }
    }

    /// Whether a path is valid.
    public func isValid(_ path: StorePath) throws(LocalStoreError) -> Bool {
        try !validPaths(among: [path]).isEmpty
    }

    /// Those of `paths` that are valid.
    public func validPaths(among paths: Set<StorePath>) throws(LocalStoreError) -> Set<StorePath> {
        try inDatabase { () throws(StoreDatabaseError) in try rows.validPaths(among: paths) }
    }

    /// Every valid path.
    public func allValidPaths() throws(LocalStoreError) -> Set<StorePath> {
        try inDatabase { () throws(StoreDatabaseError) in try rows.allValidPaths() }
    }

    /// The valid objects that refer to `path`, itself included if it does.
    public func referrers(of path: StorePath) throws(LocalStoreError) -> Set<StorePath> {
        try inDatabase { () throws(StoreDatabaseError) in try rows.referrers(of: path) }
    }

    /// The valid derivations that have `path` as an output.
    public func validDerivers(of path: StorePath) throws(LocalStoreError) -> Set<StorePath> {
        try inDatabase { () throws(StoreDatabaseError) in try rows.validDerivers(of: path) }
    }

    /// The valid path with this hash part; nothing for a text that is no hash part.
    public func path(withHashPart hashPart: String) throws(LocalStoreError) -> StorePath? {
        try inDatabase { () throws(StoreDatabaseError) in try rows.path(withHashPart: hashPart) }
    }

    /// The outputs of a valid derivation whose paths are known.
    ///
    /// - Throws: ``LocalStoreError/notValid(_:)``.
    public func derivationOutputs(
        of derivation: StorePath
    ) throws(LocalStoreError) -> [OutputName: StorePath] {
        try inDatabase { () throws(StoreDatabaseError) in
            try rows.derivationOutputs(of: derivation)
        }
    }

    /// What is known of `paths` and of all that they refer to, directly or not.
    ///
    /// - Throws: ``LocalStoreError/notValid(_:)`` when one of `paths` is not valid.
    public func closure(
        of paths: Set<StorePath>
    ) throws(LocalStoreError) -> [StorePath: ValidPathInfo] {
        try inDatabase { () throws(StoreDatabaseError) in try rows.closure(of: paths) }
    }

    // MARK: Objects

    /// Where an object lies on the host.
    public func object(at path: StorePath) -> String { layout.store + "/" + path.baseName }
}
