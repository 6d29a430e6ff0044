import ArgumentParser
import CBZip2
import Glibc
import StoreModel
import SystemCalls

/// `kiln log`.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Prints the log of a build.",
        discussion:
            "The log of the last build of a derivation, or of the one that an object came from.")

    @OptionGroup var store: StoreOptions

    @Argument(help: "A store path: a derivation, or the output of one.")
    var path: String

    func run() throws {
        let root = try store.storeRoot()
        let derivation = try store.derivation(behind: try storePath(path, in: root))
        guard let log = try BuildLog(of: derivation, in: root) else {
            throw CommandFailure(
                "there is no log of '\(fullPath(derivation))' in \(root.logs); it was not built there"
            )
        }
        let isTerminal = isatty(STDOUT_FILENO) == 1
        var text = TerminalLines()
        try log.read { piece in
            // A terminal would act upon what a builder prints; a file or pipe gets it as it is.
            let output = isTerminal ? text.add(piece) : [UInt8](piece)
            try writeAll(output, to: STDOUT_FILENO, called: "standard output")
        }
        if isTerminal { try writeAll(text.rest(), to: STDOUT_FILENO, called: "standard output") }
    }
}

extension StoreOptions {
    /// The derivation itself, or the one that an object came from.
    ///
    /// - Throws: ``CommandFailure`` for an object that was added, not built.
    func derivation(behind path: StorePath) throws -> StorePath {
        if path.isDerivation { return path }
        var deriver: StorePath?
        try withSession { session in deriver = try session.info(path).deriver }
        guard let deriver else {
            throw CommandFailure(
                "'\(fullPath(path))' was added to the store, not built, so it has no log")
        }
        return deriver
    }
}

/// Splits what is printed into lines without anything that a terminal would act upon.
struct TerminalLines: Sendable {
    /// A line that is longer is broken, so that memory stays small.
    private static let limit = 1 << 16
    private var pending: [UInt8] = []

    /// Takes the next bytes and gives back what can be printed.
    mutating func add(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        pending += bytes
        guard
            let end = pending.lastIndex(of: UInt8(ascii: "\n")).map({ $0 + 1 })
                ?? (pending.count > Self.limit ? pending.count : nil)
        else { return [] }
        let text = plainText(String(decoding: pending[..<end], as: UTF8.self))
        pending.removeSubrange(..<end)
        return [UInt8](text.utf8)
    }

    /// What has no end of line.
    mutating func rest() -> [UInt8] {
        guard !pending.isEmpty else { return [] }
        let text = plainText(String(decoding: pending, as: UTF8.self)) + "\n"
        pending = []
        return [UInt8](text.utf8)
    }
}

/// The log of a build, compressed or not.
struct BuildLog: Sendable {
    private let path: String
    private let isCompressed: Bool

    /// Finds the log of a derivation; nothing if there is none.
    ///
    /// Source: `reference/nix-features.md` §11.
    init?(of derivation: StorePath, in root: StoreRoot) throws(InputError) {
        let name = derivation.baseName
        let plain = "\(root.logs)/\(name.prefix(2))/\(name.dropFirst(2))"
        for (path, isCompressed) in [(plain + ".bz2", true), (plain, false)] {
            if access(path, F_OK) == 0 {
                self.path = path
                self.isCompressed = isCompressed
                return
            }
            guard errno == ENOENT || errno == ENOTDIR else {
                throw InputError(call: "access", path: path)
            }
        }
        return nil
    }

    /// Tells the log in pieces.
    func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard isCompressed else {
            try readFile(path, body)
            return
        }
        var unpacker = try BZip2Unpacker()
        defer { unpacker.end() }
        do {
            try readFile(path) { try unpacker.unpack($0, body) }
        } catch let error as BZip2Unpacker.Fault {
            throw CommandFailure("\(path): damaged (\(error))")
        }
        // The log of a build that runs, or was ended, has no end yet; what is there was told.
        if !unpacker.isFinished { printError("kiln: \(path): the log has no end") }
    }
}

/// Unpacks one bzip2 stream that arrives in pieces.
struct BZip2Unpacker {
    /// What the library refused.
    struct Fault: Error, Hashable, CustomStringConvertible {
        let code: CInt

        var description: String { "bzip2 error \(code)" }
    }

    private let stream: UnsafeMutablePointer<bz_stream>
    private var output = [UInt8](repeating: 0, count: 1 << 16)
    private(set) var isFinished = false

    /// Starts a stream; ``end()`` must follow.
    init() throws(Fault) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: bz_stream())
        let code = BZ2_bzDecompressInit(stream, 0, 0)
        guard code == BZ_OK else {
            stream.deallocate()
            throw Fault(code: code)
        }
    }

    /// Frees the state.
    func end() {
        BZ2_bzDecompressEnd(stream)
        stream.deallocate()
    }

    /// Takes the next packed bytes and tells what they hold.
    mutating func unpack(
        _ packed: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        // The library reads what its input points at and does not write there.
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: packed.bindMemory(to: CChar.self).baseAddress)
        stream.pointee.avail_in = CUnsignedInt(packed.count)
        while !isFinished {
            let count = try output.withUnsafeMutableBytes { buffer throws(Fault) in
                stream.pointee.next_out = buffer.bindMemory(to: CChar.self).baseAddress
                stream.pointee.avail_out = CUnsignedInt(buffer.count)
                let code = BZ2_bzDecompress(stream)
                guard code == BZ_OK || code == BZ_STREAM_END else { throw Fault(code: code) }
                isFinished = code == BZ_STREAM_END
                return buffer.count - Int(stream.pointee.avail_out)
            }
            try output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            if count < output.count, stream.pointee.avail_in == 0 { return }
        }
    }
}
