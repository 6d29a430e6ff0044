import Foundation
import LaunchModel
import Testing

@testable import Policy

@Suite("Which policy directories are trusted") struct TrustedFilesTests {
    /// Below a directory that everybody can write but that has the sticky bit, as `/tmp` has.
    static func withPolicies(_ body: (String) throws -> Void) throws {
        let base = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        #expect(mkdir(base, 0o755) == 0 && mkdir(base + "/policies", 0o755) == 0)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: base) } }
        let resolved = try #require(realpath(base, nil))
        defer { free(resolved) }
        try Data("schema = 1\n".utf8).write(to: URL(filePath: base + "/policies/one.toml"))
        try Data("anything".utf8).write(to: URL(filePath: base + "/policies/README.md"))
        #expect(chmod(base + "/policies/one.toml", 0o644) == 0)
        try body(String(cString: resolved) + "/policies")
    }

    static func read(_ directory: String, as user: UInt32 = geteuid()) throws(UntrustedFile)
        -> [String]
    {
        try readPolicyDirectory(Array(directory.utf8), trustedOwner: user).map(\.name)
    }

    static func refusal(_ directory: String, as user: UInt32 = geteuid()) throws -> String {
        let error = #expect(throws: UntrustedFile.self) { try Self.read(directory, as: user) }
        return try #require(error).description
    }

    @Test("the caller's own directory is read, also below a sticky one; only *.toml are policies")
    func own() throws {
        try Self.withPolicies { (directory) throws in
            #expect(try Self.read(directory) == ["one"])
        }
    }

    @Test("a directory or file that others can write is refused with the command that repairs it")
    func writable() throws {
        try Self.withPolicies { (directory) throws in
            let file = directory + "/one.toml"
            for mode: mode_t in [0o664, 0o646] {
                #expect(chmod(file, mode) == 0)
                #expect(try Self.refusal(directory).contains("one.toml: is writable"))
            }
            #expect(chmod(file, 0o644) == 0)
            // The sticky bit protects what leads to policies, not the policies: a new one would count.
            for mode: mode_t in [0o775, 0o1777] {
                #expect(chmod(directory, mode) == 0)
                #expect(try Self.refusal(directory).contains("chmod go-w"))
            }
            #expect(chmod(directory, 0o755) == 0)
            #expect(try Self.read(directory) == ["one"])
            #expect(chmod(directory + "/..", 0o777) == 0)
            #expect(try Self.refusal(directory).contains("is writable"))
        }
    }

    @Test("links of either kind, and what is no file, are refused")
    func links() throws {
        try Self.withPolicies { (directory) throws in
            #expect(symlink("one.toml", directory + "/two.toml") == 0)
            #expect(try Self.refusal(directory).contains("two.toml: is a symbolic link"))
            #expect(unlink(directory + "/two.toml") == 0)
            #expect(link(directory + "/one.toml", directory + "/../other") == 0)
            #expect(try Self.refusal(directory).contains("hard links"))
            #expect(unlink(directory + "/../other") == 0)
            #expect(mkfifo(directory + "/pipe.toml", 0o644) == 0)
            #expect(try Self.refusal(directory).contains("pipe.toml: is not a regular file"))
            #expect(unlink(directory + "/pipe.toml") == 0)
            #expect(symlink("policies", directory + "/../link") == 0)
            let link = directory.dropLast("policies".utf8.count) + "link"
            #expect(try Self.refusal(String(link)).contains("link: is a symbolic link"))
            #expect(try Self.read(directory) == ["one"])
        }
    }

    @Test(
        "an unprivileged user's own policies count for that user and not for root or others",
        .enabled(if: geteuid() == 0, "gives files to another user"))
    func owners() throws {
        try Self.withPolicies { (directory) throws in
            #expect(try Self.read(directory, as: 4321) == ["one"], "root's are everybody's")
            for path in [directory + "/..", directory, directory + "/one.toml"] {
                #expect(chown(path, 4321, 4321) == 0)
            }
            #expect(try Self.read(directory, as: 4321) == ["one"])
            #expect(try Self.refusal(directory, as: 0).contains("belongs to user 4321"))
            #expect(try Self.refusal(directory, as: 4322).contains("root or user 4322"))
        }
    }
}
