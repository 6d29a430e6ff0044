public import Hashing
public import StoreModel

/// Something that must be in the store before a derivation that refers to it.
public enum RecipeSource: Hashable, Sendable {
    /// A tree of the host, which becomes a recursive SHA-256 object without references.
    ///
    /// The hash is of what was there when the recipe was evaluated; whoever adds the tree gets another path
    /// if it has changed since, and must say so.
    case tree(
        path: String, storePath: StorePath, narHash: Digest, narSize: UInt64, name: String)
    /// A text, which becomes a text-addressed object.
    case text(
        name: String, contents: [UInt8], references: Set<StorePath>, storePath: StorePath)

    /// The path that it gets.
    public var storePath: StorePath {
        switch self {
        case .tree(_, let storePath, _, _, _), .text(_, _, _, let storePath): storePath
        }
    }
}

/// What a recipe turned out to be.
public struct RecipeResult: Sendable {
    /// What to add to the store first, in this order; a text comes behind what it refers to.
    public var sources: [RecipeSource] = []
    /// The derivations with their paths, inputs before users, each once.
    public var derivations: [(path: StorePath, derivation: Derivation)] = []
    /// What to build, in the order of the file or of the request.
    public var wanted: [DerivedPath] = []
    /// What the recipe calls a derivation; one that fetches an input is called as the input.
    public var names: [StorePath: String] = [:]
    /// The sandbox profile that the recipe asks for; no part of any derivation.
    public var profile: String?
}

/// Turns a recipe file into derivations, exactly those that Nix makes of the same description.
///
/// Reads the file, the files that it names and the trees of its path inputs, with the caller's own rights;
/// writes nothing.
///
/// - Parameters:
///   - file: The recipe file.
///   - select: Which derivations of it are wanted, each by its key, perhaps with `^OUTPUT,OUTPUT` behind
///     it; none means those that the file calls its default, or that no other one of it uses.
///   - system: The kind of machine of derivations that do not say it.
///   - store: The store directory that paths are in.
/// - Returns: What to add to the store and what to build.
/// - Throws: ``RecipeErrors`` with every mistake of the first stage that found any: reading, names between
///   derivations, trees, store paths.
public func evaluateRecipe(
    file: String, select: [String] = [], system: ByteString, store: StoreDirectory = .standard
) throws(RecipeErrors) -> RecipeResult {
    let recipes = try RecipeLoader.load(file).resolved()
    let selected = try recipes.selected(select)
    let needed = recipes.closure(of: selected.map(\.reference))
    var trees: [String: RecipeTree] = [:]
    var errors: [RecipeError] = []
    for reference in needed {
        let directory = recipes.set.directories[reference.file]
        for input in recipes.set[reference].inputs {
            guard case .tree(let path, let name) = input.kind else { continue }
            let absolute = absolutePath(path.value, below: directory)
            let document = recipes.set.recipes[reference.file].document
            let objectName = name ?? lastComponent(of: absolute)
            // Before it is read: somebody may have written `/`.
            guard isObjectName(objectName) else {
                errors.append(
                    document.error(
                        path.place, "`\(objectName)` cannot be the name of a store object",
                        suggestion: "set `name`: " + nameAdvice))
                continue
            }
            guard trees[absolute] == nil else { continue }
            do {
                trees[absolute] = try recipeTree(absolute)
            } catch {
                errors.append(document.error(path.place, "\(error)"))
            }
        }
    }
    guard errors.isEmpty else { throw RecipeErrors(errors) }
    var evaluator = RecipeEvaluator(recipes.set, trees: trees, system: system, store: store)
    for reference in needed { try evaluator.add(reference) }
    var result = evaluator.result
    result.wanted = selected.compactMap { reference, outputs in
        evaluator.path(of: reference).map { .built($0, outputs: outputs) }
    }
    result.profile = try recipes.profile(of: needed)
    return result
}
