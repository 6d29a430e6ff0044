import BuildEngine
import DaemonWire
import LocalStore
import StoreFiles
import StoreModel

extension Session {
    /// Answers what changes nothing.
    func query(_ request: WorkerRequest) throws(DaemonError) -> Reply {
        let store = engine.store
        let context = context
        switch request {
        case .isValidPath(let path):
            let isValid = try inStore { () throws(LocalStoreError) in try store.isValid(path) }
            return Reply { $0.bool(isValid) }
        case .queryReferrers(let path):
            return reply(
                try inStore { () throws(LocalStoreError) in try store.referrers(of: path) })
        case .queryAllValidPaths:
            return reply(try inStore { () throws(LocalStoreError) in try store.allValidPaths() })
        case .queryValidDerivers(let path):
            return reply(
                try inStore { () throws(LocalStoreError) in try store.validDerivers(of: path) })
        case .queryValidPaths(let paths, _):
            return reply(
                try inStore { () throws(LocalStoreError) in try store.validPaths(among: paths) })
        case .queryPathInfo(let path): return try pathInfo(path)
        case .queryPathFromHashPart(let part):
            guard part.utf8.count == 32 else {
                throw .failed("'\(part)' is no hash part, which has 32 characters")
            }
            let path = try inStore { () throws(LocalStoreError) in
                try store.path(withHashPart: part)
            }
            return Reply { $0.storePath(path, context) }
        case .queryMissing(let paths):
            let (willBuild, unknown) = engine.missing(paths)
            return Reply {
                $0.storePaths(willBuild, context)
                $0.storePaths([], context)
                $0.storePaths(unknown, context)
                $0.integer(0)
                $0.integer(0)
            }
        case .queryDerivationOutputMap(let path):
            let outputs = try inStore { () throws(LocalStoreError) in
                try store.readDerivation(path).outputs
            }
            return Reply {
                $0.list(outputs.sorted { $0.key < $1.key }) { writer, output in
                    writer.string(output.key.bytes)
                    writer.storePath(output.value.path, context)
                }
            }
        case .findRoots:
            let roots = try inStore { () throws(LocalStoreError) in try store.findRoots() }
            return Reply {
                $0.list(roots.sorted { $0.key < $1.key }) { writer, root in
                    writer.text(root.key)
                    writer.storePath(root.value, context)
                }
            }
        case .narFromPath(let path): return try archive(of: path)
        default: preconditionFailure("no query")
        }
    }

    private func reply(_ paths: Set<StorePath>) -> Reply {
        let context = context
        return Reply { $0.storePaths(paths, context) }
    }

    private func pathInfo(_ path: StorePath) throws(DaemonError) -> Reply {
        let context = context
        let info = try inStore { () throws(LocalStoreError) in try engine.store.pathInfo(path) }
        let tellsValidity = context.version >= ProtocolVersion(minor: 17)
        guard info != nil || tellsValidity else { throw .failed("path '\(path)' is not valid") }
        return Reply {
            if tellsValidity { $0.bool(info != nil) }
            if let info { $0.pathInfo(unkeyed: info, context) }
        }
    }

    /// The archive of an object, raw behind the end of the work.
    private func archive(of path: StorePath) throws(DaemonError) -> Reply {
        let isValid = try inStore { () throws(LocalStoreError) in try engine.store.isValid(path) }
        guard isValid else { throw .failed("path '\(path)' is not valid") }
        var reply = Reply.nothing
        let place = engine.store.object(at: path)
        let peer = peer
        reply.stream = { () throws(DaemonError) in
            var failure: WireError?
            do throws(StoreFileError) {
                try StoreFiles.archive(place) { bytes in
                    guard failure == nil else { return }
                    do throws(WireError) {
                        try peer.send(bytes)
                    } catch {
                        failure = error
                    }
                }
            } catch {
                // What was sent cannot be taken back, so only the end of the connection tells it.
                throw .connection(.stream(errno: 5))
            }
            if let failure { throw .connection(failure) }
        }
        return reply
    }
}
