public import ArgumentParser
public import Hashing
import StoreFiles

/// `kiln hash`.
struct HashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hash", abstract: "Prints the digest of files and trees.",
        discussion: "A tree is hashed as its Nix Archive; --flat hashes the bytes of one file.")

    // Without a default value of its own, since help would show the number of the case.
    @Option(help: "The hash function (default: sha256).")
    var type: HashAlgorithm?

    @Flag(help: "Hash the bytes of a regular file instead of its archive.")
    var flat = false

    @Option(help: "The text form: sri, base16, nix32 or base64.")
    var format = DigestForm.sri

    @Argument(help: "Files, directories or symbolic links.")
    var paths: [String]

    func run() throws {
        for path in paths {
            var stream = HashStream(type ?? .sha256)
            if flat {
                try readFile(path) { stream.update($0) }
            } else {
                do {
                    try archive(path) { stream.update($0) }
                } catch {
                    throw InputError("\(error)")
                }
            }
            print(stream.finalize().text(format, prefixed: false))
        }
    }
}

extension HashAlgorithm: ExpressibleByArgument {
    /// Finds the algorithm that an argument names.
    public init?(argument: String) { self.init(name: argument) }

    /// The names of all algorithms.
    public static var allValueStrings: [String] { allCases.map(\.name) }
}

extension DigestForm: ExpressibleByArgument {}
