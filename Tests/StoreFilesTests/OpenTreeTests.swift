import ArchiveFormat
import Glibc
import StoreFiles
import SystemCalls
import Testing

@Suite("Trees that are open already") struct OpenTreeTests {
    private func bytes(_ path: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try archive(path) { bytes += $0 }
        return bytes
    }

    @Test("an open top gives the same archive as its path, wherever its position is")
    func sameArchive() throws {
        let scratch = try Scratch()
        let top = scratch.path + "/top"
        #expect(mkdir(top, 0o755) == 0)
        #expect(symlink("target", top + "/link") == 0)
        let file = open(top + "/file", O_RDWR | O_CREAT, 0o755)
        #expect(write(file, "contents", 8) == 8)
        close(file)
        for (path, flags) in [
            (top, O_RDONLY), (top + "/file", O_RDONLY), (top + "/link", 0o10000000),
        ] {
            let number = open(path, flags | O_NOFOLLOW | O_CLOEXEC)
            try #require(number >= 0)
            defer { close(number) }
            var byte: UInt8 = 0
            _ = read(number, &byte, 1)
            var found: [UInt8] = []
            try archive(of: number, calling: "top") { found += $0 }
            #expect(try found == bytes(path))
        }
    }

    @Test("a FIFO that is open has no archive")
    func fifo() throws {
        let scratch = try Scratch()
        #expect(mkfifo(scratch.path + "/fifo", 0o600) == 0)
        let number = open(scratch.path + "/fifo", O_RDONLY | O_NONBLOCK)
        defer { close(number) }
        #expect(throws: StoreFileError.fileType("it")) {
            try archive(of: number, calling: "it") { _ in }
        }
    }

    @Test("a tree is deleted whole, read-only directories included, and links are not followed")
    func removal() throws {
        let scratch = try Scratch()
        let outside = scratch.path + "/outside"
        #expect(mkdir(outside, 0o755) == 0)
        #expect(mkdir(outside + "/kept", 0o755) == 0)
        let top = scratch.path + "/top"
        #expect(mkdir(top, 0o755) == 0)
        #expect(mkdir(top + "/sub", 0o755) == 0)
        #expect(symlink(outside, top + "/sub/link") == 0)
        #expect(chmod(top + "/sub", 0o555) == 0)
        #expect(chmod(top, 0o555) == 0)
        try removeTree([UInt8]("top".utf8), in: scratch.descriptor, path: scratch.path)
        var status = stat()
        #expect(lstat(top, &status) == -1 && errno == ENOENT)
        #expect(lstat(outside + "/kept", &status) == 0)
        // What is not there is gone already.
        try removeTree([UInt8]("top".utf8), in: scratch.descriptor, path: scratch.path)
    }
}
