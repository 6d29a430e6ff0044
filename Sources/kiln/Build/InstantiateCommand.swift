import ArgumentParser
import DerivationFormat
import StoreModel

/// `kiln instantiate`.
struct InstantiateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instantiate",
        abstract: "Adds the sources and derivations of recipes to the store.",
        discussion: "Prints the path of every derivation that would be built, one a line.")

    @OptionGroup var store: StoreOptions

    @Flag(help: "Print one JSON array of derivations and the outputs that are wanted of them.")
    var json = false

    @Argument(help: ArgumentHelp("FILE.toml or FILE.toml#name.", valueName: "recipe"))
    var targets: [String]

    func run() throws {
        let request = try BuildRequest(targets, in: try store.storeRoot())
        try store.withSession { session in try session.client.add(all: request.uploads) }
        var items: [JSONValue] = []
        for case .built(let path, let outputs) in request.wanted {
            if !json {
                print(fullPath(path))
                continue
            }
            let names = outputs.map {
                JSONValue.array($0.sorted().map { .string($0.description) })
            }
            items.append(
                .object(["drvPath": .string(fullPath(path)), "outputs": names ?? .string("*")]))
        }
        if json { print(JSONValue.array(items).text) }
    }
}
