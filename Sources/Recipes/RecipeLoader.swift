import Glibc
import Hashing
import StoreFiles
import SystemCalls

/// Reads a recipe file and all files that it names, with the caller's own rights.
struct RecipeLoader {
    /// The most files.
    static let fileLimit = 256
    /// How far a file may be from the first one, over files that name files.
    static let depthLimit = 32

    private var recipes: [Recipe] = []
    private var directories: [String] = []
    private var depths: [Int] = []
    /// Which file has a path without links.
    private var indices: [String: Int] = [:]
    private var links: [[String: Int]] = []
    private var errors: [RecipeError] = []

    /// All files, the first one first.
    static func load(_ file: String) throws(RecipeErrors) -> RecipeSet {
        var loader = RecipeLoader()
        do {
            _ = try loader.add(file, shownAs: file, depth: 0)
        } catch {
            throw RecipeErrors([
                RecipeError(
                    file: file, line: 0, column: 0, message: error.message, suggestion: nil,
                    sourceLine: "")
            ])
        }
        var next = 0
        while next < loader.recipes.count {
            loader.follow(next)
            next += 1
        }
        guard loader.errors.isEmpty else { throw RecipeErrors(loader.errors) }
        return RecipeSet(
            recipes: loader.recipes, directories: loader.directories, links: loader.links)
    }

    /// Why a file was not read.
    private struct Refusal: Error {
        var message: String
    }

    /// Reads the files that a file names.
    private mutating func follow(_ index: Int) {
        let recipe = recipes[index]
        for derivation in recipe.derivations {
            for input in derivation.inputs {
                guard case .derivation(_, let file?, _) = input.kind,
                    links[index][file.value] == nil
                else { continue }
                do {
                    let shown = join(recipe.document.file, file.value)
                    let path = absolutePath(file.value, below: directories[index])
                    links[index][file.value] = try add(
                        path, shownAs: shown, depth: depths[index] + 1)
                } catch {
                    errors.append(recipe.document.error(file.place, error.message))
                }
            }
        }
    }

    /// What to call a file that another one names.
    private func join(_ from: String, _ file: String) -> String {
        guard !file.hasPrefix("/"), let slash = from.lastIndex(of: "/") else { return file }
        return from[...slash] + file
    }

    private mutating func add(
        _ path: String, shownAs shown: String, depth: Int
    ) throws(Refusal) -> Int {
        guard !path.utf8.contains(0) else { throw Refusal(message: "a path cannot have a NUL") }
        guard let resolved = realpath(path, nil) else {
            let code = errno
            throw Refusal(message: "\(SystemError(call: "realpath", path: shown, errno: code))")
        }
        defer { free(resolved) }
        let real = String(cString: resolved)
        if let index = indices[real] { return index }
        guard depth <= Self.depthLimit else {
            throw Refusal(message: "files name one another more than \(Self.depthLimit) deep")
        }
        guard recipes.count < Self.fileLimit else {
            throw Refusal(message: "the recipe needs more than \(Self.fileLimit) files")
        }
        let text = try read(real, shownAs: shown)
        let index = recipes.count
        indices[real] = index
        directories.append(parentDirectory(of: real))
        depths.append(depth)
        links.append([:])
        do {
            var reader = RecipeReader(try RecipeDocument(file: shown, text: text))
            recipes.append(reader.recipe())
            errors += reader.errors
        } catch {
            errors.append(error)
            recipes.append(Recipe(document: .empty(file: shown)))
        }
        return index
    }

    private func read(_ path: String, shownAs shown: String) throws(Refusal) -> String {
        var bytes: [UInt8] = []
        do {
            // A FIFO would block, and a terminal would become the controlling one.
            let number = try check("open", on: shown) {
                open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
            }
            let descriptor = OwnedDescriptor(takingOwnershipOf: number)
            try descriptor.withNumber { (number) throws(SystemError) in
                var status = stat()
                try check("fstat", on: shown) { fstat(number, &status) }
                guard status.st_mode & S_IFMT == S_IFREG else {
                    throw SystemError(call: "read", path: shown, errno: EINVAL)
                }
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                while bytes.count <= RecipeDocument.sizeLimit {
                    let count = try check("read", on: shown) {
                        Glibc.read(number, &buffer, buffer.count)
                    }
                    if count == 0 { break }
                    bytes += buffer[..<count]
                }
            }
        } catch {
            throw Refusal(
                message: error.errno == EINVAL ? "'\(shown)' is not a regular file" : "\(error)")
        }
        guard bytes.count <= RecipeDocument.sizeLimit else {
            throw Refusal(
                message: "'\(shown)' has more than the limit of \(RecipeDocument.sizeLimit) bytes")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Refusal(message: "'\(shown)' is not UTF-8")
        }
        return text
    }
}

/// A tree of the host, as its archive is.
struct RecipeTree: Hashable, Sendable {
    var narHash: Digest
    var narSize: UInt64
}

/// Hashes the archive of the tree at a path.
func recipeTree(_ path: String) throws(StoreFileError) -> RecipeTree {
    var hash = HashStream(.sha256)
    var size: UInt64 = 0
    try archive(path) {
        hash.update($0)
        size += UInt64($0.count)
    }
    return RecipeTree(narHash: hash.finalize(), narSize: size)
}
