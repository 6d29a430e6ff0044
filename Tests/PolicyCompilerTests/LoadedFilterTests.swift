import Foundation
import LaunchModel
import Policy
import Testing

@testable import PolicyCompiler

/// The kernel's own opinion: filters are loaded, and real calls and real programs run under them.
@Suite("Loaded filters") struct LoadedFilterTests {
    struct Outcome {
        var status: Int32
        var output: String
    }

    /// A filter in which the kernel gives the answers that the listener would give.
    ///
    /// That the listener gives them is what the tests of the launcher show.
    static func answered(_ compiled: CompiledProfile) -> [UInt8] {
        var bytes = compiled.filter
        for start in stride(from: 0, to: bytes.count, by: 8)
        where bytes[start] == 0x06 && bytes[start + 1] == 0 && bytes[start + 6] == 0xc0
            && bytes[start + 7] == 0x7f
        {
            let index = Int(bytes[start + 4]) | Int(bytes[start + 5]) << 8
            let errno = compiled.denials[index].errno
            bytes.replaceSubrange(
                (start + 4)..<(start + 8), with: [UInt8(errno & 0xff), UInt8(errno >> 8), 5, 0])
        }
        return bytes
    }

    /// Runs the test helper, which stands beside the test program, under a filter or without one.
    static func run(
        _ profile: Profile?, in directory: URL? = nil, _ arguments: [String]
    ) throws -> Outcome {
        try run(filter: try profile.map { answered(try compile($0)) }, in: directory, arguments)
    }

    /// The same under a program's bytes.
    static func run(
        filter bytes: [UInt8]?, in directory: URL? = nil, _ arguments: [String]
    ) throws -> Outcome {
        let scratch = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: scratch) } }
        var filter = "-"
        if let bytes {
            let file = scratch.appending(path: "filter")
            try Data(bytes).write(to: file)
            filter = file.path
        }
        return try start([filter] + arguments, in: directory ?? scratch)
    }

    /// Starts the test helper and waits for its end.
    private static func start(_ arguments: [String], in directory: URL) throws -> Outcome {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        process.executableURL = URL(filePath: program).deletingLastPathComponent()
            .appending(path: "filter-runner")
        process.arguments = arguments
        process.currentDirectoryURL = directory
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let status =
            process.terminationReason == .uncaughtSignal
            ? -process.terminationStatus : process.terminationStatus
        return Outcome(
            status: status,
            output: String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines))
    }

    static func call(
        _ profile: Profile?, _ name: String, _ arguments: [UInt64] = []
    ) throws -> String {
        let number = try #require(Syscall.byName[name]?.number(on: .host))
        let outcome = try run(
            profile, ["call", String(number)] + arguments.map { String($0) })
        #expect(outcome.status == 0, "\(outcome.output)")
        return outcome.output
    }

    @Test(
        "the kernel takes every shipped profile's filter and answers denied calls as it says",
        arguments: Profiles.names)
    func denied(name: String) throws {
        let profile = try Profiles.profile(name)
        // Without a filter the kernel answers otherwise, so the filter is what is measured below.
        #expect(try Self.call(nil, "getppid") != "-38")
        #expect(try Self.call(nil, "unshare", [0x80]) != "-1" || geteuid() != 0)
        #expect(try Self.call(nil, "io_uring_setup", [0, 0]) != "-38")
        #expect(try Self.call(nil, "mount") == "-14")
        #expect(try Self.call(nil, "socket", [38, 5, 0]) != "-22")
        #expect(try Self.call(nil, "ioctl", [0xffff_ffff, 0x5412]) == "-9")
        #expect(try Self.call(nil, "fchmod", [0xffff_ffff, 0o4755]) == "-9")

        #expect(try Self.call(profile, "getppid") != "-38")
        #expect(try Self.call(profile, "mount") == "-1")
        #expect(try Self.call(profile, "io_uring_setup", [0, 0]) == "-38")
        #expect(try Self.call(profile, "clone3", [0, 0]) == "-38")
        #expect(try Self.call(profile, "socket", [38, 5, 0]) == "-97")
        #expect(try Self.call(profile, "socket", [1 << 32 | 38, 5, 0]) == "-97")
        #expect(try Self.call(profile, "fchmod", [0xffff_ffff, 0o4755]) == "-1")
        #expect(try Self.call(profile, "fchmod", [0xffff_ffff, 1 << 32 | 0o2755]) == "-1")
        #expect(try Self.call(profile, "fchmod", [0xffff_ffff, 0o755]) == "-9")
        #expect(try Self.call(profile, "ioctl", [0xffff_ffff, 0x5412]) == "-1")
        #expect(try Self.call(profile, "ioctl", [0xffff_ffff, 1 << 32 | 0x5412]) == "-1")
        #expect(try Self.call(profile, "ioctl", [0xffff_ffff, 0x5413]) == "-9")
        #expect(try Self.call(profile, "unshare", [0x1000_0000]) == "-1")
        #expect(try Self.call(profile, "unshare", [0x80]) == "-1")
        #expect(try Self.call(profile, "lsetxattr") == "-95")
    }

    @Test(
        "a told call whose listener is gone, or never was, is denied",
        arguments: ["unheard", "call"])
    func noListener(how: String) throws {
        let compiled = try compile(try Profiles.profile("default"))
        let scratch = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try Data(compiled.filter).write(to: scratch)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: scratch) } }
        let mount = try #require(Syscall.byName["mount"]?.number(on: .host))
        let socket = try #require(Syscall.byName["socket"]?.number(on: .host))
        let getppid = try #require(Syscall.byName["getppid"]?.number(on: .host))
        for (arguments, result) in [
            ([mount], "-38"), ([socket, 38, 5, 0], "-38"), ([socket, 1, 1, 0], "3"),
        ] {
            let outcome = try Self.start(
                [scratch.path, how] + arguments.map { String($0) },
                in: scratch.deletingLastPathComponent())
            #expect(outcome.status == 0)
            #expect(outcome.output == result)
        }
        let allowed = try Self.start(
            [scratch.path, how, String(getppid)], in: scratch.deletingLastPathComponent())
        #expect(allowed.status == 0)
        #expect(Int(allowed.output).map { $0 > 0 } == true)
    }

    @Test("the 32-bit interface is closed by strict and filtered by default")
    func compatible() throws {
        // 20 is getpid there, 21 mount, 94 fchmod.
        let control = try Self.run(nil, ["call32", "20"])
        // A kernel without the 32-bit interface ends the program: nothing to filter then.
        guard control.status == 0 else {
            #expect(control.status == 77 || control.status < 0)
            return
        }
        let loose = try Profiles.profile("default")
        #expect(try Self.run(loose, ["call32", "20"]).status == 0)
        #expect(try Self.run(nil, ["call32", "21"]).output == "-14")
        #expect(try Self.run(loose, ["call32", "21"]).output == "-1")
        #expect(try Self.run(nil, ["call32", "94", "-1", "0o0"]).output == "-9")
        #expect(try Self.run(loose, ["call32", "94", "-1", "2541"]).output == "-1")
        #expect(try Self.run(loose, ["call32", "94", "-1", "493"]).output == "-9")
        let strict = try Self.run(try Profiles.profile("strict"), ["call32", "20"])
        #expect(strict.status == -SIGSYS)
    }

    @Test(
        "a real build works under every shipped profile: make, gcc, sh, tar and python",
        arguments: Profiles.names)
    func build(name: String) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: directory) } }
        let files = [
            "greet.c": """
            #include <pthread.h>
            #include <stdio.h>
            #include <sys/stat.h>
            static void *work(void *argument) { puts(argument); return NULL; }
            int main(void) {
                pthread_t thread;
                if (pthread_create(&thread, NULL, work, "hello from a thread") != 0) return 1;
                if (pthread_join(thread, NULL) != 0) return 2;
                return mkfifo("fifo", 0600) == 0 ? 0 : 3;
            }

            """,
            "Makefile": """
            greet: greet.o
            \tgcc -o $@ greet.o -lpthread
            greet.o: greet.c
            \tgcc -O2 -g -c greet.c
            check: greet
            \t./greet
            \trm fifo
            \ttar cf greet.tar greet greet.c && mkdir out && tar xf greet.tar -C out
            \tcmp greet out/greet
            \tinstall -m 755 greet installed && cp -a out copied && chmod -R u+w copied
            \t/usr/bin/python3 test.py

            """,
            "test.py": """
            import os, multiprocessing, subprocess, socket, tempfile, threading
            def square(x): return x * x
            if __name__ == "__main__":
                with multiprocessing.Pool(2) as pool:
                    assert pool.map(square, range(4)) == [0, 1, 4, 9]
                assert subprocess.run(["./greet"], capture_output=True).returncode == 0
                a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
                with tempfile.TemporaryDirectory() as d: os.symlink("x", d + "/y")
                try: os.chmod("greet", 0o4755)
                except PermissionError: print("set-id refused")
                print("python is content")

            """,
        ]
        for (file, text) in files {
            try Data(text.utf8).write(to: directory.appending(path: file))
        }
        let outcome = try Self.run(
            try Profiles.profile(name), in: directory,
            [
                "run", "/bin/sh", "-c",
                "unset MAKEFLAGS MAKELEVEL MFLAGS; umask 022 && make -j2 check && echo built",
            ])
        #expect(outcome.status == 0, "\(outcome.output)")
        #expect(
            outcome.output.hasSuffix("set-id refused\npython is content\nbuilt"),
            "\(outcome.output)")
    }
}
