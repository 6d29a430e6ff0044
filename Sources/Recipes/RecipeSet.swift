import StoreModel

/// A derivation of a set of recipe files.
struct RecipeReference: Hashable, Sendable {
    /// The file's number.
    var file: Int
    /// The derivation's number in the file.
    var derivation: Int
}

/// A recipe file and all files that it names, every reference between them resolved.
struct RecipeSet: Sendable {
    /// The files, the one that was asked for first.
    let recipes: [Recipe]
    /// The directory that each file lies in, absolute.
    let directories: [String]
    /// Which file each file's names of files mean.
    let links: [[String: Int]]

    /// The derivation that is meant.
    subscript(reference: RecipeReference) -> RecipeDerivation {
        recipes[reference.file].derivations[reference.derivation]
    }

    /// What to call a derivation in messages.
    func name(of reference: RecipeReference) -> String {
        let key = self[reference].key
        return reference.file == 0
            ? "`\(key)`" : "`\(key)` of \(recipes[reference.file].document.file)"
    }

    /// The derivation that an input means; nothing if the input is something else.
    func target(of input: RecipeInput, in file: Int) throws(RecipeError) -> RecipeReference? {
        guard case .derivation(let key, let fileName, let output) = input.kind else { return nil }
        let document = recipes[file].document
        let other: Int
        if let fileName {
            guard let linked = links[file][fileName.value] else {
                throw document.error(fileName.place, "`\(fileName.value)` was not read")
            }
            other = linked
        } else {
            other = file
        }
        let recipe = recipes[other]
        guard let index = recipe.indices[key.value] else {
            let place = other == file ? "" : " in \(recipe.document.file)"
            throw document.error(
                key.place, "there is no derivation `\(key.value)`\(place)",
                suggestion: didYouMean(key.value, recipe.indices.keys))
        }
        if let output, !recipe.derivations[index].outputs.contains(output.value) {
            let outputs = recipe.derivations[index].outputs.map { "\($0)" }
            throw document.error(
                output.place, "`\(key.value)` has no output `\(output.value)`",
                suggestion: "its outputs are " + outputs.joined(separator: ", "))
        }
        return RecipeReference(file: other, derivation: index)
    }

    /// The derivations that each derivation needs, every reference and every cycle checked.
    func resolved() throws(RecipeErrors) -> ResolvedRecipes {
        var errors: [RecipeError] = []
        var needs: [RecipeReference: [(target: RecipeReference, place: RecipePlace)]] = [:]
        for (file, recipe) in recipes.enumerated() {
            for (index, derivation) in recipe.derivations.enumerated() {
                let reference = RecipeReference(file: file, derivation: index)
                needs[reference] = []
                for input in derivation.inputs {
                    do {
                        guard let target = try target(of: input, in: file) else { continue }
                        needs[reference]?.append((target, input.place))
                    } catch {
                        errors.append(error)
                    }
                }
            }
        }
        guard errors.isEmpty else { throw RecipeErrors(errors) }
        return try ResolvedRecipes(self, needs: needs)
    }
}

/// A set of recipes in an order in which every derivation comes behind what it needs.
struct ResolvedRecipes: Sendable {
    let set: RecipeSet
    /// Every derivation of every file, inputs before users.
    private(set) var order: [RecipeReference] = []
    private var needs: [RecipeReference: [RecipeReference]]

    /// Puts derivations in order, with a stack of its own.
    init(
        _ set: RecipeSet,
        needs: [RecipeReference: [(target: RecipeReference, place: RecipePlace)]]
    ) throws(RecipeErrors) {
        self.set = set
        self.needs = needs.mapValues { $0.map(\.target) }
        var done: Set<RecipeReference> = []
        var waiting: Set<RecipeReference> = []
        for (file, recipe) in set.recipes.enumerated() {
            for index in recipe.derivations.indices {
                let start = RecipeReference(file: file, derivation: index)
                guard !done.contains(start) else { continue }
                var stack: [(reference: RecipeReference, next: Int)] = [(start, 0)]
                waiting.insert(start)
                while let (reference, next) = stack.last {
                    let wanted = needs[reference] ?? []
                    guard next < wanted.count else {
                        stack.removeLast()
                        waiting.remove(reference)
                        done.insert(reference)
                        order.append(reference)
                        continue
                    }
                    stack[stack.count - 1].next += 1
                    let (target, place) = wanted[next]
                    if done.contains(target) { continue }
                    guard waiting.insert(target).inserted else {
                        let cycle = stack.map(\.reference).drop { $0 != target } + [target]
                        throw RecipeErrors([
                            set.recipes[reference.file].document.error(
                                place,
                                "derivations need one another: "
                                    + cycle.map(set.name).joined(separator: " needs "))
                        ])
                    }
                    stack.append((target, 0))
                }
            }
        }
    }

    /// The derivations that `wanted` need, themselves included, inputs before users.
    func closure(of wanted: [RecipeReference]) -> [RecipeReference] {
        var needed = Set(wanted)
        var next = wanted
        while let reference = next.popLast() {
            for target in needs[reference] ?? [] where needed.insert(target).inserted {
                next.append(target)
            }
        }
        return order.filter(needed.contains)
    }

    /// What is built when nothing is named: the file's `default`, or what no other one of it uses.
    func defaults() -> [RecipeReference] {
        let recipe = set.recipes[0]
        if let names = recipe.defaults {
            return names.value.compactMap { recipe.indices[$0] }
                .map { RecipeReference(file: 0, derivation: $0) }
        }
        var used: Set<RecipeReference> = []
        for index in recipe.derivations.indices {
            used.formUnion(needs[RecipeReference(file: 0, derivation: index)] ?? [])
        }
        return recipe.derivations.indices.map { RecipeReference(file: 0, derivation: $0) }
            .filter { !used.contains($0) }
    }

    /// What names of derivations mean, each perhaps with `^OUTPUT,OUTPUT` behind it.
    func selected(
        _ names: [String]
    ) throws(RecipeErrors) -> [(reference: RecipeReference, outputs: Set<OutputName>?)] {
        guard !names.isEmpty else { return defaults().map { ($0, nil) } }
        let recipe = set.recipes[0]
        var errors: [RecipeError] = []
        var selected: [(reference: RecipeReference, outputs: Set<OutputName>?)] = []
        for name in names {
            let parts = name.split(separator: "^", maxSplits: 1, omittingEmptySubsequences: false)
            let key = parts.first.map(String.init) ?? ""
            guard let index = recipe.indices[key] else {
                errors.append(
                    recipe.document.error(
                        .start, "there is no derivation `\(key)`, which was asked for",
                        suggestion: didYouMean(key, recipe.indices.keys)))
                continue
            }
            let derivation = recipe.derivations[index]
            var outputs: Set<OutputName>?
            if parts.count == 2 {
                outputs = []
                for word in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                    guard let output = derivation.outputs.first(where: { "\($0)" == word }) else {
                        errors.append(
                            recipe.document.error(
                                derivation.place,
                                "`\(key)` has no output `\(word)`, which was asked for"))
                        continue
                    }
                    outputs?.insert(output)
                }
            }
            selected.append((RecipeReference(file: 0, derivation: index), outputs))
        }
        guard errors.isEmpty else { throw RecipeErrors(errors) }
        return selected
    }

    /// The one profile that the files of `references` ask for.
    func profile(of references: [RecipeReference]) throws(RecipeErrors) -> String? {
        var found: (file: Int, profile: String)?
        for file in Set(references.map(\.file)).sorted() {
            guard let profile = set.recipes[file].profile else { continue }
            if let found, found.profile != profile.value {
                let first = set.recipes[found.file].document.file
                throw RecipeErrors([
                    set.recipes[file].document.error(
                        profile.place,
                        "`profile` is \"\(profile.value)\" here and \"\(found.profile)\" in \(first)",
                        suggestion: "one build has one profile; build the files one by one")
                ])
            }
            found = (file, profile.value)
        }
        return found?.profile
    }
}
