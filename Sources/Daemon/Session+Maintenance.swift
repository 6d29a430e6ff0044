import BuildEngine
import DaemonWire
import LocalStore
import StoreModel

extension Session {
    /// Deletes objects that nothing keeps alive.
    func collect(
        _ action: WorkerRequest.GarbageAction, _ paths: Set<StorePath>, ignoresLiveness: Bool
    ) throws(DaemonError) -> Reply {
        guard !ignoresLiveness else {
            throw .failed("nobody may delete what is alive, so liveness cannot be ignored")
        }
        guard action == .deleteSpecific else {
            throw .failed(
                "this daemon deletes objects that are named, and does not look for garbage yet")
        }
        let (deleted, freed) = try inEngine { () throws(EngineError) in
            try engine.delete(paths)
        }
        let store = context.store
        return Reply {
            $0.list(deleted.sorted()) { $0.string(store.path(of: $1).bytes) }
            $0.integer(freed)
            $0.integer(0)
        }
    }

    /// Checks the store, telling each problem as it is found.
    func verify(checkContents: Bool, repair: Bool) throws(DaemonError) -> Reply {
        guard !repair else { throw .failed(Self.noRepair) }
        var failure: WireError?
        let summary = try inStore { () throws(LocalStoreError) in
            try engine.store.verify(checkContents: checkContents) { problem in
                guard failure == nil else { return }
                do throws(WireError) {
                    try send(.line("\(problem)"))
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw .connection(failure) }
        return Reply { $0.bool(summary.problems > 0) }
    }
}
