import DerivationFormat
import Glibc
public import StoreModel
import Synchronization
import SystemCalls

/// The hashes of derivations that were read already.
struct DerivationCache: Sendable {
    /// How many derivations are read before all hashes are forgotten, which bounds their memory.
    private static let limit = 100_000

    private let store: StoreDirectory
    private var hasher: DerivationHasher
    private var count = 0

    init(_ store: StoreDirectory) {
        self.store = store
        hasher = DerivationHasher(store)
    }

    /// The output paths that follow from a derivation.
    mutating func outputPaths(
        of derivation: Derivation, lookup: (StorePath) -> Derivation?
    ) throws(DerivationHashFault) -> [OutputName: StorePath] {
        if count > Self.limit {
            hasher = DerivationHasher(store)
            count = 0
        }
        var read = 1
        defer { count += read }
        return try hasher.outputPaths(of: derivation) { path in
            read += 1
            return lookup(path)
        }
    }
}

extension LocalStore {
    /// Reads a valid derivation.
    ///
    /// Everything about it is recomputed: its own path, and the paths of its outputs.
    ///
    /// - Throws: ``LocalStoreError/notValid(_:)``, or ``LocalStoreError/derivation(_:fault:)`` when it
    ///   does not have the form, or not the paths, that follow from it.
    public func readDerivation(_ path: StorePath) throws(LocalStoreError) -> Derivation {
        guard try isValid(path) else { throw .notValid(path) }
        return try derivation(inFileOf: path)
    }

    /// Reads and checks a derivation that lies in the store directory, valid or not.
    func derivation(inFileOf path: StorePath) throws(LocalStoreError) -> Derivation {
        let derivation = try parsedDerivation(path)
        var failure: LocalStoreError?
        let computed: [OutputName: StorePath]
        do {
            computed = try derivations.withLock { cache throws(DerivationHashFault) in
                try cache.outputPaths(of: derivation) { input in
                    do throws(LocalStoreError) {
                        return try parsedDerivation(input)
                    } catch {
                        failure = error
                        return nil
                    }
                }
            }
        } catch {
            throw failure ?? .derivation(path, fault: "\(error)")
        }
        for (name, output) in derivation.outputs {
            guard let stated = output.path else { continue }
            guard let path = computed[name], path == stated else {
                throw .derivation(
                    path,
                    fault: "its output '\(name)' is '\(stated)' and should be "
                        + (computed[name].map { "'\($0)'" } ?? "without a path"))
            }
            let variable = derivation.environment[ByteString(name.bytes)]
            guard variable == nil || variable == layout.logicalStore.path(of: stated) else {
                throw .derivation(path, fault: "its variable '\(name)' is not the output's path")
            }
        }
        return derivation
    }

    private func parsedDerivation(_ path: StorePath) throws(LocalStoreError) -> Derivation {
        guard path.isDerivation else {
            throw .derivation(path, fault: "its name is not one of a .drv")
        }
        let place = object(at: path)
        let bytes: [UInt8]?
        do throws(SystemError) {
            // The name may mean a FIFO, which would block, if somebody else wrote the store.
            let file = try openFile(place, O_RDONLY | O_NONBLOCK | O_NOCTTY)
            bytes = try file.withNumber { (number) throws(SystemError) in
                var status = stat()
                try check("fstat", on: place) { fstat(number, &status) }
                guard isRegular(status) else { return nil }
                return try contents(of: number, path: place, limit: derivationSizeLimit)
            }
        } catch {
            throw error.errno == ENOENT ? .objectMissing(path, at: place) : .system(error)
        }
        guard let bytes else {
            throw .derivation(path, fault: "it is no file of at most \(derivationSizeLimit) bytes")
        }
        do {
            let derivation = try parseDerivation(
                bytes, name: String(path.objectName.dropLast(4)), in: layout.logicalStore)
            let belongs = try StorePathMaker(layout.logicalStore).derivationPath(of: derivation)
            guard belongs == path else {
                throw LocalStoreError.derivation(path, fault: "its text belongs at '\(belongs)'")
            }
            return derivation
        } catch let error as LocalStoreError {
            throw error
        } catch {
            throw .derivation(path, fault: "\(error)")
        }
    }
}
