import Foundation
import LaunchModel
import Policy
import Testing

@testable import PolicyCompiler

@Suite("The file that becomes /bin/sh") struct ShellCandidateTests {
    /// A directory that only the caller can write, at a path that only the caller and root can change.
    static func withDirectory(_ body: (URL) throws -> Void) throws {
        // Wherever the checkout is, this is not below a directory like /tmp, which everybody can write.
        let base = getuid() == 0 ? "/var/lib" : NSHomeDirectory()
        let directory = URL(filePath: base).appending(path: "kiln-shell-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o755])
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: directory) } }
        try body(directory)
    }

    /// A static program: the smallest header that says so.
    static func program(dynamic: Bool = false, machine: UInt8? = nil) -> Data {
        var bytes = [UInt8](repeating: 0, count: 64 + 56)
        bytes.replaceSubrange(0..<8, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])
        bytes[16] = 2
        bytes[18] = machine ?? (Architecture.host == .x86_64 ? 62 : 183)
        bytes[32] = 64
        bytes[54] = 56
        bytes[56] = 1
        bytes[64] = dynamic ? 3 : 1
        return Data(bytes)
    }

    static func write(_ data: Data, to file: URL, mode: Int = 0o755) throws {
        try data.write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    }

    static func mount(_ candidates: [URL]) throws -> HostMount? {
        var profile = try Profiles.profile("strict")
        profile.shell.value = candidates.map(\.path)
        return try shellMount(of: profile, for: .host)
    }

    static func refusal(_ candidates: [URL]) throws -> String {
        let error = #expect(throws: PolicyCompileError.self) { _ = try Self.mount(candidates) }
        return try #require(error).description
    }

    @Test("no candidates mean no shell")
    func none() throws { #expect(try Self.mount([]) == nil) }

    @Test("the first candidate that is a regular file is mounted, by its path without links")
    func first() throws {
        try Self.withDirectory { directory in
            let real = directory.appending(path: "real")
            let link = directory.appending(path: "link")
            try Self.write(Self.program(), to: real)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: real)
            let mount = try #require(
                try Self.mount([directory.appending(path: "absent"), directory, link]))
            #expect(mount.source == Array(real.path.utf8))
            #expect(mount.target == Array("/bin/sh".utf8))
            #expect(mount.presence == .required && !mount.followsLink)
        }
    }

    @Test("a shell that needs other files, or is none, is refused with its reason")
    func unusable() throws {
        try Self.withDirectory { directory in
            let file = directory.appending(path: "sh")
            try Self.write(Self.program(dynamic: true), to: file)
            #expect(try Self.refusal([file]).contains("dynamically"))
            try Self.write(Self.program(machine: 8), to: file)
            #expect(try Self.refusal([file]).contains("architecture"))
            try Self.write(Data("#!/bin/dash\n".utf8), to: file)
            #expect(try Self.refusal([file]).contains("ELF"))
            try Self.write(Self.program().prefix(80), to: file)
            #expect(try Self.refusal([file]).contains("short"))
        }
    }

    @Test("a shell that others could have written is refused, and later candidates do not help")
    func untrusted() throws {
        try Self.withDirectory { directory in
            let file = directory.appending(path: "sh")
            let other = directory.appending(path: "other")
            try Self.write(Self.program(), to: other)
            #expect(try Self.mount([other]) != nil)
            try Self.write(Self.program(), to: file, mode: 0o775)
            #expect(try Self.refusal([file, other]).contains("writable"))
            try Self.write(Self.program(), to: file, mode: 0o700)
            #expect(try Self.refusal([file, other]).contains("every user"))
            try Self.write(Self.program(), to: file)
            #expect(try Self.mount([file]) != nil)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o777], ofItemAtPath: directory.path)
            #expect(try Self.refusal([file]).contains("lies below"))
        }
    }

    @Test("when no candidate is there, the error names them all and the package that brings one")
    func absent() throws {
        try Self.withDirectory { directory in
            let text = try Self.refusal(["one", "two"].map { directory.appending(path: $0) })
            #expect(text.contains("/one, ") && text.contains("/two"))
            #expect(text.contains("busybox-static") && text.contains("strict"))
        }
    }
}
