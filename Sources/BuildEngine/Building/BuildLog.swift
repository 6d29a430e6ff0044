import CBZip2
import Glibc
import LocalStore
import StoreModel
import SystemCalls

/// The log of one build: a compressed file, and the last lines for messages.
///
/// The file is `drvs/<first two characters>/<rest>.bz2` in the log directory, as Nix has it. One thread
/// uses it.
///
/// Source: `reference/nix-features.md` §11.
final class BuildLog {
    /// How many lines a message shows.
    static let tailCount = 10
    /// How many notes a message shows.
    static let noteCount = 5
    /// The longest line, in bytes; a longer one is cut into several.
    static let lineLimit = 16 << 10

    private let file: OwnedDescriptor
    private let path: String
    /// Nothing before the first byte: a compressor takes more than a megabyte, and many builds say nothing.
    private var stream: UnsafeMutablePointer<bz_stream>?
    private var output: [CChar] = []
    /// What compressing no bytes gives.
    private static let empty: [UInt8] =
        [UInt8]("BZh1".utf8) + [0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0]
    private var line: [UInt8] = []
    private(set) var tail: [[UInt8]] = []
    /// How many bytes the builder wrote.
    private(set) var size: UInt64 = 0
    /// What the engine added.
    private(set) var notes: [String] = []

    /// Starts the log of a derivation; an older one is lost.
    init(of derivation: StorePath, in directory: String) throws(SystemError) {
        let name = derivation.baseName
        let folder = "\(directory)/drvs/\(name.prefix(2))"
        for folder in [directory, "\(directory)/drvs", folder] {
            do {
                try check("mkdir", on: folder) { mkdir(folder, 0o755) }
            } catch {
                guard error.errno == EEXIST else { throw error }
            }
        }
        let path = "\(folder)/\(name.dropFirst(2)).bz2"
        self.path = path
        let number = try check("open", on: path) {
            open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        }
        file = OwnedDescriptor(takingOwnershipOf: number)
    }

    deinit {
        if let stream {
            BZ2_bzCompressEnd(stream)
            stream.deallocate()
        }
    }

    private func startCompressing() -> UnsafeMutablePointer<bz_stream> {
        if let stream { return stream }
        let new = UnsafeMutablePointer<bz_stream>.allocate(capacity: 1)
        new.initialize(to: bz_stream())
        // Blocks of 100 kB: many builds log at once, and larger blocks take 900 kB of memory for each.
        let code = BZ2_bzCompressInit(new, 1, 0, 0)
        precondition(code == BZ_OK, "bzip2 has no memory")
        stream = new
        output = [CChar](repeating: 0, count: 64 << 10)
        return new
    }

    /// Adds what the builder wrote, and returns the lines that are complete now.
    func add(_ bytes: UnsafeRawBufferPointer) throws(SystemError) -> [[UInt8]] {
        // bzip2 takes a call with nothing to do for a mistake.
        guard !bytes.isEmpty else { return [] }
        size += UInt64(bytes.count)
        if !bytes.isEmpty { try compress(bytes, action: BZ_RUN) }
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(takeLine())
            } else {
                line.append(byte)
                if line.count >= Self.lineLimit { lines.append(takeLine()) }
            }
        }
        return lines
    }

    /// Adds a line of the engine's own, which no limit counts.
    ///
    /// - Returns: The lines that are complete now: the builder's last one, if nothing ended it, and this.
    func note(_ text: String) throws(SystemError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var bytes = [UInt8](text.utf8)
        let note = bytes
        bytes.append(UInt8(ascii: "\n"))
        if !line.isEmpty {
            lines.append(takeLine())
            bytes.insert(UInt8(ascii: "\n"), at: 0)
        }
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(SystemError) in try compress(bytes, action: BZ_RUN) }
        }.get()
        notes.append(text)
        return lines + [note]
    }

    /// Completes the file, and returns the last line if nothing ended it.
    func finish() throws(SystemError) -> [UInt8]? {
        if stream == nil {
            output = Self.empty.map { CChar(bitPattern: $0) }
            try write(output.count)
        } else {
            try compress(UnsafeRawBufferPointer(start: nil, count: 0), action: BZ_FINISH)
        }
        return line.isEmpty ? nil : takeLine()
    }

    private func takeLine() -> [UInt8] {
        var taken = line
        line = []
        if taken.last == UInt8(ascii: "\r") { taken.removeLast() }
        tail.append(taken)
        if tail.count > Self.tailCount { tail.removeFirst() }
        return taken
    }

    private func compress(
        _ bytes: UnsafeRawBufferPointer, action: CInt
    ) throws(SystemError) {
        let stream = startCompressing()
        let input = bytes.bindMemory(to: CChar.self)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.pointee.avail_in = CUnsignedInt(input.count)
        while true {
            let count = output.withUnsafeMutableBufferPointer { buffer -> (CInt, Int) in
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = CUnsignedInt(buffer.count)
                let code = BZ2_bzCompress(stream, action)
                return (code, buffer.count - Int(stream.pointee.avail_out))
            }
            precondition(count.0 >= 0, "bzip2 was used in the wrong order")
            try write(count.1)
            let isDone =
                action == BZ_FINISH ? count.0 == BZ_STREAM_END : stream.pointee.avail_in == 0
            if isDone { return }
        }
    }

    private func write(_ count: Int) throws(SystemError) {
        var written = 0
        while written < count {
            written += try check("write", on: path) {
                output.withUnsafeBytes { bytes in
                    file.withNumber {
                        Glibc.write($0, bytes.baseAddress.map { $0 + written }, count - written)
                    }
                }
            }
        }
    }
}
