import Hashing
import StoreModel

/// A value and the place of its key.
struct Placed<Value: Hashable & Sendable>: Hashable, Sendable {
    var value: Value
    var place: RecipePlace

    init(_ value: Value, at place: RecipePlace) {
        self.value = value
        self.place = place
    }
}

/// What one recipe file says.
struct Recipe: Sendable {
    let document: RecipeDocument
    /// The sandbox profile that the file's builds ask for.
    var profile: Placed<String>?
    /// The keys of the derivations to build when none is named.
    var defaults: Placed<[String]>?
    /// The derivations, in the order of the file.
    var derivations: [RecipeDerivation] = []
    /// Which derivation has a key.
    var indices: [String: Int] = [:]
}

/// What a recipe file says of one derivation.
struct RecipeDerivation: Sendable {
    var key: String
    var place: RecipePlace
    var name: String
    /// The kind of machine; nothing means that of the host.
    var system: String?
    var program: RecipeProgram
    /// The outputs in the order of the file; the first is what another derivation gets.
    var outputs: [OutputName]
    /// Whether the file names the outputs, which makes them a variable as well.
    var statesOutputs: Bool
    /// The promised content of the only output.
    var promise: ContentAddress?
    /// Variables in the order of the file, those of the promise included.
    var environment: [(key: String, template: Placed<Template>)]
    var inputs: [RecipeInput]
}

/// What a derivation runs.
enum RecipeProgram: Hashable, Sendable {
    case builder(Placed<Template>, arguments: [Placed<Template>])
    /// A text for `/bin/sh -e`.
    case script(Placed<String>)
}

/// Something that a derivation needs, under the name of its variable.
struct RecipeInput: Hashable, Sendable {
    var name: String
    var place: RecipePlace
    var kind: RecipeInputKind
}

/// What an input is.
enum RecipeInputKind: Hashable, Sendable {
    /// A tree of the host, by its path in the recipe, under the name of its store object.
    case tree(Placed<String>, name: String?)
    /// A text, under the name of its store object.
    case text(Placed<Template>, name: String)
    /// An output of another derivation, of another file if one is named.
    case derivation(Placed<String>, file: Placed<String>?, output: Placed<OutputName>?)
    /// A file that is fetched.
    case url(RecipeDownload)
}

/// A file that is fetched, and the promise that it is checked against.
struct RecipeDownload: Hashable, Sendable {
    var url: String
    var name: String
    /// The promise as the recipe writes it, which becomes a variable.
    var hash: String
    var digest: Digest
    var isExecutable: Bool
    var unpacks: Bool

    /// How the content is hashed.
    var method: ContentAddressMethod { isExecutable || unpacks ? .recursive : .flat }
}
