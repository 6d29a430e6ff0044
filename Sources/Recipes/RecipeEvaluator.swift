import DerivationFormat
import Hashing
import StoreModel

/// Makes derivations of recipes whose files and trees were read already.
struct RecipeEvaluator {
    /// What an input turned out to be.
    fileprivate enum Value {
        case source(StorePath)
        case output(StorePath, of: StorePath, OutputName)
    }

    private let set: RecipeSet
    private let trees: [String: RecipeTree]
    private let system: ByteString
    private let store: StoreDirectory
    private let maker: StorePathMaker
    private var hasher: DerivationHasher
    private var made: [StorePath: Derivation] = [:]
    private var paths: [RecipeReference: StorePath] = [:]
    private var knownSources: Set<StorePath> = []
    /// What was made so far.
    private(set) var result = RecipeResult()

    /// Starts with nothing made.
    init(
        _ set: RecipeSet, trees: [String: RecipeTree], system: ByteString, store: StoreDirectory
    ) {
        self.set = set
        self.trees = trees
        self.system = system
        self.store = store
        maker = StorePathMaker(store)
        hasher = DerivationHasher(store)
    }

    /// The path of a derivation that was made.
    func path(of reference: RecipeReference) -> StorePath? { paths[reference] }

    /// Makes a derivation; those that it needs must have been made before.
    mutating func add(_ reference: RecipeReference) throws(RecipeErrors) {
        do {
            try make(reference)
        } catch {
            throw RecipeErrors([error])
        }
    }

    private mutating func make(_ reference: RecipeReference) throws(RecipeError) {
        let recipe = set[reference]
        let document = set.recipes[reference.file].document
        let values = try inputs(of: recipe, in: reference.file)
        var derivation = Derivation(
            name: recipe.name, outputs: [:], inputDerivations: [:], inputSources: [],
            system: recipe.system.map { ByteString($0) } ?? system, builder: "", arguments: [],
            environment: [:])
        for value in values.values { derivation.need(value) }
        func text(_ template: Placed<Template>) throws(RecipeError) -> ByteString {
            ByteString(
                try template.value.bytes { (name) throws(RecipeError) in
                    if let value = values[name] { return store.path(of: value.path).bytes }
                    guard recipe.outputs.contains(where: { "\($0)" == name }) else {
                        throw document.error(template.place, "`@{\(name)}` means nothing")
                    }
                    return placeholder(name)
                })
        }
        switch recipe.program {
        case .builder(let builder, let arguments):
            derivation.builder = try text(builder)
            for argument in arguments { derivation.arguments.append(try text(argument)) }
        case .script(let script):
            let contents = [UInt8](script.value.utf8)
            let path = try addText(
                name: recipe.name + ".sh", contents, references: [], at: script.place, document)
            derivation.builder = "/bin/sh"
            derivation.arguments = ["-e", store.path(of: path)]
            derivation.inputSources.insert(path)
        }
        for (name, value) in values {
            derivation.environment[ByteString(name)] = store.path(of: value.path)
        }
        for (name, template) in recipe.environment {
            derivation.environment[ByteString(name)] = try text(template)
        }
        if recipe.statesOutputs {
            let names = recipe.outputs.map { "\($0)" }
            derivation.environment["outputs"] = ByteString(names.joined(separator: " "))
        }
        derivation.environment["name"] = ByteString(recipe.name)
        derivation.environment["system"] = derivation.system
        derivation.environment["builder"] = derivation.builder
        do {
            paths[reference] = try finish(
                derivation, outputs: recipe.outputs, promise: recipe.promise, called: recipe.key)
        } catch {
            throw document.error(recipe.place, "\(error)")
        }
    }

    /// Gives a derivation its outputs and its place in the result.
    private mutating func finish(
        _ unfinished: Derivation, outputs: [OutputName], promise: ContentAddress?,
        called key: String
    ) throws(DerivationHashFault) -> StorePath {
        var derivation = unfinished
        do {
            if let promise {
                let path = try maker.path(name: derivation.name, address: promise)
                derivation.outputs[.out] = .fixed(path, promise)
                derivation.environment["out"] = store.path(of: path)
            } else {
                for output in outputs {
                    derivation.outputs[output] = .deferred
                    derivation.environment[ByteString(output.bytes)] = ""
                }
                let made = made
                for (name, path) in try hasher.outputPaths(of: derivation, lookup: { made[$0] }) {
                    derivation.outputs[name] = .inputAddressed(path)
                    derivation.environment[ByteString(name.bytes)] = store.path(of: path)
                }
            }
            let path = try maker.derivationPath(of: derivation)
            if made.updateValue(derivation, forKey: path) == nil {
                result.derivations.append((path, derivation))
                result.names[path] = key
            }
            return path
        } catch let fault as StorePathMakerFault {
            throw .path(fault)
        } catch let fault as DerivationHashFault {
            throw fault
        } catch {
            preconditionFailure("nothing else is thrown")
        }
    }

    // MARK: Inputs

    private mutating func inputs(
        of recipe: RecipeDerivation, in file: Int
    ) throws(RecipeError) -> [String: Value] {
        let document = set.recipes[file].document
        var values: [String: Value] = [:]
        // Texts may have the paths of other inputs in them, so they wait until those are known.
        var texts: [(input: RecipeInput, template: Placed<Template>, name: String)] = []
        for input in recipe.inputs {
            switch input.kind {
            case .text(let template, let name): texts.append((input, template, name))
            case .tree(let path, let name):
                let absolute = absolutePath(path.value, below: set.directories[file])
                values[input.name] = .source(
                    try addTree(absolute, name: name, at: path.place, document))
            case .derivation(_, _, let output):
                guard let target = try set.target(of: input, in: file),
                    let path = paths[target], let derivation = made[path]
                else { preconditionFailure("inputs are made before their users") }
                let name = output?.value ?? set[target].outputs[0]
                guard let outputPath = derivation.outputs[name]?.path else {
                    preconditionFailure("recipes know the paths of all outputs")
                }
                values[input.name] = .output(outputPath, of: path, name)
            case .url(let download):
                values[input.name] = try fetch(download, for: input, document)
            }
        }
        while !texts.isEmpty {
            let known = Set(values.keys)
            let ready = texts.filter { known.isSuperset(of: $0.template.value.names) }
            guard !ready.isEmpty else { throw unresolved(texts[0].template, recipe, document) }
            texts.removeAll { known.isSuperset(of: $0.template.value.names) }
            for (input, template, name) in ready {
                values[input.name] = .source(
                    try addText(template, values, name: name, document))
            }
        }
        return values
    }

    private func unresolved(
        _ template: Placed<Template>, _ recipe: RecipeDerivation, _ document: RecipeDocument
    ) -> RecipeError {
        let names = recipe.inputs.map(\.name)
        for name in template.value.names where !names.contains(name) {
            return document.error(
                template.place, "`@{\(name)}` is not an input of the derivation",
                suggestion: didYouMean(name, names) ?? "write `@@{` for `@{` itself")
        }
        return document.error(template.place, "texts refer to one another in a circle")
    }

    private mutating func addText(
        _ template: Placed<Template>, _ values: [String: Value], name: String,
        _ document: RecipeDocument
    ) throws(RecipeError) -> StorePath {
        var references: Set<StorePath> = []
        let contents = try template.value.bytes { (name) throws(RecipeError) in
            guard case .source(let path)? = values[name] else {
                throw document.error(
                    template.place,
                    "`@{\(name)}` is built, and a text is in the store before anything is built",
                    suggestion: "write it into `env`, or let the script write the file")
            }
            references.insert(path)
            return store.path(of: path).bytes
        }
        return try addText(
            name: name, contents, references: references, at: template.place, document)
    }

    private mutating func addText(
        name: String, _ contents: [UInt8], references: Set<StorePath>, at place: RecipePlace,
        _ document: RecipeDocument
    ) throws(RecipeError) -> StorePath {
        let path: StorePath
        do {
            path = try maker.textPath(name: name, contents: contents, references: references)
        } catch {
            throw document.error(place, "\(error)")
        }
        if knownSources.insert(path).inserted {
            result.sources.append(
                .text(name: name, contents: contents, references: references, storePath: path))
        }
        return path
    }

    private mutating func addTree(
        _ absolute: String, name: String?, at place: RecipePlace, _ document: RecipeDocument
    ) throws(RecipeError) -> StorePath {
        guard let tree = trees[absolute] else {
            preconditionFailure("trees are hashed before they are needed")
        }
        let name = name ?? lastComponent(of: absolute)
        let path: StorePath
        do {
            path = try maker.path(
                name: name, address: ContentAddress(method: .recursive, digest: tree.narHash))
        } catch {
            throw document.error(place, "\(error)")
        }
        if knownSources.insert(path).inserted {
            result.sources.append(
                .tree(
                    path: absolute, storePath: path, narHash: tree.narHash,
                    narSize: tree.narSize, name: name))
        }
        return path
    }

    /// The derivation that fetches a file, as Nix's `<nix/fetchurl.nix>` makes it.
    private mutating func fetch(
        _ download: RecipeDownload, for input: RecipeInput, _ document: RecipeDocument
    ) throws(RecipeError) -> Value {
        let derivation = Derivation(
            name: download.name, outputs: [:], inputDerivations: [:], inputSources: [],
            system: "builtin", builder: "builtin:fetchurl", arguments: [],
            environment: [
                "builder": "builtin:fetchurl", "executable": download.isExecutable ? "1" : "",
                "impureEnvVars": "http_proxy https_proxy ftp_proxy all_proxy no_proxy",
                "name": ByteString(download.name), "outputHash": ByteString(download.hash),
                "outputHashAlgo": "",
                "outputHashMode": download.method == .recursive ? "recursive" : "flat",
                "preferLocalBuild": "1", "system": "builtin",
                "unpack": download.unpacks ? "1" : "", "url": ByteString(download.url),
                "urls": ByteString(download.url),
            ])
        do {
            let promise = ContentAddress(method: download.method, digest: download.digest)
            let path = try finish(
                derivation, outputs: [.out], promise: promise, called: input.name)
            return .output(
                try maker.path(name: download.name, address: promise), of: path, .out)
        } catch {
            throw document.error(input.place, "\(error)")
        }
    }

    /// What stands for an own output where its path cannot be known yet.
    ///
    /// Source: `reference/nix-features.md` §14; the builder sees the path in its place.
    private func placeholder(_ output: String) -> [UInt8] {
        [UInt8](("/" + NixBase32.encode(Digest.of(.sha256, "nix-output:" + output).bytes)).utf8)
    }
}

extension Derivation {
    /// Adds what a value refers to.
    fileprivate mutating func need(_ value: RecipeEvaluator.Value) {
        switch value {
        case .source(let path): inputSources.insert(path)
        case .output(_, let derivation, let name):
            inputDerivations[derivation, default: DerivationInput([])].outputs.insert(name)
        }
    }
}

extension RecipeEvaluator.Value {
    /// The path that stands for it in texts.
    fileprivate var path: StorePath {
        switch self {
        case .source(let path): path
        case .output(let path, _, _): path
        }
    }
}
