public import Hashing
public import LaunchModel
public import StoreModel

/// An output as it was found after the build, read in one pass.
public struct ScannedOutput: Hashable, Sendable {
    /// The path that it will have.
    public var path: StorePath
    /// What its top is.
    public var kind: ObjectKind
    /// Whether its top is an executable file.
    public var isExecutable: Bool
    /// The SHA-256 of its NAR.
    public var narHash: Digest
    /// The size of its NAR, in bytes.
    public var narSize: UInt64
    /// The inputs and outputs whose hash parts stand in it, itself perhaps included.
    public var references: Set<StorePath>
    /// For a promised content: its digest by the method and function of the promise.
    public var promisedDigest: Digest?

    /// Puts together what was found.
    public init(
        path: StorePath, kind: ObjectKind, isExecutable: Bool, narHash: Digest, narSize: UInt64,
        references: Set<StorePath>, promisedDigest: Digest? = nil
    ) {
        self.path = path
        self.kind = kind
        self.isExecutable = isExecutable
        self.narHash = narHash
        self.narSize = narSize
        self.references = references
        self.promisedDigest = promisedDigest
    }
}

/// Outputs that keep every rule of their derivation; only ``checkOutputs(_:of:)`` makes one.
public struct CheckedOutputs: Hashable, Sendable {
    /// What the store is to know of each output.
    public let infos: [OutputName: ValidPathInfo]

    fileprivate init(infos: [OutputName: ValidPathInfo]) { self.infos = infos }
}

/// The rule of its derivation that an output breaks.
public enum OutputFault: Error, Hashable, Sendable {
    /// Nothing is at the output's path.
    case missing(OutputName, StorePath)
    /// The content is promised by the hash of one file, and this is none, or it is executable.
    case notOneFile(StorePath)
    /// The content is other than was promised.
    case hashMismatch(derivation: StorePath, specified: Digest, got: Digest)
    /// Promised content refers to store objects.
    case promisedContentRefers(StorePath, to: [StorePath])
    /// The output refers to objects, or needs objects, that a rule does not allow.
    case forbidden(StorePath, rule: String, [StorePath])
    /// The output, or its closure, is larger than a rule allows.
    case tooLarge(StorePath, rule: String, size: UInt64, limit: UInt64)
    /// The outputs refer to each other in a circle.
    case cycle([StorePath])
    /// A rule cannot be read.
    case rule(PlanningFault)
}

/// Checks the outputs of a build against every rule of its derivation.
///
/// Source: `reference/nix-features.md` §2 and §7.
public func checkOutputs(
    _ outputs: [OutputName: ScannedOutput], of build: ResolvedBuild, in store: StoreDirectory,
    registrationTime: Int64
) throws(OutputFault) -> CheckedOutputs {
    var checker = OutputChecker(build: build, outputs: outputs, store: store)
    do {
        checker.attributes = try DerivationAttributes(of: build.derivation)
    } catch {
        throw .rule(error)
    }
    var infos: [OutputName: ValidPathInfo] = [:]
    for (name, path) in build.outputs {
        guard let output = outputs[name] else { throw .missing(name, path) }
        var info = ValidPathInfo(
            path: path, narHash: output.narHash, narSize: output.narSize,
            references: output.references, deriver: build.path, registrationTime: registrationTime,
            isUltimate: true)
        if case .fixed(_, let address)? = build.derivation.outputs[name] {
            try checker.checkPromise(output, address)
            info.contentAddress = address
        }
        infos[name] = info
    }
    try checker.checkOrder()
    for (name, _) in build.outputs { try checker.checkRules(of: name) }
    return CheckedOutputs(infos: infos)
}

private struct OutputChecker {
    let build: ResolvedBuild
    let outputs: [OutputName: ScannedOutput]
    let store: StoreDirectory
    var attributes: DerivationAttributes?

    init(build: ResolvedBuild, outputs: [OutputName: ScannedOutput], store: StoreDirectory) {
        self.build = build
        self.outputs = outputs
        self.store = store
    }

    func checkPromise(_ output: ScannedOutput, _ address: ContentAddress) throws(OutputFault) {
        switch address.method {
        case .flat, .text:
            guard output.kind == .regular, !output.isExecutable else {
                throw .notOneFile(output.path)
            }
        case .recursive, .git: break
        }
        guard let digest = output.promisedDigest, digest == address.digest else {
            throw .hashMismatch(
                derivation: build.path, specified: address.digest,
                got: output.promisedDigest ?? output.narHash)
        }
        guard output.references.isEmpty else {
            throw .promisedContentRefers(output.path, to: output.references.sorted())
        }
    }

    /// Outputs can be registered one after the other only if they do not refer in a circle.
    func checkOrder() throws(OutputFault) {
        var left: [StorePath: Set<StorePath>] = [:]
        let paths = Set(outputs.values.map(\.path))
        for output in outputs.values {
            left[output.path] = output.references.intersection(paths).subtracting([output.path])
        }
        while let next = left.first(where: { $0.value.isDisjoint(with: left.keys) }) {
            left[next.key] = nil
        }
        guard left.isEmpty else { throw .cycle(left.keys.sorted()) }
    }

    func checkRules(of name: OutputName) throws(OutputFault) {
        guard let output = outputs[name], let attributes else { return }
        let rules: OutputRuleSet
        do {
            rules = try attributes.rules(for: name)
        } catch {
            throw .rule(error)
        }
        if let limit = rules.maximumSize, output.narSize > limit {
            throw .tooLarge(output.path, rule: "maxSize", size: output.narSize, limit: limit)
        }
        let closure = closure(of: output)
        if let limit = rules.maximumClosureSize {
            let size = closure.reduce(UInt64(0)) { $0 + self.size(of: $1) }
            guard size <= limit else {
                throw .tooLarge(output.path, rule: "maxClosureSize", size: size, limit: limit)
            }
        }
        let requisites = rules.ignoresSelf ? closure.subtracting([output.path]) : closure
        try check(output, output.references, "allowedReferences", allowed: rules.allowedReferences)
        try check(output, requisites, "allowedRequisites", allowed: rules.allowedRequisites)
        try check(
            output, output.references, "disallowedReferences", forbidden: rules.disallowedReferences
        )
        try check(output, requisites, "disallowedRequisites", forbidden: rules.disallowedRequisites)
    }

    private func check(
        _ output: ScannedOutput, _ found: Set<StorePath>, _ rule: String, allowed: [ByteString]?
    ) throws(OutputFault) {
        guard let allowed else { return }
        let rest = found.subtracting(try paths(allowed, rule))
        guard rest.isEmpty else { throw .forbidden(output.path, rule: rule, rest.sorted()) }
    }

    private func check(
        _ output: ScannedOutput, _ found: Set<StorePath>, _ rule: String, forbidden: [ByteString]
    ) throws(OutputFault) {
        let hits = found.intersection(try paths(forbidden, rule))
        guard hits.isEmpty else { throw .forbidden(output.path, rule: rule, hits.sorted()) }
    }

    /// The paths that a rule lists: store paths, or names of outputs.
    private func paths(_ words: [ByteString], _ rule: String) throws(OutputFault) -> Set<StorePath>
    {
        var paths: Set<StorePath> = []
        for word in words {
            if let name = OutputName(word.bytes), let path = build.derivation.outputs[name]?.path {
                paths.insert(path)
                continue
            }
            do {
                paths.insert(try store.parse(word.bytes))
            } catch {
                throw .rule(.attribute(rule, "has '\(word)', which is no output and no store path"))
            }
        }
        return paths
    }

    private func closure(of output: ScannedOutput) -> Set<StorePath> {
        var byPath: [StorePath: Set<StorePath>] = [:]
        for output in outputs.values { byPath[output.path] = output.references }
        var reached: Set<StorePath> = [output.path]
        var waiting = [output.path]
        while let path = waiting.popLast() {
            let references = byPath[path] ?? build.closure[path]?.references ?? []
            for reference in references where reached.insert(reference).inserted {
                waiting.append(reference)
            }
        }
        return reached
    }

    private func size(of path: StorePath) -> UInt64 {
        outputs.values.first { $0.path == path }?.narSize ?? build.closure[path]?.narSize ?? 0
    }
}

extension OutputFault: CustomStringConvertible {
    /// What was refused, and what was found instead.
    public var description: String {
        func lines(_ paths: [StorePath]) -> String { paths.map { "\n  \($0)" }.joined() }
        return switch self {
        case .missing(let name, let path):
            "the builder left nothing at '\(path)', its output '\(name)'"
        case .notOneFile(let path):
            "'\(path)' should be one file that is not executable, because its content is promised by "
                + "the hash of a file"
        case .hashMismatch(let derivation, let specified, let got):
            "hash mismatch in fixed-output derivation '\(derivation)':\n"
                + "  specified: \(specified.text(.sri, prefixed: false))\n"
                + "     got:    \(got.text(.sri, prefixed: false))"
        case .promisedContentRefers(let path, let references):
            "'\(path)' is a fixed output and may not refer to store objects:" + lines(references)
        case .forbidden(let path, let rule, let paths):
            "'\(path)' may not refer to these objects, by its \(rule):" + lines(paths)
        case .tooLarge(let path, let rule, let size, let limit):
            "'\(path)' has \(size) bytes, and its \(rule) is \(limit)"
        case .cycle(let paths): "these outputs refer to each other in a circle:" + lines(paths)
        case .rule(let fault): "\(fault)"
        }
    }
}
