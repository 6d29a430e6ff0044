import Hashing
public import StoreModel

/// What a set of `.drv` files turned out to be.
public struct DerivationVerification: Hashable, Sendable {
    /// The files that were read.
    public var derivations = 0
    /// The outputs whose path was computed and is the one that the file states.
    public var outputs = 0
    /// The files in which something is wrong.
    public var failures: [Failure] = []

    /// A file in which something is wrong.
    public struct Failure: Hashable, Sendable {
        /// The file, as it was named.
        public let file: String
        /// What is wrong, in one sentence.
        public let message: String
    }
}

/// Checks `.drv` files against one another, without a store.
///
/// Each is parsed, printed again identically, its own path computed when the file's name is a store
/// path, every variable that is named after an output compared with the output's path, and every output
/// path computed whose inputs are in the set too. Outputs whose path depends on
/// content, and those of derivations with inputs outside of the set, have nothing that could be computed.
///
/// - Parameters:
///   - files: What to call each file in messages, its name, and its bytes.
///   - store: The directory that all paths are in.
/// - Returns: How many there are, how many outputs were computed, and everything that is wrong.
public func verifyDerivations(
    _ files: [(file: String, name: [UInt8], bytes: [UInt8])], in store: StoreDirectory
) -> DerivationVerification {
    verifyDerivations(files, in: store, onLookup: {})
}

/// As above; `onLookup` is called whenever a derivation of the set is looked up, so that tests can count.
func verifyDerivations(
    _ files: [(file: String, name: [UInt8], bytes: [UInt8])], in store: StoreDirectory,
    onLookup: () -> Void
) -> DerivationVerification {
    var result = DerivationVerification(derivations: files.count)
    let maker = StorePathMaker(store)
    var derivations: [StorePath: Derivation] = [:]
    var parsed: [(file: String, path: StorePath, derivation: Derivation)] = []
    for (file, name, bytes) in files {
        do {
            let stated = storePath(named: name)
            let objectName = stated?.objectName ?? String(decoding: name, as: UTF8.self)
            guard objectName.hasSuffix(".drv") else {
                result.fail(file, "the name does not end in .drv")
                continue
            }
            let derivation = try parseDerivation(
                bytes, name: String(objectName.dropLast(4)), in: store)
            let path = try maker.derivationPath(of: derivation)
            if let stated, stated != path {
                result.fail(file, "the text belongs at '\(path)'")
                continue
            }
            derivations[path] = derivation
            parsed.append((file, path, derivation))
        } catch {
            result.fail(file, "\(error)")
        }
    }
    let open = openDerivations(derivations)
    var hasher = DerivationHasher(store)
    for (file, path, derivation) in parsed {
        // The variables are checked whatever is missing from the set: they need no computing.
        for (name, output) in derivation.outputs.sorted(by: { $0.key < $1.key }) {
            guard let stated = output.path else { continue }
            let variable = derivation.environment[ByteString(name.bytes)]
            guard variable == store.path(of: stated) else {
                let found = variable.map { "is '\($0)'" } ?? "is missing"
                result.fail(
                    file,
                    "the variable '\(name)' \(found) and should be '\(store.path(of: stated))'")
                continue
            }
        }
        guard !open.contains(path) else { continue }
        do throws(DerivationHashFault) {
            let paths = try hasher.outputPaths(of: derivation) {
                onLookup()
                return derivations[$0]
            }
            for (name, output) in derivation.outputs.sorted(by: { $0.key < $1.key }) {
                guard let stated = output.path else { continue }
                guard let computed = paths[name] else {
                    result.fail(file, "output '\(name)' should have no path yet")
                    continue
                }
                guard stated == computed else {
                    result.fail(file, "output '\(name)' is '\(stated)' and should be '\(computed)'")
                    continue
                }
                result.outputs += 1
            }
        } catch {
            result.fail(file, "\(error)")
        }
    }
    return result
}

/// The derivations whose output paths cannot be computed, as something that they need is missing.
///
/// Found from the missing ones upward, each derivation once: asking every derivation for its inputs would
/// walk to the same gap again and again.
private func openDerivations(_ derivations: [StorePath: Derivation]) -> Set<StorePath> {
    var users: [StorePath: [StorePath]] = [:]
    var missing: Set<StorePath> = []
    for (path, derivation) in derivations where !derivation.hasPromisedContent {
        for input in derivation.inputDerivations.keys {
            users[input, default: []].append(path)
            if derivations[input] == nil { missing.insert(input) }
        }
    }
    var open: Set<StorePath> = []
    var next = [StorePath](missing)
    while let path = next.popLast() {
        for user in users[path] ?? [] where open.insert(user).inserted { next.append(user) }
    }
    return open
}

extension Derivation {
    /// Whether the paths of the outputs follow from promises alone, whatever the inputs are.
    fileprivate var hasPromisedContent: Bool {
        outputs.values.allSatisfy { if case .fixed = $0 { true } else { false } }
    }
}

/// The store path that a file is named after; nothing for a file that was named by hand.
private func storePath(named name: [UInt8]) -> StorePath? {
    do {
        return try StorePath(baseName: name)
    } catch {
        return nil
    }
}

extension DerivationVerification {
    fileprivate mutating func fail(_ file: String, _ message: String) {
        failures.append(Failure(file: file, message: message))
    }

    /// How many files have something wrong.
    public var failed: Int { Set(failures.map(\.file)).count }
}
