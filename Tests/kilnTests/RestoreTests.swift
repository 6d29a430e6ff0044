import Glibc
import StoreFiles
import SystemCalls
import Testing

@testable import kiln

@Suite("Unpacking an archive") struct RestoreTests {
    private func restore(_ bytes: [UInt8], to destination: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("archive", "")
        let number = open(file, O_RDWR | O_CLOEXEC)
        guard number >= 0 else { throw InputError(call: "open", path: file) }
        defer { close(number) }
        try writeAll(bytes, to: number, called: file)
        guard lseek(number, 0, SEEK_SET) == 0 else { throw InputError(call: "lseek", path: file) }
        try restoreArchive(from: number, to: destination)
    }

    private func bytes(of path: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try archive(path) { bytes += $0 }
        return bytes
    }

    @Test("a tree, a file and a link come back as they were")
    func roundTrip() throws {
        let directory = try TemporaryDirectory()
        let tree = try directory.make("tree")
        _ = try directory.make("tree/inner")
        _ = try directory.write("tree/inner/run", "x", mode: 0o755)
        try #require(symlink("inner/run", tree + "/link") == 0)
        for name in ["tree", "tree/inner/run", "tree/link"] {
            let source = directory.path + "/" + name
            let copy = directory.path + "/copy-" + String(name.split(separator: "/").count)
            try restore(try bytes(of: source), to: copy)
            #expect(try bytes(of: copy) == bytes(of: source))
        }
        var status = stat()
        try #require(lstat(directory.path + "/copy-1/inner", &status) == 0)
        #expect(status.st_mode & S_IWUSR != 0)
    }

    @Test("nothing is left of an archive that is cut short or followed by more")
    func bad() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.make("tree")
        _ = try directory.make("tree/inner")
        _ = try directory.write("tree/inner/file", "text")
        let good = try bytes(of: directory.path + "/tree")
        let destination = directory.path + "/copy"
        for count in stride(from: 0, to: good.count, by: 16) {
            #expect(throws: InputError.self) {
                try restore([UInt8](good[..<count]), to: destination)
            }
        }
        #expect(throws: InputError.self) { try restore(good + [0], to: destination) }
        #expect(try directory.names() == ["tree"])
    }

    @Test("what is there is not replaced")
    func existing() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("file", "mine")
        try #require(symlink("nowhere", directory.path + "/link") == 0)
        let archive = try bytes(of: file)
        for name in ["file", "link", ".", ".."] {
            #expect(throws: InputError.self) {
                try restore(archive, to: directory.path + "/" + name)
            }
        }
        #expect(try readFile(file, limit: 100) == [UInt8]("mine".utf8))
        #expect(try directory.names() == ["file", "link"])
    }
}
