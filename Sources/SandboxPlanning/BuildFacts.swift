public import Hashing
public import StoreModel

/// What is known of a store object that a build may see.
public struct ObjectFacts: Hashable, Sendable {
    /// The SHA-256 of its NAR.
    public var narHash: Digest
    /// The size of its NAR, in bytes.
    public var narSize: UInt64
    /// The objects that it refers to, itself perhaps included.
    public var references: Set<StorePath>
    /// The promise that its path follows from.
    public var contentAddress: ContentAddress?

    /// Puts facts together.
    public init(
        narHash: Digest, narSize: UInt64, references: Set<StorePath>,
        contentAddress: ContentAddress? = nil
    ) {
        self.narHash = narHash
        self.narSize = narSize
        self.references = references
        self.contentAddress = contentAddress
    }
}

/// A derivation whose inputs are all valid, with what is known of them.
public struct ResolvedBuild: Hashable, Sendable {
    /// The derivation's own path.
    public var path: StorePath
    /// The derivation; every output has a path.
    public var derivation: Derivation
    /// The closure of its inputs: what the builder sees.
    public var closure: [StorePath: ObjectFacts]
    /// For every derivation in the closure, its valid outputs; they belong to exported graphs.
    public var outputsOfDerivations: [StorePath: Set<StorePath>]
    /// What is known of the closures of those outputs, where ``closure`` does not say it.
    public var graphObjects: [StorePath: ObjectFacts]

    /// Puts a build together.
    public init(
        path: StorePath, derivation: Derivation, closure: [StorePath: ObjectFacts],
        outputsOfDerivations: [StorePath: Set<StorePath>] = [:],
        graphObjects: [StorePath: ObjectFacts] = [:]
    ) {
        self.path = path
        self.derivation = derivation
        self.closure = closure
        self.outputsOfDerivations = outputsOfDerivations
        self.graphObjects = graphObjects
    }

    /// The outputs with their paths, by name.
    public var outputs: [(name: OutputName, path: StorePath)] {
        derivation.outputs.sorted { $0.key < $1.key }.compactMap { output in
            output.value.path.map { (output.key, $0) }
        }
    }

    /// Whether the content of the output is promised.
    public var isFixedOutput: Bool {
        derivation.outputs.values.contains { output in
            if case .fixed = output { true } else { false }
        }
    }
}

/// What an engine's settings say about every build.
public struct BuildSettings: Hashable, Sendable {
    /// The store directory that builders see.
    public var store: StoreDirectory
    /// The kind of machine that this is, such as `x86_64-linux`.
    public var system: ByteString
    /// Other kinds of machine whose builds run here too.
    public var extraSystems: Set<ByteString>
    /// What a build may ask the machine to have, such as `kvm`.
    public var systemFeatures: Set<ByteString>
    /// What `NIX_BUILD_CORES` says.
    public var cores: Int
    /// Where the builder finds its build directory.
    public var buildDirectory: ByteString
    /// Variables that fixed-output derivations may ask for by name (`impureEnvVars`).
    public var impureVariables: [ByteString: ByteString]
    /// Whether a failed build's directory is kept.
    public var keepsFailed: Bool

    /// Puts settings together.
    public init(
        store: StoreDirectory = .standard, system: ByteString, extraSystems: Set<ByteString> = [],
        systemFeatures: Set<ByteString> = [], cores: Int = 1,
        buildDirectory: ByteString = "/build",
        impureVariables: [ByteString: ByteString] = [:], keepsFailed: Bool = false
    ) {
        self.store = store
        self.system = system
        self.extraSystems = extraSystems
        self.systemFeatures = systemFeatures
        self.cores = cores
        self.buildDirectory = buildDirectory
        self.impureVariables = impureVariables
        self.keepsFailed = keepsFailed
    }
}

/// Why a build cannot be planned.
public enum PlanningFault: Error, Hashable, Sendable {
    /// This machine is no `wanted`.
    case system(derivation: StorePath, wanted: ByteString, have: ByteString)
    /// This machine lacks features that the derivation asks for.
    case features(derivation: StorePath, missing: [ByteString])
    /// The builder is a function of the builder program, which does not exist here.
    case builtinBuilder(ByteString)
    /// An output's path is not known.
    case unresolvedOutput(OutputName)
    /// The structured attributes are not a JSON object.
    case structuredAttributes
    /// This variable or argument holds NUL, which would end it in the kernel.
    case nul(String)
    /// An attribute has a value that it cannot have; the text says what it should be.
    case attribute(String, String)
    /// The graph of this path is not in the closure of the inputs.
    case graphOutsideOfClosure(ByteString)
}

extension PlanningFault: CustomStringConvertible {
    /// One sentence that says what was refused and why.
    public var description: String {
        switch self {
        case .system(let derivation, let wanted, let have):
            "'\(derivation)' is to be built on a '\(wanted)', and this is a '\(have)'"
        case .features(let derivation, let missing):
            "'\(derivation)' asks for a machine with \(missing.map { "'\($0)'" }.joined(separator: ", ")), "
                + "which is not among this machine's system features"
        case .builtinBuilder(let name): "the builder '\(name)' does not exist"
        case .unresolvedOutput(let name): "the path of output '\(name)' is not known"
        case .nul(let place): "\(place) holds NUL, and the kernel would end it there"
        case .structuredAttributes: "the structured attributes are not a JSON object"
        case .attribute(let name, let problem): "the attribute '\(name)' \(problem)"
        case .graphOutsideOfClosure(let path):
            "the references of '\(path)' cannot be exported, because it is not in the closure of the inputs"
        }
    }
}
