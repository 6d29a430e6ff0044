import DerivationFormat
import LocalStore
import StoreModel
import Synchronization

/// The derivations of the store, read and checked.
///
/// Every output path is computed again when a file is read, so a `.drv` that lies about its outputs is
/// never built, whoever put it there.
final class Derivations: Sendable {
    /// How many derivations are kept in memory.
    static let cacheLimit = 2048

    fileprivate struct State {
        var hasher: DerivationHasher
        var cache: [StorePath: Derivation] = [:]
        /// Derivations that a trusted client sent without a file in the store, by how many requests.
        var sent: [StorePath: (derivation: Derivation, users: Int)] = [:]
    }

    private let store: LocalStore
    private let state: Mutex<State>

    init(_ store: LocalStore) {
        self.store = store
        state = Mutex(State(hasher: DerivationHasher(store.layout.logicalStore)))
    }

    /// The derivation at a path, which was checked.
    func checked(_ path: StorePath) throws(EngineError) -> Derivation {
        if let sent = state.withLock({ $0.sent[path]?.derivation }) { return sent }
        if let known = state.withLock({ $0.cache[path] }) { return known }
        let derivation: Derivation
        do {
            derivation = try store.readDerivation(path)
        } catch {
            throw .store(error)
        }
        try checkOutputs(of: derivation, at: path)
        state.withLock { $0.keep(derivation, at: path) }
        return derivation
    }

    /// Whether a trusted client has sent the derivation at this path.
    func isSent(_ path: StorePath) -> Bool { state.withLock { $0.sent[path] != nil } }

    /// Takes the derivation of a trusted client for true until ``forget(_:)``.
    func trust(_ derivation: Derivation, at path: StorePath) throws(EngineError) {
        try checkOutputs(of: derivation, at: path)
        state.withLock { state in
            let users = state.sent[path]?.users ?? 0
            state.sent[path] = (derivation, users + 1)
        }
    }

    /// Ends what ``trust(_:at:)`` began.
    func forget(_ path: StorePath) {
        state.withLock { state in
            guard let sent = state.sent[path] else { return }
            state.sent[path] = sent.users > 1 ? (sent.derivation, sent.users - 1) : nil
        }
    }

    /// Checks a derivation that is not in the store yet, and remembers that it was.
    ///
    /// - Parameters:
    ///   - derivation: What is to be checked.
    ///   - path: Where it belongs, which was checked.
    ///   - group: May have derivations that were checked and are not valid yet either.
    /// - Returns: Its outputs.
    /// - Throws: ``EngineError`` when it does not say what follows from it.
    func check(
        new derivation: Derivation, at path: StorePath, after group: UploadGroup
    ) throws(EngineError) -> [OutputName: StorePath] {
        let computed = try outputPaths(of: derivation, at: path, after: group)
        for (name, output) in derivation.outputs.sorted(by: { $0.key < $1.key }) {
            guard let stated = output.path else { continue }
            guard let computed = computed[name], computed == stated else {
                let should = computed[name].map { ", and should be '\($0)'" } ?? ""
                throw .derivation(path, "says that its output '\(name)' is '\(stated)'\(should)")
            }
            let variable = derivation.environment[ByteString(name.bytes)]
            guard variable == nil || variable == store.layout.logicalStore.path(of: stated) else {
                throw .derivation(
                    path, "has the variable '\(name)', which is not the path of that output")
            }
        }
        return derivation.outputs.compactMapValues(\.path)
    }

    /// Refuses what this engine does not build.
    private func checkOutputs(of derivation: Derivation, at path: StorePath) throws(EngineError) {
        guard !derivation.outputs.isEmpty else { throw .derivation(path, "has no outputs") }
        for (name, output) in derivation.outputs.sorted(by: { $0.key < $1.key }) {
            guard let stated = output.path else {
                throw .derivation(
                    path,
                    "has the output '\(name)' whose path follows from its content; this engine builds "
                        + "outputs whose path is known before")
            }
            guard !stated.isDerivation else {
                throw .derivation(path, "has the output '\(name)', which would be a derivation")
            }
        }
    }

    private func outputPaths(
        of derivation: Derivation, at path: StorePath, after group: UploadGroup
    ) throws(EngineError) -> [OutputName: StorePath] {
        var failure: EngineError?
        let computed = state.withLock {
            state -> Result<[OutputName: StorePath], DerivationHashFault> in
            var hasher = state.hasher
            // Not kept in two places while it changes: a copy would cost as much as it has entries.
            state.hasher = DerivationHasher(store.layout.logicalStore)
            defer { state.hasher = hasher }
            return Result { () throws(DerivationHashFault) in
                try hasher.outputPaths(of: derivation) { input in
                    if let known = group.derivation(at: input) ?? state.cache[input] {
                        return known
                    }
                    do throws(LocalStoreError) {
                        let read = try store.readDerivation(input)
                        state.keep(read, at: input)
                        return read
                    } catch {
                        failure = .store(error)
                        return nil
                    }
                }
            }
        }
        switch computed {
        case .success(let paths): return paths
        case .failure(let fault):
            throw failure ?? .derivation(path, "cannot be checked: \(fault)")
        }
    }
}

extension Derivations.State {
    /// Keeps a derivation, and forgets all others when there are too many.
    fileprivate mutating func keep(_ derivation: Derivation, at path: StorePath) {
        if cache.count >= Derivations.cacheLimit { cache.removeAll(keepingCapacity: true) }
        cache[path] = derivation
    }
}
