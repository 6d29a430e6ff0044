import ArchiveFormat
import Glibc
import StoreFiles
import SystemCalls
import Testing

/// A directory of a test's own, deleted at its end.
final class Scratch {
    let path: String
    let descriptor: CInt

    init() throws {
        var template = [CChar]("/tmp/kiln-files-XXXXXX".utf8.map { CChar(bitPattern: $0) } + [0])
        guard mkdtemp(&template) != nil else {
            throw SystemError(call: "mkdtemp", path: nil, errno: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(descriptor >= 0)
    }

    deinit {
        close(descriptor)
        var child = pid_t()
        let words: [String] = ["/bin/sh", "-c", "chmod -R u+w \"$0\" && rm -rf \"$0\"", path]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        if posix_spawn(&child, "/bin/sh", nil, nil, arguments, nil) == 0 {
            waitpid(child, nil, 0)
        }
        for argument in arguments { free(argument) }
    }
}

func archived(_ path: String, limits: NARLimits = NARLimits()) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try archive(path, limits: limits) { bytes += $0 }
    return bytes
}

func restore(_ bytes: [UInt8], as name: String, in scratch: Scratch) throws {
    var reader = NARReader()
    var restorer = ArchiveRestorer(
        name: [UInt8](name.utf8), in: scratch.descriptor, path: scratch.path)
    // In small pieces, so that strings and contents are split everywhere.
    for start in stride(from: 0, to: bytes.count, by: 13) {
        let piece = [UInt8](bytes[start..<min(start + 13, bytes.count)])
        _ = try piece.withUnsafeBytes { (piece) throws(NARReadError<SystemError>) in
            try reader.feed(piece, to: &restorer)
        }
    }
    try reader.finish()
}

@Suite("Archives of trees") struct ArchiveTreeTests {
    static let fixtures =
        String(#filePath.dropLast("StoreFilesTests/StoreFilesTests.swift".utf8.count))
        + "Fixtures/nix/nar/"

    static func fixture(_ name: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let file = open(fixtures + name, O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        let count = read(file, &bytes, bytes.count)
        return [UInt8](bytes[..<count])
    }

    @Test(
        "what Nix archived is unpacked and archived again byte for byte",
        arguments: [
            "064az6sn3wbwn7jx192d87vswb1b8c1j-src.nar",
            "skgnyrg55w78hxikzwzg1534mzdyk4lv-data.txt.nar",
            "vfvilax2q6aj49430m2yi3s89qp308yx-script.sh.nar",
        ])
    func golden(name: String) throws {
        let scratch = try Scratch()
        let bytes = try Self.fixture(name)
        try restore(bytes, as: "object", in: scratch)
        #expect(try archived(scratch.path + "/object") == bytes)
    }

    @Test("modes and times are those of every object in a store")
    func canonical() throws {
        let scratch = try Scratch()
        try restore(
            try Self.fixture("064az6sn3wbwn7jx192d87vswb1b8c1j-src.nar"), as: "object", in: scratch)
        var seen: Set<mode_t> = []
        var waiting = [scratch.path + "/object"]
        while let path = waiting.popLast() {
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_mtim.tv_sec == 1 && status.st_mtim.tv_nsec == 0)
            let type = status.st_mode & S_IFMT
            if type != S_IFLNK { seen.insert(status.st_mode & 0o7777) }
            guard type == S_IFDIR, let stream = opendir(path) else { continue }
            defer { closedir(stream) }
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { waiting.append(path + "/" + name) }
            }
        }
        #expect(seen == [0o444, 0o555])
    }

    @Test(
        "nothing that exists is replaced, and no link is followed",
        arguments: ["file", "directory", "link"])
    func neverReplaces(kind: String) throws {
        let scratch = try Scratch()
        let place = scratch.path + "/object"
        let canary = scratch.path + "/canary"
        switch kind {
        case "file": close(open(place, O_CREAT | O_WRONLY, 0o644))
        case "directory": mkdir(place, 0o755)
        default: symlink(canary, place)
        }
        for name in [
            "064az6sn3wbwn7jx192d87vswb1b8c1j-src.nar",
            "skgnyrg55w78hxikzwzg1534mzdyk4lv-data.txt.nar",
        ] {
            #expect(throws: NARReadError<SystemError>.self) {
                try restore(try Self.fixture(name), as: "object", in: scratch)
            }
        }
        #expect(access(canary, F_OK) == -1)
    }

    @Test("a FIFO is refused by name, and not waited for")
    func fileTypes() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/fifo"
        #expect(mkfifo(path, 0o644) == 0)
        #expect(throws: StoreFileError.fileType(path)) { try archived(path) }
        #expect(throws: StoreFileError.fileType(path)) { try archived(scratch.path) }
    }

    @Test("a tree that is too deep to be read again is refused")
    func depth() throws {
        let scratch = try Scratch()
        mkdir(scratch.path + "/a", 0o755)
        mkdir(scratch.path + "/a/b", 0o755)
        #expect(throws: Never.self) { try archived(scratch.path, limits: NARLimits(depth: 3)) }
        #expect(throws: StoreFileError.tooDeep(scratch.path + "/a/b", limit: 2)) {
            try archived(scratch.path, limits: NARLimits(depth: 2))
        }
    }

    @Test("names of any bytes are archived in bytewise order")
    func bytes() throws {
        let scratch = try Scratch()
        for name in [[0xff, 0], [0x61, 0], [0xc3, 0xa9, 0], [0x42, 0]] as [[UInt8]] {
            let file = name.map { CChar(bitPattern: $0) }
            close(openat(scratch.descriptor, file, O_CREAT | O_WRONLY, 0o644))
        }
        let bytes = try archived(scratch.path)
        let other = try Scratch()
        try restore(bytes, as: "object", in: other)
        #expect(try archived(other.path + "/object") == bytes)
    }
}
