import ArgumentParser
import DerivationFormat
import StoreModel

extension DerivationCommand {
    /// `kiln derivation add`.
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds derivations to the store, inputs first, and prints their paths.",
            discussion: """
                Takes .drv files, directories of them, and JSON files as 'kiln derivation show' prints \
                them. Everything is checked as 'kiln derivation verify' does before anything is added; \
                what a derivation needs must be among the files or in the store already.
                """)

        @OptionGroup var store: StoreOptions

        @Argument(help: ".drv files, directories whose .drv files are meant, or JSON files.")
        var paths: [String]

        func run() throws {
            var files: [DerivationFile] = []
            for path in paths {
                if path.hasSuffix(".json") {
                    files += try derivations(fromJSON: path)
                } else {
                    files += try derivationFiles(path).map { try DerivationFile(text: $0) }
                }
            }
            let verified = verifyDerivations(
                files.map { ($0.file, $0.name, $0.bytes) }, in: .standard)
            guard verified.failures.isEmpty else {
                throw InputError(
                    verified.failures.map { "\($0.file): \($0.message)" }.joined(separator: "\n"))
            }
            let ordered = try inputsFirst(files)
            try store.withSession { session in
                try session.requireInputs(of: ordered)
                try session.client.add(all: ordered.map(\.upload))
                for file in ordered { print(fullPath(file.path)) }
            }
        }
    }
}

/// A derivation that was read, and where from.
struct DerivationFile: Sendable {
    /// What to call it in messages.
    let file: String
    /// The name that it is verified under.
    let name: [UInt8]
    /// The text form.
    let bytes: [UInt8]
    let derivation: Derivation
    /// Where it belongs.
    let path: StorePath

    /// Reads a file in the text form.
    init(text file: String) throws {
        self.file = file
        bytes = try readFile(file, limit: derivationSizeLimit)
        name = baseName(of: file)
        do {
            derivation = try parseDerivation(
                bytes, name: derivationName(ofFile: file), in: .standard)
            path = try StorePathMaker(.standard).derivationPath(of: derivation)
        } catch {
            throw InputError("\(file): \(error)")
        }
    }

    /// Takes a derivation that a JSON file holds.
    init(_ derivation: Derivation, from file: String) throws {
        self.file = file
        self.derivation = derivation
        bytes = aterm(of: derivation, in: .standard)
        do {
            path = try StorePathMaker(.standard).derivationPath(of: derivation)
        } catch {
            throw InputError("\(file): \(error)")
        }
        name = path.bytes
    }

    /// What is sent of it.
    var upload: Upload { EvaluatedRecipe.upload(derivation, at: path) }
}

/// The derivations of a JSON file: one, or an object of them as `derivation show` prints.
private func derivations(fromJSON file: String) throws -> [DerivationFile] {
    let bytes = try readFile(file, limit: derivationSizeLimit)
    do {
        let value = try JSONValue(parsing: bytes)
        guard let all = value["derivations"] else {
            return [try DerivationFile(try derivation(from: value), from: file)]
        }
        guard case .object(let members) = all else {
            throw InputError("'derivations' is not an object")
        }
        return try members.sorted { $0.key < $1.key }.map { key, value in
            let read = try DerivationFile(try derivation(from: value), from: file)
            let stated = key.split(separator: "/").last.map(String.init) ?? key
            guard stated == read.path.baseName else {
                throw InputError("'\(key)' belongs at '\(read.path)'")
            }
            return read
        }
    } catch {
        throw InputError("\(file): \(error)")
    }
}

/// The files, each once, and each after those that it needs.
func inputsFirst(_ files: [DerivationFile]) throws(InputError) -> [DerivationFile] {
    var byPath: [StorePath: DerivationFile] = [:]
    for file in files { byPath[file.path] = file }
    var users: [StorePath: [StorePath]] = [:]
    var missing: [StorePath: Int] = [:]
    for (path, file) in byPath {
        let inputs = file.derivation.inputDerivations.keys.filter { byPath[$0] != nil }
        missing[path] = inputs.count
        for input in inputs { users[input, default: []].append(path) }
    }
    var ready = missing.filter { $0.value == 0 }.map(\.key).sorted(by: >)
    var ordered: [DerivationFile] = []
    while let path = ready.popLast() {
        if let file = byPath[path] { ordered.append(file) }
        for user in (users[path] ?? []).sorted(by: >) {
            missing[user, default: 0] -= 1
            if missing[user] == 0 { ready.append(user) }
        }
    }
    guard ordered.count == byPath.count else {
        let rest = byPath.keys.filter { missing[$0] != 0 }.sorted()
        throw InputError("these derivations need one another: \(rest.map(\.baseName))")
    }
    return ordered
}

extension Session {
    /// Checks that everything that is needed and not among the files is in the store.
    fileprivate func requireInputs(of files: [DerivationFile]) throws {
        let own = Set(files.map(\.path))
        var needed: Set<StorePath> = []
        for file in files {
            needed.formUnion(file.derivation.inputSources)
            needed.formUnion(file.derivation.inputDerivations.keys)
        }
        needed.subtract(own)
        let missing = needed.subtracting(try client.validPaths(among: needed)).sorted()
        guard missing.isEmpty else {
            let list = missing.map { "  \(fullPath($0))" }.joined(separator: "\n")
            throw InputError(
                """
                these inputs are neither among the files nor in the store at \(root.path); add them \
                first ('kiln store add' for sources):
                \(list)
                """)
        }
    }
}
