public import StoreModel

/// Where the parts of one store lie on the host.
public struct StoreLayout: Hashable, Sendable {
    /// The directory that the store's own paths begin in; empty for `/`.
    public let root: String
    /// What store paths say that they are in.
    public let logicalStore: StoreDirectory

    /// Lays a store out below `root`.
    ///
    /// - Parameters:
    ///   - root: An absolute path, or nothing or `/` for the host's own root.
    ///   - logicalStore: What store paths say that they are in, wherever they lie.
    public init(root: String, logicalStore: StoreDirectory = .standard) {
        var root = root
        while root.hasSuffix("/") { root.removeLast() }
        self.root = root
        self.logicalStore = logicalStore
    }

    /// The directory of the objects.
    public var store: String { root + "/nix/store" }
    /// The directory of the database, the roots and the profiles.
    public var state: String { root + "/nix/var/nix" }
    /// The directory of the build logs.
    public var log: String { root + "/nix/var/log/nix" }
    /// The directory of what only Kiln keeps.
    public var kiln: String { root + "/nix/var/kiln" }
    /// The directory that the launcher adopts objects from.
    public var incoming: String { kiln + "/incoming" }
    /// The directory of what builds were denied: `<derivation>.json`.
    public var denials: String { kiln + "/denials" }
    /// Where root reaches the launchers of this store; nobody else may enter it.
    public var control: String { kiln + "/control" }

    var database: String { state + "/db" }
    var databaseFile: String { database + "/db.sqlite" }
    var schemaFile: String { database + "/schema" }
    var temporaryRoots: String { state + "/temproots" }
    var roots: String { state + "/gcroots" }
    var indirectRoots: String { roots + "/auto" }
    var profiles: String { state + "/profiles" }
    var collectionLock: String { state + "/gc.lock" }
    var collectorSocketDirectory: String { state + "/gc-socket" }
}
