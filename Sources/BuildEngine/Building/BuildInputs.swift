import LocalStore
import SandboxPlanning
import StoreModel

/// Gathers what a build needs to know of its inputs.
struct BuildInputs: Sendable {
    let store: LocalStore
    let derivations: Derivations

    /// The derivation with the closure of its inputs; all of them must be valid.
    func resolve(_ path: StorePath) throws(BuildFailure) -> ResolvedBuild {
        let derivation = try checked(path)
        var wanted = derivation.inputSources
        for (input, needed) in derivation.inputDerivations {
            let outputs = try checked(input).outputs
            for name in needed.outputs {
                guard let output = outputs[name]?.path else { throw .noSuchOutput(input, name) }
                wanted.insert(output)
            }
        }
        var build = ResolvedBuild(
            path: path, derivation: derivation,
            closure: try closure(of: wanted).mapValues(ObjectFacts.init))
        do throws(PlanningFault) {
            guard try !DerivationAttributes(of: derivation).exportedGraphs().isEmpty else {
                return build
            }
        } catch {
            throw .planning(error)
        }
        try addGraphs(to: &build)
        return build
    }

    /// What exported graphs have besides the inputs: the valid outputs of the derivations among them.
    private func addGraphs(to build: inout ResolvedBuild) throws(BuildFailure) {
        var outputs: Set<StorePath> = []
        for path in build.closure.keys where path.isDerivation {
            do throws(LocalStoreError) {
                let all = Set(try store.derivationOutputs(of: path).values)
                let valid = try store.validPaths(among: all)
                build.outputsOfDerivations[path] = valid
                outputs.formUnion(valid)
            } catch {
                throw .engine(.store(error))
            }
        }
        let known = build.closure
        build.graphObjects = try closure(of: outputs).filter { known[$0.key] == nil }
            .mapValues(ObjectFacts.init)
    }

    private func checked(_ path: StorePath) throws(BuildFailure) -> Derivation {
        do {
            return try derivations.checked(path)
        } catch {
            throw .engine(error)
        }
    }

    private func closure(
        of paths: Set<StorePath>
    ) throws(BuildFailure) -> [StorePath: ValidPathInfo] {
        do {
            return try store.closure(of: paths)
        } catch {
            throw .engine(.store(error))
        }
    }
}

extension ObjectFacts {
    /// The part of what the store knows that builders may see.
    fileprivate init(_ info: ValidPathInfo) {
        self.init(
            narHash: info.narHash, narSize: info.narSize, references: info.references,
            contentAddress: info.contentAddress)
    }
}
