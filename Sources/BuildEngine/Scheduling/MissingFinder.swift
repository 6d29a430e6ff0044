import Goals
import StoreModel

/// Finds what would have to be built, without building anything.
struct MissingFinder {
    private let inspector: Inspector
    private var facts: [StorePath: Inspection] = [:]
    private var willBuild: Set<StorePath> = []
    private var unknown: Set<StorePath> = []

    init(_ inspector: Inspector) { self.inspector = inspector }

    mutating func find(
        _ paths: [DerivedPath]
    ) -> (willBuild: Set<StorePath>, unknown: Set<StorePath>) {
        // Nothing means all outputs.
        var waiting: [(path: StorePath, outputs: Set<OutputName>?)] = []
        for path in paths {
            switch path {
            case .opaque(let path): look(at: path)
            case .built(let path, let outputs): waiting.append((path, outputs))
            }
        }
        while let (path, outputs) = waiting.popLast() {
            guard !willBuild.contains(path), !unknown.contains(path) else { continue }
            let known = facts[path] ?? inspector.inspect(.outputs(of: path))
            facts[path] = known
            switch known {
            case .derivation(let facts):
                let wanted = outputs ?? Set(facts.outputs.keys)
                guard !wanted.isSubset(of: facts.valid) else { continue }
                willBuild.insert(path)
                for source in facts.absentSources { look(at: source) }
                for (input, outputs) in facts.inputs { waiting.append((input, outputs)) }
            // Building it says what is wrong with it, and lets the others go on.
            case .present, .absent, .unusable: unknown.insert(path)
            }
        }
        return (willBuild, unknown)
    }

    private mutating func look(at path: StorePath) {
        if inspector.inspect(.path(path)) != .present { unknown.insert(path) }
    }
}
