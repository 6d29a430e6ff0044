import DerivationFormat
import HostSetup
import Recipes
import StoreModel

/// What a recipe turned out to be: what to send, and what to build.
struct EvaluatedRecipe: Sendable {
    /// Sources and then derivations, each after what it refers to.
    var uploads: [Upload] = []
    /// What to build, in the order in which it was asked for.
    var wanted: [DerivedPath] = []
    /// The profile that the recipe asks for.
    var profile: String?

    /// Evaluates a recipe as the user who runs the command.
    ///
    /// - Parameters:
    ///   - file: The recipe.
    ///   - select: The names of derivations; none means what the recipe builds by default.
    /// - Throws: ``InputError`` with everything that is wrong in it.
    init(file: String, select: [String]) throws(InputError) {
        let result: RecipeResult
        do {
            result = try evaluateRecipe(
                file: file, select: select, system: ByteString(hostSystem()))
        } catch {
            throw InputError("\(error)")
        }
        for source in result.sources {
            switch source {
            case .tree(let path, let storePath, let narHash, let narSize, _):
                uploads.append(
                    Upload(tree: path, at: storePath, narHash: narHash, narSize: narSize))
            case .text(_, let contents, let references, let storePath):
                uploads.append(Upload(text: contents, at: storePath, references: references))
            }
        }
        for (path, derivation) in result.derivations {
            uploads.append(Self.upload(derivation, at: path))
        }
        wanted = result.wanted
        profile = result.profile
    }

    /// The upload of one derivation.
    static func upload(
        _ derivation: Derivation, at path: StorePath, in store: StoreDirectory = .standard
    ) -> Upload {
        Upload(
            text: aterm(of: derivation, in: store), at: path,
            references: derivation.inputSources.union(derivation.inputDerivations.keys))
    }
}
