import Glibc
import Hashing
public import StoreModel
import SystemCalls

extension LocalStore {
    /// Keeps an object alive for as long as this process has the store open, valid or not.
    ///
    /// While a collector of another process runs, this waits until that has taken note.
    public func addTemporaryRoot(_ path: StorePath) throws(LocalStoreError) {
        try temporaryRoots.add(path)
    }

    /// Makes a set of temporary roots that can go before this process does, such as one client's.
    ///
    /// - Returns: An empty set; what is added to it is kept alive until it is deallocated.
    /// - Throws: ``LocalStoreError/system(_:)``, also when there are more than about 200 at once.
    public func makeTemporaryRoots() throws(LocalStoreError) -> TemporaryRoots {
        try systemCalls { () throws(SystemError) in try TemporaryRoots(of: layout) }
    }

    /// Makes a symbolic link to an object, and the object live as long as the link is there.
    ///
    /// A link that is right already is left alone, so this does not need the right to make it.
    ///
    /// - Parameters:
    ///   - link: An absolute path outside of the store; replaced only if it is a link into the store.
    ///   - path: A valid object.
    /// - Throws: ``LocalStoreError/notValid(_:)``; ``LocalStoreError/link(_:fault:)`` when something
    ///   else is there.
    public func addPermanentRoot(link: String, to path: StorePath) throws(LocalStoreError) {
        try checkLinkPath(link)
        // Between the check and the link, nobody may delete the object.
        try addTemporaryRoot(path)
        guard try isValid(path) else { throw .notValid(path) }
        let target = layout.logicalStore.path(of: path)
        try systemCalls { () throws(SystemError) -> Result<Void, LocalStoreError> in
            if let status = try fileStatus(of: link) {
                guard isLink(status) else {
                    return .failure(
                        .link(link, fault: "something that is no link is there already"))
                }
                let present = try linkTarget(of: link)
                if present == target.bytes { return .success(()) }
                let store = layout.logicalStore.bytes + [UInt8(ascii: "/")]
                guard present.starts(with: store) else {
                    return .failure(
                        .link(link, fault: "a link that leads out of the store is there already"))
                }
            }
            try replaceLink(link, target: target.description)
            return .success(())
        }.get()
        try addIndirectRoot(link: link)
    }

    /// Makes the object that a link leads to live as long as the link does so.
    ///
    /// - Parameter link: An absolute path outside of the store, of a link that somebody else made.
    /// - Throws: ``LocalStoreError`` when the path is no such one, or nothing can be written.
    public func addIndirectRoot(link: String) throws(LocalStoreError) {
        try checkLinkPath(link)
        let name = Digest.of(.sha1, link).text(.nix32, prefixed: false)
        try systemCalls { () throws(SystemError) in
            try replaceLink(layout.indirectRoots + "/" + name, target: link)
        }
    }

    /// The permanent roots: the path of each link or file, and the valid object that it keeps alive.
    ///
    /// - Throws: ``LocalStoreError`` when something that may be a root cannot be read.
    public func findRoots() throws(LocalStoreError) -> [String: StorePath] {
        try surveyRoots().roots
    }

    /// The permanent roots, and the links that were meant to be some and lead nowhere.
    public func surveyRoots() throws(LocalStoreError) -> RootSurvey {
        var survey = try allRoots()
        let valid = try validPaths(among: Set(survey.roots.values))
        survey.roots = survey.roots.filter { valid.contains($0.value) }
        return survey
    }

    /// Checks that nothing keeps one of `paths` alive.
    ///
    /// Roots and temporary roots of all live processes count, and valid objects that refer to one of
    /// `paths` and are not among them. Call it in ``withCollectionLock(_:)`` if something is to be
    /// deleted: without it, somebody may add a root meanwhile.
    ///
    /// - Throws: ``LocalStoreError/stillAlive(_:root:)`` with the first reason that is found; other
    ///   errors when something that may be a root cannot be read, which is never taken for dead.
    public func deletable(_ paths: Set<StorePath>) throws(LocalStoreError) {
        // What no valid object outside of `paths` refers to is in no root's closure unless it, or
        // another one of `paths`, is a root itself.
        for path in paths.sorted() {
            if let referrer = try referrers(of: path).subtracting(paths).min() {
                throw .stillAlive(path, root: "the valid object '\(referrer)' refers to it")
            }
        }
        for (link, path) in try allRoots().roots.sorted(by: { $0.key < $1.key })
        where paths.contains(path) {
            throw .stillAlive(path, root: "'\(link)' is a root")
        }
        for (root, holder) in try TemporaryRoots.all(of: layout) where paths.contains(root) {
            throw .stillAlive(root, root: "it is \(holder)")
        }
    }

    /// Runs `body` while nobody can add a temporary root, waiting for others that do the same.
    ///
    /// Between ``deletable(_:)`` and the deletion, nothing can become alive then. Clients that want a
    /// root wait meanwhile, so it is to be short. This process must not add one in `body`.
    public func withCollectionLock<R>(
        _ body: () throws(LocalStoreError) -> R
    ) throws(LocalStoreError) -> R {
        let lock = try systemCalls { () throws(SystemError) in
            try FileLock.waiting(.exclusive, layout.collectionLock)
        }
        defer { withExtendedLifetime(lock) {} }
        return try body()
    }

    private func allRoots() throws(LocalStoreError) -> RootSurvey {
        var scan = RootScan(layout)
        try scan.scan(layout.roots)
        try scan.scan(layout.profiles)
        return scan.survey
    }

    private func checkLinkPath(_ link: String) throws(LocalStoreError) {
        guard StoreDirectory([UInt8](link.utf8)) != nil, !link.utf8.contains(0) else {
            throw .link(link, fault: "it is not an absolute path without '.' and '..'")
        }
        let stores = [layout.logicalStore.bytes, [UInt8](layout.store.utf8)]
        for store in stores where link.utf8.starts(with: store + [UInt8(ascii: "/")]) {
            throw .link(link, fault: "it lies in the store")
        }
    }
}
