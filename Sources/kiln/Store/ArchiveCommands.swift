import ArchiveFormat
import ArgumentParser
import Glibc
import StoreFiles
import StoreModel
import SystemCalls

extension StoreCommand {
    /// `kiln store dump`.
    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes the archive of a store path to standard output.")

        @OptionGroup var store: StoreOptions

        @Argument(help: "A store path.")
        var path: String

        func run() throws {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw InputError("an archive is nothing for a terminal; redirect standard output")
            }
            let wanted = try storePath(path, in: try store.storeRoot())
            try store.withSession { session in
                try session.client.dump(try session.info(wanted), to: STDOUT_FILENO)
            }
        }
    }

    /// `kiln store restore`.
    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Unpacks an archive from standard input; needs no store.",
            discussion: """
                Only the one canonical archive of a tree is accepted, and nothing is left at the \
                destination, which must not exist, unless all of it was.
                """)

        @Argument(help: "What to make.")
        var destination: String

        func run() throws {
            guard isatty(STDIN_FILENO) == 0 else {
                throw InputError("an archive is read from standard input; redirect it")
            }
            try restoreArchive(from: STDIN_FILENO, to: destination)
        }
    }
}

/// Unpacks an archive beside its destination and renames it when all of it is there.
///
/// - Parameters:
///   - input: Where the archive is read from; stays the caller's.
///   - destination: What to make; must not exist.
/// - Throws: ``InputError`` that says why not, and then nothing is left.
func restoreArchive(from input: CInt, to destination: String) throws {
    let (parentPath, name) = split(destination)
    guard !name.isEmpty, name != [0x2e], name != [0x2e, 0x2e] else {
        throw InputError("'\(destination)' cannot be made; give it a name")
    }
    var status = stat()
    guard lstat(destination, &status) == -1 else {
        throw InputError("'\(destination)' is there already; nothing is replaced")
    }
    guard errno == ENOENT else { throw InputError(call: "lstat", path: destination) }
    let parentNumber = open(parentPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard parentNumber >= 0 else { throw InputError(call: "open", path: parentPath) }
    let parent = OwnedDescriptor(takingOwnershipOf: parentNumber)
    let random = String(UInt64.random(in: .min ... .max), radix: 16)
    let temporary = ".kiln-restore-\(random)"
    let place = parentPath + "/" + temporary
    do {
        try parent.withNumber { number in
            var restorer = ArchiveRestorer(
                name: [UInt8](temporary.utf8), in: number, path: parentPath)
            try feed(&restorer, from: input)
        }
        try makeWritable(place)
        try moveWithoutReplacing(place, to: destination)
    } catch {
        do {
            if lstat(place, &status) == 0 { try removeTree(place) }
        } catch let removal {
            printError("kiln: '\(place)' is left over: \(removal)")
        }
        throw error
    }
}

/// Reads one archive and nothing behind it.
private func feed(_ restorer: inout ArchiveRestorer, from input: CInt) throws {
    var reader = NARReader()
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    do {
        while true {
            let count = try check("read", on: "standard input") {
                read(input, &buffer, buffer.count)
            }
            if count == 0 { break }
            let used = try buffer.borrowed { (bytes) throws(NARReadError<SystemError>) in
                try reader.feed(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: &restorer)
            }
            guard used == count else { throw NARFault.trailing(at: reader.offset) }
        }
        try reader.finish()
    } catch let fault as NARFault {
        throw InputError("the archive: \(fault)")
    } catch NARReadError<SystemError>.format(let fault) {
        throw InputError("the archive: \(fault)")
    } catch NARReadError<SystemError>.visitor(let error) {
        throw InputError("\(error)")
    }
}

/// Objects of a store are read-only, but what is unpacked elsewhere is its owner's.
private func makeWritable(_ tree: String) throws {
    let mask = umask(0)
    umask(mask)
    try walkTree(tree) { node in
        guard node.kind != .link, node.kind != .directoryStart else { return }
        let mode = (node.mode & 0o777 | S_IWUSR) & ~mask
        try succeed("chmod", node.path, chmod(node.path, mode))
    }
}

/// Renames; something that has appeared at the destination stays, but for an empty directory.
private func moveWithoutReplacing(_ place: String, to destination: String) throws {
    var status = stat()
    try succeed("lstat", place, lstat(place, &status))
    if status.st_mode & S_IFMT == S_IFDIR {
        try succeed("rename", destination, rename(place, destination))
    } else {
        try succeed("link", destination, link(place, destination))
        try succeed("unlink", place, unlink(place))
    }
}

/// The directory that a path lies in, and its last component.
private func split(_ path: String) -> (parent: String, name: [UInt8]) {
    let parts = path.split(separator: "/")
    let parent = parts.dropLast().joined(separator: "/")
    let name = parts.last.map { [UInt8]($0.utf8) } ?? []
    if path.hasPrefix("/") { return ("/" + parent, name) }
    return (parent.isEmpty ? "." : parent, name)
}
