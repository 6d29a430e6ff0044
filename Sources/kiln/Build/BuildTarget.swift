import Glibc
import StoreModel

/// What an argument of `kiln build` or `kiln instantiate` asks for.
enum BuildTarget: Hashable, Sendable {
    /// Derivations of a recipe; no names means what the recipe builds by default.
    case recipe(file: String, select: [String])
    /// Outputs of a derivation in the store; no names means all.
    case derivation(StorePath, outputs: Set<OutputName>?)
    /// An object itself.
    case object(StorePath)

    /// Reads `FILE.toml[#name,…]`, `PATH.drv[^output,…]` or a store path.
    ///
    /// - Throws: ``InputError`` that says which forms there are.
    init(_ argument: String, in root: StoreRoot) throws(InputError) {
        if let (file, select) = Self.recipe(argument) {
            self = .recipe(file: file, select: select)
            return
        }
        let mark = argument.lastIndex { $0 == "^" || $0 == "!" }
        let path = mark.map { String(argument[..<$0]) } ?? argument
        let found: StorePath
        do {
            found = try storePath(path, in: root)
        } catch {
            guard path.hasSuffix(".drv") else {
                throw InputError(
                    "'\(argument)' is neither a recipe (FILE.toml or FILE.toml#name) nor a store path"
                        + Self.hint(argument))
            }
            throw InputError(
                "'\(path)' is not in the store; 'kiln derivation add \(path)' adds it and prints "
                    + "the path to build")
        }
        guard let mark else {
            self = found.isDerivation ? .derivation(found, outputs: nil) : .object(found)
            return
        }
        guard found.isDerivation else {
            throw InputError("'\(path)' is not a derivation and has no outputs to choose from")
        }
        let text = argument[argument.index(after: mark)...]
        self = .derivation(found, outputs: text == "*" ? nil : try Self.outputs(text))
    }

    /// What somebody in a hurry may have meant.
    private static func hint(_ argument: String) -> String {
        let recipe = argument + (argument.hasSuffix("/") ? "" : "/") + "kiln.toml"
        return access(recipe, F_OK) == 0 ? "; did you mean '\(recipe)'?" : ""
    }

    private static func recipe(_ argument: String) -> (String, [String])? {
        if argument.hasSuffix(".toml") { return (argument, []) }
        guard let mark = argument.lastIndex(of: "#"), argument[..<mark].hasSuffix(".toml") else {
            return nil
        }
        let names = argument[argument.index(after: mark)...].split(separator: ",")
        return (String(argument[..<mark]), names.map(String.init))
    }

    private static func outputs(_ text: Substring) throws(InputError) -> Set<OutputName> {
        var outputs: Set<OutputName> = []
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let output = OutputName([UInt8](name.utf8)) else {
                throw InputError("'\(name)' cannot be the name of an output")
            }
            outputs.insert(output)
        }
        return outputs
    }
}
