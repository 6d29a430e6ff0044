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
/// path, and every output path computed whose inputs are in the set too. Outputs whose path depends on
/// content, and those of derivations with inputs outside of the set, have nothing that could be computed.
///
/// - Parameters:
///   - files: What to call each file in messages, its name, and its bytes.
///   - store: The directory that all paths are in.
/// - Returns: How many there are, how many outputs were computed, and everything that is wrong.
public func verifyDerivations(
    _ files: [(file: String, name: [UInt8], bytes: [UInt8])], in store: StoreDirectory
) -> DerivationVerification {
    var result = DerivationVerification(derivations: files.count)
    let maker = StorePathMaker(store)
    var derivations: [StorePath: Derivation] = [:]
    var parsed: [(file: String, derivation: Derivation)] = []
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
            parsed.append((file, derivation))
        } catch {
            result.fail(file, "\(error)")
        }
    }
    var hasher = DerivationHasher(store)
    for (file, derivation) in parsed {
        do throws(DerivationHashFault) {
            let paths = try hasher.outputPaths(of: derivation) { derivations[$0] }
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
                let variable = derivation.environment[ByteString(name.bytes)]
                guard variable == nil || variable == store.path(of: computed) else {
                    result.fail(file, "the variable '\(name)' should be the path of the output")
                    continue
                }
                result.outputs += 1
            }
        } catch {
            if case .missingInput = error { continue }
            result.fail(file, "\(error)")
        }
    }
    return result
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
