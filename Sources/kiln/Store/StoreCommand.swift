import ArgumentParser
import DerivationFormat
import StoreModel

/// `kiln store`.
struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Reads and changes a store.",
        subcommands: [
            Add.self, Dump.self, Restore.self, Info.self, Closure.self, Verify.self, Delete.self,
        ])
}

extension StoreCommand {
    /// `kiln store add`.
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds files and trees, and prints their store paths.")

        @OptionGroup var store: StoreOptions

        @Option(help: "The object's name, instead of the file's own.")
        var name: String?

        @Flag(help: "Add the bytes of files as texts, which may refer to other objects.")
        var text = false

        @Option(
            name: .customLong("reference"),
            help: ArgumentHelp("An object that the text refers to.", valueName: "path"))
        var references: [String] = []

        @Argument(help: "Files, directories or symbolic links.")
        var paths: [String]

        func validate() throws {
            if !references.isEmpty, !text { throw ValidationError("--reference goes with --text") }
            if name != nil, paths.count > 1 {
                throw ValidationError("--name is for one object; add them one at a time")
            }
        }

        func run() throws {
            let named = try paths.map { path in
                let name = name ?? String(decoding: baseName(of: path), as: UTF8.self)
                try checkObjectName(name)
                try checkExists(path)
                return (path, name)
            }
            let root = try store.storeRoot()
            let referred = Set(try references.map { try storePath($0, in: root) })
            try store.withSession { session in
                for (path, name) in named {
                    let added =
                        text
                        ? try session.client.addText(
                            try readFile(path, limit: derivationSizeLimit), name: name,
                            references: referred)
                        : try session.client.addTree(path, name: name)
                    print(fullPath(added.path))
                }
            }
        }
    }

    /// `kiln store verify`.
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Looks for damage: objects that are missing, or not what they were.",
            discussion: "Ends with status 1 when something is wrong.")

        @OptionGroup var store: StoreOptions

        @Flag(help: "Read and hash every object.")
        var checkContents = false

        func run() throws {
            try store.withSession { session in
                guard try session.client.verify(checkContents: checkContents) else { return }
                throw CommandFailure("the store at \(session.root.path) is damaged")
            }
        }
    }

    /// `kiln store delete`.
    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes objects that nothing needs, and prints them.")

        @OptionGroup var store: StoreOptions

        @Argument(help: "Store paths.")
        var paths: [String]

        func run() throws {
            let root = try store.storeRoot()
            let wanted = Set(try paths.map { try storePath($0, in: root) })
            try store.withSession { session in
                let result = try session.client.delete(wanted)
                for path in result.paths { print(path) }
                printError("\(result.paths.count) deleted, \(result.freed) bytes freed")
                let missing = wanted.map(fullPath).filter { !result.paths.contains($0) }.sorted()
                guard missing.isEmpty else {
                    for path in missing {
                        printError("'\(path)' is not in the store at \(root.path)")
                    }
                    throw ExitCode(1)
                }
            }
        }
    }
}
