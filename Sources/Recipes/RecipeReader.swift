import Diagnostics
import Hashing
import StoreModel

/// Reads a recipe out of a document and collects every mistake.
struct RecipeReader {
    /// The most derivations of one file.
    static let derivationLimit = 10_000
    /// The most inputs of one derivation.
    static let inputLimit = 1_000

    private static let topKeys = ["profile", "system", "default", "derivation"]
    private static let derivationKeys = [
        "name", "system", "builder", "args", "script", "outputs", "env", "inputs", "outputHash",
        "outputHashAlgo", "outputHashMode",
    ]

    let document: RecipeDocument
    /// What was wrong.
    private(set) var errors: [RecipeError] = []

    /// Reads from `document`.
    init(_ document: RecipeDocument) { self.document = document }

    /// The recipe; not to be used if ``errors`` says something.
    mutating func recipe() -> Recipe {
        var recipe = Recipe(document: document)
        let top = fields(document.top, known: Self.topKeys, of: "a recipe", at: .start)
        recipe.profile = string(top, "profile")
        if let profile = recipe.profile, !isProfileName(profile.value) {
            fail(
                profile.place, "`\(profile.value)` is not a profile name",
                suggestion: "1 to 32 of a-z, 0-9 and -, beginning with a letter")
        }
        let system = string(top, "system")
        guard let entry = top.entries["derivation"] else {
            fail(
                .start, "the recipe has no derivation", suggestion: "begin one: [derivation.NAME]")
            return recipe
        }
        let entries = table(entry) ?? []
        if entries.count > Self.derivationLimit {
            fail(entry.place, "more than \(Self.derivationLimit) derivations in one file")
        }
        for entry in entries.prefix(Self.derivationLimit) {
            guard let inner = table(entry) else { continue }
            if var derivation = derivation(entry.key, inner, at: entry.place) {
                derivation.system = derivation.system ?? system?.value
                recipe.indices[entry.key] = recipe.derivations.count
                recipe.derivations.append(derivation)
            }
        }
        recipe.defaults = strings(top, "default")
        for name in recipe.defaults?.value ?? [] where !entries.contains(where: { $0.key == name })
        {
            fail(
                recipe.defaults?.place ?? .start, "there is no derivation `\(name)`",
                suggestion: didYouMean(name, entries.map(\.key)))
        }
        return recipe
    }

    // MARK: Derivations

    private mutating func derivation(
        _ key: String, _ entries: [RecipeEntry], at place: RecipePlace
    ) -> RecipeDerivation? {
        let before = errors.count
        let fields = fields(entries, known: Self.derivationKeys, of: "a derivation", at: place)
        let name = string(fields, "name") ?? Placed(key, at: place)
        let system = string(fields, "system")
        let program = program(fields, faultsBefore: before)
        let outputs = outputs(fields)
        for output in outputs where !isDerivationName(name.value, output) {
            fail(
                name.place, "`\(name.value)` cannot be the name of a derivation",
                suggestion: nameAdvice)
            break
        }
        let inputs = inputs(fields)
        var taken = Set(inputs.map(\.name))
        for input in inputs where outputs.contains(where: { "\($0)" == input.name }) {
            fail(input.place, "`\(input.name)` is an output, and no input can have its name")
        }
        taken.formUnion(outputs.map { "\($0)" })
        let (promise, promised) = promise(fields, outputs)
        let environment = promised + environment(fields, taken: taken)
        for template in templates(program, environment) {
            check(template, names: taken)
        }
        guard errors.count == before, let program else { return nil }
        return RecipeDerivation(
            key: key, place: place, name: name.value, system: system?.value, program: program,
            outputs: outputs, statesOutputs: fields.entries["outputs"] != nil, promise: promise,
            environment: environment, inputs: inputs)
    }

    private func templates(
        _ program: RecipeProgram?, _ environment: [(key: String, template: Placed<Template>)]
    ) -> [Placed<Template>] {
        let templates = environment.map(\.template)
        guard case .builder(let builder, let arguments)? = program else { return templates }
        return [builder] + arguments + templates
    }

    /// Every name of a template must be known.
    private mutating func check(_ template: Placed<Template>, names: Set<String>) {
        for name in template.value.names where !names.contains(name) {
            fail(
                template.place, "`@{\(name)}` is neither an input nor an output of the derivation",
                suggestion: didYouMean(name, names) ?? "write `@@{` for `@{` itself")
        }
    }

    private mutating func program(_ fields: Fields, faultsBefore before: Int) -> RecipeProgram? {
        let builder = string(fields, "builder")
        let arguments = strings(fields, "args")
        if let script = string(fields, "script") {
            if let other = builder?.place ?? arguments?.place {
                fail(other, "a derivation has either `script`, or `builder` and `args`")
            }
            return .script(script)
        }
        guard let builder else {
            // A misspelt or mistyped key was told already, and may be the one that is missing.
            guard errors.count == before else { return nil }
            fail(
                fields.place, "the derivation says nothing to run",
                suggestion: "set `script`, or `builder` and `args`")
            return nil
        }
        if builder.value.isEmpty { fail(builder.place, "`builder` is empty") }
        guard let program = template(builder) else { return nil }
        return .builder(
            program,
            arguments: arguments.map { list in
                list.value.compactMap { template(Placed($0, at: list.place)) }
            } ?? [])
    }

    private mutating func outputs(_ fields: Fields) -> [OutputName] {
        guard let names = strings(fields, "outputs") else { return [.out] }
        var outputs: [OutputName] = []
        for name in names.value {
            guard let output = OutputName([UInt8](name.utf8)), name != "drv" else {
                fail(names.place, "`\(name)` cannot be the name of an output")
                continue
            }
            guard !outputs.contains(output) else {
                fail(names.place, "the output `\(name)` is named twice")
                continue
            }
            if Self.reserved[name] != nil {
                fail(names.place, "no output can be called `\(name)`, as the variable of that name")
            }
            outputs.append(output)
        }
        if names.value.isEmpty { fail(names.place, "a derivation has at least one output") }
        return outputs
    }

    /// The promise of a fixed output, and the variables that say it to the builder.
    private mutating func promise(
        _ fields: Fields, _ outputs: [OutputName]
    ) -> (ContentAddress?, [(key: String, template: Placed<Template>)]) {
        let hash = string(fields, "outputHash")
        let algorithm = string(fields, "outputHashAlgo")
        let mode = string(fields, "outputHashMode")
        guard let hash else {
            if let other = algorithm ?? mode {
                fail(other.place, "a fixed output needs an `outputHash`")
            }
            return (nil, [])
        }
        if outputs != [.out] {
            fail(hash.place, "a fixed output is the only one, and called `out`")
        }
        var method = ContentAddressMethod.flat
        switch mode?.value {
        case nil, "flat": break
        case "recursive": method = .recursive
        case .some(let other):
            fail(
                mode?.place ?? hash.place,
                "`outputHashMode` is \"flat\" or \"recursive\", not \"\(other)\"")
        }
        var function: HashAlgorithm?
        if let algorithm, !algorithm.value.isEmpty {
            function = HashAlgorithm(name: algorithm.value)
            if function == nil {
                fail(
                    algorithm.place, "unknown hash algorithm `\(algorithm.value)`",
                    suggestion: "one of "
                        + HashAlgorithm.allCases.map(\.name).joined(separator: ", "))
                return (nil, [])
            }
        }
        guard let digest = digest(hash, function) else { return (nil, []) }
        let variables = [
            ("outputHash", hash), ("outputHashAlgo", algorithm), ("outputHashMode", mode),
        ]
        return (
            ContentAddress(method: method, digest: digest),
            variables.compactMap { key, value in
                value.map { (key, Placed(Template(literal: $0.value), at: $0.place)) }
            }
        )
    }

    /// Variables with another meaning, and what to do instead.
    private static let reserved = [
        "name": "set `name` of the derivation", "system": "set `system` of the derivation",
        "builder": "set `builder` of the derivation", "args": "set `args` of the derivation",
        "outputs": "set `outputs` of the derivation",
        "outputHash": "set `outputHash` of the derivation",
        "outputHashAlgo": "set `outputHashAlgo` of the derivation",
        "outputHashMode": "set `outputHashMode` of the derivation",
        "__json": "structured attributes are not available in recipes",
        "__structuredAttrs": "structured attributes are not available in recipes",
        "__contentAddressed": "outputs of unknown content are not available in recipes",
        "__impure": "impure derivations are not available in recipes",
        "__ignoreNulls": "recipes have no null",
    ]

    private mutating func environment(
        _ fields: Fields, taken: Set<String>
    ) -> [(key: String, template: Placed<Template>)] {
        guard let entry = fields.entries["env"], let entries = table(entry) else { return [] }
        var environment: [(key: String, template: Placed<Template>)] = []
        for entry in entries {
            if let advice = Self.reserved[entry.key] {
                fail(entry.place, "`\(entry.key)` cannot be set in `env`", suggestion: advice)
            } else if taken.contains(entry.key) {
                fail(
                    entry.place,
                    "`\(entry.key)` is an input or output already, whose path the variable has")
            } else if entry.key.isEmpty || entry.key.utf8.contains(UInt8(ascii: "=")) {
                fail(entry.place, "`\(entry.key)` cannot be the name of a variable")
            } else if let text = variable(entry), let template = template(text) {
                environment.append((entry.key, template))
            }
        }
        return environment
    }

    /// The text of a variable, as Nix makes it of other values.
    private mutating func variable(_ entry: RecipeEntry) -> Placed<String>? {
        func text(_ value: RecipeValue) -> String? {
            switch value {
            case .string(let text): text
            case .integer(let number): String(number)
            case .boolean(let flag): flag ? "1" : ""
            case .list, .table, .other: nil
            }
        }
        if let text = text(entry.value) { return Placed(text, at: entry.place) }
        if case .list(let items) = entry.value {
            return Placed(items.compactMap(text).joined(separator: " "), at: entry.place)
        }
        fail(entry, expected: "a string, an integer, true or false, or a list of them")
        return nil
    }

    // MARK: Errors

    mutating func fail(_ place: RecipePlace, _ message: String, suggestion: String? = nil) {
        errors.append(document.error(place, message, suggestion: suggestion))
    }

    mutating func fail(_ entry: RecipeEntry, expected: String) {
        fail(entry.place, "`\(entry.key)` must be \(expected), not \(entry.value.kind)")
    }
}

/// What may be in the name of a store object.
let nameAdvice = "1 to 207 of a-z, A-Z, 0-9 and +-._?=, not ending in .drv"

/// Whether a text can be the name of a store object.
func isObjectName(_ name: String) -> Bool {
    do {
        _ = try StorePath(baseName: [UInt8]((String(repeating: "0", count: 32) + "-" + name).utf8))
        return true
    } catch {
        return false
    }
}

private func isDerivationName(_ name: String, _ output: OutputName) -> Bool {
    !name.hasSuffix(".drv") && isObjectName(name) && isObjectName(name + ".drv")
        && isObjectName("\(name)-\(output)")
}

private func isProfileName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (0x61...0x7A).contains(first) else { return false }
    return name.utf8.count <= 32
        && name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
        }
}

/// The word that was probably meant, as a question.
func didYouMean(_ word: String, _ words: some Sequence<String>) -> String? {
    nearest(word, in: words).map { "did you mean `\($0)`?" }
}
