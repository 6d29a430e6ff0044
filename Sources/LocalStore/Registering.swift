import Glibc
import StoreDatabase
public import StoreModel

extension LocalStore {
    /// Makes objects, which lie in the store directory already, valid.
    ///
    /// They become durable first, and then visible, all at once. Calls from many threads are grouped:
    /// one sync and one transaction for all that wait; a refused one hinders none of the others. What is
    /// known of an object that was valid before is replaced, but for its deriver and time.
    ///
    /// - Parameters:
    ///   - infos: What is known of each object; they may refer to one another, but not in a circle. A
    ///     registration time of 0 means now.
    ///   - derivations: The outputs, whose paths are known, of `.drv` files among `infos`. Those of a
    ///     `.drv` that is left out are read from it, and it is refused if they do not follow from it.
    /// - Throws: ``LocalStoreError/objectMissing(_:at:)`` when an object is not there; otherwise what
    ///   the database refused. Nothing of this call's is registered then.
    public func register(
        _ infos: [ValidPathInfo], derivations: [StorePath: [OutputName: StorePath]] = [:]
    ) throws(LocalStoreError) {
        guard !infos.isEmpty else { return }
        var outputs = derivations
        for info in infos where info.path.isDerivation && outputs[info.path] == nil {
            outputs[info.path] = try derivation(inFileOf: info.path).outputs.compactMapValues(
                \.path)
        }
        let now = Int64(time(nil))
        let dated = infos.map { info in
            var info = info
            if info.registrationTime == 0 { info.registrationTime = now }
            return info
        }
        try commits.commit(Registration(dated, outputs: outputs))
    }

    /// Makes paths invalid, all at once; those that are not valid are passed over.
    ///
    /// - Throws: ``LocalStoreError/stillAlive(_:root:)`` when a valid object that is not among `paths`
    ///   refers to one of them.
    public func invalidate(_ paths: Set<StorePath>) throws(LocalStoreError) {
        try inDatabase { () throws(StoreDatabaseError) in try rows.invalidate(paths) }
    }
}
