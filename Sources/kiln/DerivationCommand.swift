import ArgumentParser
import DerivationFormat
import StoreModel

/// `kiln derivation`.
struct DerivationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "derivation", abstract: "Reads, checks and adds derivations.",
        subcommands: [Add.self, Show.self, Verify.self])
}

/// The store directory that a command's paths are in.
struct StoreDirectoryOption: ParsableArguments {
    @Option(name: .customLong("store-dir"), help: "The store directory that paths are in.")
    var path = "/nix/store"

    /// The directory, checked.
    func directory() throws -> StoreDirectory {
        guard let directory = StoreDirectory([UInt8](path.utf8)) else {
            throw InputError("--store-dir '\(path)' is not an absolute path without '.' and '..'")
        }
        return directory
    }
}

extension DerivationCommand {
    /// `kiln derivation verify`.
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks .drv files against one another, without a store.",
            discussion: """
                Every file is parsed, printed again and compared byte for byte; its own path and the \
                paths of its outputs are computed, the latter as far as its inputs are in the set.
                """)

        @OptionGroup var store: StoreDirectoryOption

        @Argument(help: "Files, or directories whose .drv files are meant.")
        var paths: [String]

        func run() throws {
            let store = try store.directory()
            var files: [(file: String, name: [UInt8], bytes: [UInt8])] = []
            for path in try paths.flatMap(derivationFiles) {
                files.append(
                    (path, baseName(of: path), try readFile(path, limit: derivationSizeLimit)))
            }
            let result = verifyDerivations(files, in: store)
            for failure in result.failures { printError("\(failure.file): \(failure.message)") }
            print(
                "\(result.derivations) derivations, \(result.outputs) outputs verified, "
                    + "\(result.failed) failed")
            if result.failed > 0 { throw ExitCode(1) }
        }
    }

    /// `kiln derivation show`.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints .drv files as JSON, in the form of Nix 2.33 and later.")

        @OptionGroup var store: StoreDirectoryOption

        @Argument(help: "Files, or directories whose .drv files are meant.")
        var paths: [String]

        func run() throws {
            let store = try store.directory()
            let maker = StorePathMaker(store)
            var shown: [String: JSONValue] = [:]
            for path in try paths.flatMap(derivationFiles) {
                do {
                    let derivation = try parseDerivation(
                        try readFile(path, limit: derivationSizeLimit),
                        name: derivationName(ofFile: path), in: store)
                    shown[try maker.derivationPath(of: derivation).baseName] = try json(
                        of: derivation)
                } catch let error as InputError {
                    throw error
                } catch {
                    throw InputError("\(path): \(error)")
                }
            }
            print(JSONValue.object(["derivations": .object(shown), "version": .number("4")]).text)
        }
    }
}
