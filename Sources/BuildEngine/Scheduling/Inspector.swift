import Goals
import LocalStore
import StoreModel

/// Finds out about paths for the scheduler.
struct Inspector: Sendable {
    let store: LocalStore
    let derivations: Derivations

    /// What is known of a path.
    func inspect(_ wanted: Wanted) -> Inspection {
        do throws(EngineError) {
            switch wanted {
            case .path(let path): return try isValid(path) ? .present : .absent
            case .outputs(of: let path):
                guard path.isDerivation else {
                    return .unusable(.inputRejected, "'\(path)' is no derivation")
                }
                if !derivations.isSent(path) {
                    guard try isValid(path) else { return .absent }
                }
                return .derivation(try facts(of: path))
            }
        } catch {
            switch error {
            case .derivation: return .unusable(.inputRejected, "\(error)")
            default: return .unusable(.miscellaneousFailure, "\(error)")
            }
        }
    }

    private func facts(of path: StorePath) throws(EngineError) -> DerivationFacts {
        let derivation = try derivations.checked(path)
        var inputs: [StorePath: Set<OutputName>] = [:]
        for (path, input) in derivation.inputDerivations {
            guard input.dynamic.isEmpty else {
                throw .derivation(
                    path, "is used for outputs of its outputs, which is not done here")
            }
            inputs[path] = input.outputs
        }
        let outputs = derivation.outputs.compactMapValues(\.path)
        let valid: Set<StorePath>
        do {
            valid = try store.validPaths(
                among: derivation.inputSources.union(outputs.values))
        } catch {
            throw .store(error)
        }
        return DerivationFacts(
            inputs: inputs, absentSources: derivation.inputSources.subtracting(valid),
            outputs: outputs, valid: Set(outputs.filter { valid.contains($0.value) }.keys))
    }

    /// Those of a derivation's outputs that are valid.
    func validOutputs(of path: StorePath) throws(EngineError) -> Set<OutputName> {
        let outputs = try derivations.checked(path).outputs.compactMapValues(\.path)
        do {
            let valid = try store.validPaths(among: Set(outputs.values))
            return Set(outputs.filter { valid.contains($0.value) }.keys)
        } catch {
            throw .store(error)
        }
    }

    private func isValid(_ path: StorePath) throws(EngineError) -> Bool {
        do {
            return try store.isValid(path)
        } catch {
            throw .store(error)
        }
    }
}
