public import Hashing
public import StoreModel

/// What stands for a derivation in the hash of those that use it.
public enum HashModulo: Hashable, Sendable {
    /// One digest for all outputs.
    case regular(Digest)
    /// The promised content alone, whatever the recipe says.
    case fixed(Digest)
    /// No digest: an output path is not known before something is built.
    case deferred
}

/// Why a derivation cannot be hashed.
public enum DerivationHashFault: Error, Hashable, Sendable {
    /// The first needs the second, which is not to be had.
    case missingInput(StorePath)
    /// The derivation needs itself.
    case cycle(StorePath)
    /// No path can be made of the derivation's name or outputs.
    case path(StorePathMakerFault)
}

/// Hashes derivations modulo the recipes of fixed outputs, each one once.
///
/// A walk keeps its own stack, so a chain of any length is fine.
///
/// Source: Nix manual, "Derivation hash modulo"; `reference/nix-features.md` §14.
public struct DerivationHasher: Sendable {
    private let maker: StorePathMaker
    private var known: [StorePath: HashModulo] = [:]

    /// Hashes derivations of one store directory.
    public init(_ store: StoreDirectory) { maker = StorePathMaker(store) }

    /// What stands for the derivation at `path` in the hashes of others.
    ///
    /// - Parameters:
    ///   - path: The derivation's own path.
    ///   - lookup: Finds the derivation at a path; asked once for each.
    /// - Returns: Its hash, which is remembered.
    /// - Throws: ``DerivationHashFault`` when a derivation is missing or needs itself.
    public mutating func hashModulo(
        of path: StorePath, lookup: (StorePath) -> Derivation?
    ) throws(DerivationHashFault) -> HashModulo {
        if let hash = known[path] { return hash }
        // A frame waits on the stack until all its inputs are known.
        var stack: [(path: StorePath, derivation: Derivation, inputs: [StorePath])] = []
        var waiting: Set<StorePath> = []
        var next: StorePath? = path
        while true {
            if let entered = next {
                guard waiting.insert(entered).inserted else { throw .cycle(entered) }
                guard let derivation = lookup(entered) else { throw .missingInput(entered) }
                let needsInputs = fixedOutput(of: derivation) == nil
                stack.append(
                    (
                        entered, derivation,
                        needsInputs ? [StorePath](derivation.inputDerivations.keys) : []
                    ))
            }
            guard let top = stack.indices.last else { break }
            next = nil
            while let input = stack[top].inputs.popLast() {
                if known[input] == nil {
                    next = input
                    break
                }
            }
            if next == nil {
                let frame = stack.removeLast()
                waiting.remove(frame.path)
                known[frame.path] = hash(of: frame.derivation)
            }
        }
        guard let hash = known[path] else { throw .missingInput(path) }
        return hash
    }

    /// The output paths that follow from `derivation`; outputs whose path is not known are left out.
    public mutating func outputPaths(
        of derivation: Derivation, lookup: (StorePath) -> Derivation?
    ) throws(DerivationHashFault) -> [OutputName: StorePath] {
        var digest: Digest?
        if derivation.outputs.values.contains(where: \.followsFromDerivation),
            case .regular(let masked) = try maskedHash(of: derivation, lookup: lookup)
        {
            digest = masked
        }
        var paths: [OutputName: StorePath] = [:]
        do {
            for (name, output) in derivation.outputs {
                switch output {
                case .fixed(_, let address):
                    paths[name] = try maker.path(
                        name: outputObjectName(derivationName: derivation.name, output: name),
                        address: address)
                case .inputAddressed, .deferred:
                    guard let digest else { continue }
                    paths[name] = try maker.outputPath(
                        hashModulo: digest, output: name, derivationName: derivation.name)
                case .floating, .impure: continue
                }
            }
        } catch {
            throw .path(error)
        }
        return paths
    }

    private mutating func maskedHash(
        of derivation: Derivation, lookup: (StorePath) -> Derivation?
    ) throws(DerivationHashFault) -> HashModulo {
        for input in derivation.inputDerivations.keys {
            _ = try hashModulo(of: input, lookup: lookup)
        }
        guard let inputs = replacedInputs(of: derivation) else { return .deferred }
        let text = ATermWriter.text(
            of: derivation, outputs: .masked, inputs: inputs, in: maker.store)
        return .regular(.of(.sha256, text))
    }

    /// The hash of a derivation whose inputs are all known.
    private func hash(of derivation: Derivation) -> HashModulo {
        if let (path, address) = fixedOutput(of: derivation) {
            let text =
                "fixed:out:" + address.method.prefix + address.digest.text(.base16, prefixed: true)
                + ":" + maker.store.path(of: path).description
            return .fixed(.of(.sha256, text))
        }
        for output in derivation.outputs.values {
            guard case .inputAddressed = output else { return .deferred }
        }
        guard let inputs = replacedInputs(of: derivation) else { return .deferred }
        let text = ATermWriter.text(
            of: derivation, outputs: .stated, inputs: inputs, in: maker.store)
        return .regular(.of(.sha256, text))
    }

    /// The inputs with hashes in place of paths, sorted; nothing if one of them is deferred.
    private func replacedInputs(of derivation: Derivation) -> [(
        key: [UInt8], value: DerivationInput
    )]? {
        var outputs: [String: Set<OutputName>] = [:]
        for (path, input) in derivation.inputDerivations {
            guard input.dynamic.isEmpty else { return nil }
            switch known[path] {
            case .regular(let digest):
                outputs[digest.text(.base16, prefixed: false), default: []].formUnion(input.outputs)
            case .fixed(let digest):
                outputs[digest.text(.base16, prefixed: false), default: []].insert(.out)
            case .deferred, nil: return nil
            }
        }
        return outputs.map { (key: [UInt8]($0.key.utf8), value: DerivationInput($0.value)) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private func fixedOutput(of derivation: Derivation) -> (StorePath, ContentAddress)? {
        guard derivation.outputs.count == 1,
            case .fixed(let path, let address)? = derivation.outputs[.out]
        else { return nil }
        return (path, address)
    }
}

extension DerivationOutput {
    /// Whether the path is computed from the derivation's hash.
    fileprivate var followsFromDerivation: Bool {
        switch self {
        case .inputAddressed, .deferred: true
        case .fixed, .floating, .impure: false
        }
    }
}

extension DerivationHashFault: CustomStringConvertible {
    /// One sentence that says what is wrong.
    public var description: String {
        switch self {
        case .missingInput(let path): "the derivation '\(path)' is needed and missing"
        case .cycle(let path): "the derivation '\(path)' needs itself"
        case .path(let fault): "\(fault)"
        }
    }
}
