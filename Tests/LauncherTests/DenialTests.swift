import Foundation
import Glibc
import LaunchModel
import Policy
import PolicyCompiler
import Testing

extension LauncherTests {
    @Suite("Denied calls, told by the launcher as it is shipped", .serialized) struct DenialTests {
        static let build = BuildID(rawValue: 1)
        /// The object that the probe is: `filter-runner`, to be used without a filter.
        static let probe = "/nix/store/" + String(repeating: "9", count: 32) + "-probe"

        /// The probe's file on the host, which needs no libraries.
        static let program = Result {
            let file = NSTemporaryDirectory() + "kiln-probe-\(UUID().uuidString)"
            Leftovers.shared.remove(atExit: file)
            let source = URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "FilterRunner/main.c").path
            try TestLauncher.run("/usr/bin/gcc", ["-static", "-O1", "-o", file, source])
            return file
        }

        /// A shipped profile.
        static func profile(_ name: String) throws -> Profile {
            let checkout = URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            let sources = try ["strict", "default"].map { name in
                let file = checkout.appending(path: "policies/\(name).toml")
                return PolicySource(
                    name: name, file: "\(name).toml",
                    text: try String(contentsOf: file, encoding: .utf8))
            }
            var profile = try #require(try loadProfiles(sources).first { $0.name == name })
            profile.shell.value = []
            return profile
        }

        /// A launcher whose builds have the filter of a shipped profile.
        static func launcher(
            _ mode: TestLauncher.Mode = .root, profile name: String = "default"
        ) throws -> TestLauncher {
            let compiled = try compile(try profile(name))
            let launcher = try TestLauncher(mode) {
                $0.profiles[0].filter = compiled.filter
                $0.profiles[0].denials = compiled.denials
            }
            try TestLauncher.run(
                "/usr/bin/install", ["-m", "755", try program.get(), launcher.root + probe])
            if mode == .ordinaryUser {
                chown(
                    launcher.root + probe, TestLauncher.ordinaryUser, TestLauncher.ordinaryUser)
            }
            return try launcher.ready()
        }

        static func request(_ text: String) throws -> LaunchRequest {
            try script(
                "probe() { \(probe) - \"$@\"; }\n" + text, inputs: [try name("probe", "9")])
        }

        /// Prepares and starts a build; its log.
        static func start(_ launcher: TestLauncher, _ id: BuildID, _ text: String) throws -> CInt {
            guard case .prepared = try launcher.prepare(id, try request(text)) else {
                throw HarnessFailure("not prepared")
            }
            try launcher.send(.start(id))
            let (event, descriptors) = try launcher.receive()
            guard event == .started(id) else { throw HarnessFailure("\(event)") }
            return descriptors[0]
        }

        static func run(
            _ launcher: TestLauncher, _ text: String
        ) throws -> (log: String, end: BuildEnd) {
            let log = TestLauncher.read(try start(launcher, build, text))
            let event = try launcher.next()
            guard case .ended(build, let end) = event else { throw HarnessFailure("\(event)") }
            return (log, end)
        }

        static func number(_ name: String, on architecture: Architecture = .host) throws -> UInt32 {
            try #require(Syscall.byName[name]?.number(on: architecture))
        }

        /// What was told, in the policy's words: `name(arguments) errno ×count by program`.
        static func words(_ denied: DeniedCalls, _ name: String = "default") throws -> [String] {
            let told = try profile(name).toldDenials
            return try denied.kinds.map { kind in
                let found = try #require(told.explanation(of: kind))
                let interface = found.interface.map { " on \($0)" } ?? ""
                return "\(found.call)(\(found.arguments.joined(separator: ", ")))\(interface) "
                    + "\(found.answer) ×\(found.count) by \(found.program)"
            }
        }

        @Test(
            "a denied call gets the table's errno and is told with its count; an allowed one is not",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func told(mode: TestLauncher.Mode) throws {
            let launcher = try Self.launcher(mode)
            let (log, end) = try Self.run(
                launcher,
                """
                probe calls 3 \(try Self.number("mount"))
                probe call \(try Self.number("keyctl")) 0
                probe call \(try Self.number("socket")) 38 5 0
                probe call \(try Self.number("unshare")) 0x10020000
                probe call \(try Self.number("fchmod")) 99 3565
                probe call \(try Self.number("fchmod")) 99 493
                probe call \(try Self.number("socket")) 16 3 0
                probe call \(try Self.number("clone3")) 0 0
                probe call \(try Self.number("getxattr")) 0 0 0 0
                mkdir d; chmod 755 d; ls -l d; (true); sh -c true | cat
                """)
            #expect(end.builder == .exited(0), "\(log)")
            #expect(
                log.split(separator: "\n").prefix(9).joined(separator: " ")
                    == "-1 -38 -97 -1 -1 -9 3 -38 -95")
            let words = try Self.words(end.denied)
            #expect(
                words == [
                    "mount() EPERM ×3 by \(Self.comm)",
                    "socket(family=AF_ALG, protocol=0) EAFNOSUPPORT ×1 by \(Self.comm)",
                    "unshare(flags=CLONE_NEWNS|CLONE_NEWUSER) EPERM ×1 by \(Self.comm)",
                    "fchmod(mode=0o6000) EPERM ×1 by \(Self.comm)",
                ])
            #expect(end.denied.others == 0)
        }

        /// The probe's file, as the kernel cuts it.
        static let comm = String((String(repeating: "9", count: 32) + "-probe").prefix(15))

        @Test("calls through the 32-bit interface are told as such")
        func foreign() throws {
            guard Architecture.host == .x86_64 else { return }
            let launcher = try Self.launcher()
            let (log, end) = try Self.run(
                launcher, "probe call32 20 >/dev/null && probe call32 21; probe call32 94 -1 2541")
            // A kernel without the interface kills the probe.
            guard log.hasPrefix("-1\n") else { return }
            #expect(log == "-1\n-1\n")
            #expect(
                try Self.words(end.denied) == [
                    "mount() on x86 EPERM ×1 by \(Self.comm)",
                    "fchmod(mode=0o4000) on x86 EPERM ×1 by \(Self.comm)",
                ])
        }

        @Test("200,000 denials are answered and counted, every one")
        func counted() throws {
            let launcher = try Self.launcher()
            let (log, end) = try Self.run(
                launcher, "probe calls 200000 \(try Self.number("mount"))")
            #expect(log == "-1\n")
            #expect(
                try Self.words(end.denied) == ["mount() EPERM ×200000 by \(Self.comm)"])
        }

        @Test(
            "a flood of denials holds no other build up, and what was told of it outlives the kill")
        func flood() throws {
            let launcher = try Self.launcher()
            let flooding = try Self.start(
                launcher, Self.build,
                """
                for i in 1 2 3 4; do probe calls 0 \(try Self.number("mount")) & done
                probe calls 1000 \(try Self.number("pivot_root")); echo; wait
                """)
            var byte: UInt8 = 0
            #expect(read(flooding, &byte, 1) == 1)
            for index in 2..<6 as Range<UInt64> {
                let other = BuildID(rawValue: index)
                let log = TestLauncher.read(
                    try Self.start(
                        launcher, other, "probe call \(try Self.number("unshare")) 0x10000000"))
                #expect(log == "-1\n")
                // Nothing but this comes first: the flood goes on.
                guard case .ended(other, let end) = try launcher.next() else {
                    throw HarnessFailure("the other build did not end")
                }
                #expect(end.builder == .exited(0))
                #expect(end.denied.kinds.map(\.count) == [1])
                try launcher.discard(other)
            }
            try launcher.send(.kill(Self.build))
            guard case .ended(Self.build, let end) = try launcher.next() else {
                throw HarnessFailure("the flood did not end")
            }
            #expect(end.builder == .killed)
            #expect(end.denied.kinds.count == 2)
            #expect(end.denied.kinds.reduce(0) { $0 + $1.count } >= 1000)
        }

        @Test("a program that is denied in many ways, or renames itself, fills a bounded list")
        func bounded() throws {
            let launcher = try Self.launcher()
            let (log, end) = try Self.run(
                launcher,
                """
                i=100; while [ $i -lt 200 ]; do
                    probe call \(try Self.number("socket")) $i 1 0 >/dev/null; i=$((i + 1))
                done
                probe call \(try Self.number("mount"))
                """)
            #expect(log == "-1\n")
            #expect(end.denied.kinds.count == DeniedCalls.limit)
            #expect(end.denied.others == 101 - UInt64(DeniedCalls.limit))
        }

        @Test("the name of a program is its own, whatever is in it")
        func names() throws {
            let launcher = try Self.launcher()
            let (log, end) = try Self.run(
                launcher,
                """
                cat > probe.py <<'END'
                import ctypes
                open('/proc/self/comm', 'wb').write(b'\\x1b[31m\\xff"\\\\\\n')
                ctypes.CDLL(None).syscall(\(try Self.number("mount")), 0, 0, 0, 0, 0)
                END
                python3 probe.py
                """)
            #expect(log == "")
            #expect(end.denied.kinds.count == 1)
            let program = end.denied.kinds.first?.program ?? []
            #expect(program == bytes("\u{1b}[31m") + [0xff] + bytes("\"\\\n"))
        }

        @Test(
            "a builder finds no listener, in its own descriptors or the first process's, and gets none",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func hidden(mode: TestLauncher.Mode) throws {
            let launcher = try Self.launcher(mode)
            let (log, end) = try Self.run(
                launcher,
                """
                for f in 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$f && echo "has $f"; done
                ls /proc/1/fd 2>/dev/null && echo 'saw descriptors'
                probe call \(try Self.number("pidfd_open")) 1 0
                cat > steal.py <<'END'
                import ctypes, os
                libc = ctypes.CDLL(None, use_errno=True)
                pidfd = libc.syscall(\(try Self.number("pidfd_open")), 1, 0)
                for number in range(0, 16):
                    if libc.syscall(\(try Self.number("pidfd_getfd")), pidfd, number, 0) >= 0: print('stole', number)
                print(os.strerror(ctypes.get_errno()))
                END
                python3 steal.py
                probe listen
                """)
            #expect(end.builder == .exited(0))
            #expect(log == "3\nOperation not permitted\n-16\n")
        }

        @Test("a call that nobody answers is not made, and dies with its build")
        func stopped() throws {
            let launcher = try Self.launcher()
            // Made, this call gives a descriptor.
            let log = try Self.start(
                launcher, Self.build,
                "echo; while [ ! -e go ]; do sleep 0.02; done;"
                    + "probe call \(try Self.number("socket")) 38 5 0; echo passed")
            var byte: UInt8 = 0
            #expect(read(log, &byte, 1) == 1)
            let first = try Self.firstProcess(of: launcher)
            #expect(kill(first, SIGSTOP) == 0)
            // The build's directory, as root sees it.
            let work = launcher.root + "/nix/var/kiln/work"
            let directory = try #require(
                FileManager.default.enumerator(atPath: work)?.compactMap { $0 as? String }
                    .first { $0.hasSuffix(".build") })
            #expect(
                FileManager.default.createFile(
                    atPath: "\(work)/\(directory)/go", contents: nil))
            // As long as a call that is answered takes, many times over.
            var polled = pollfd(fd: log, events: Int16(POLLIN), revents: 0)
            #expect(poll(&polled, 1, 500) == 0)
            #expect(kill(first, SIGKILL) == 0)
            // The listener goes a moment before the rest of the build does.
            let rest = TestLauncher.read(log)
            #expect(["", "-38\n", "-38\npassed\n"].contains(rest), "\(rest)")
            guard case .ended(Self.build, let end) = try launcher.next() else {
                throw HarnessFailure("no end")
            }
            #expect(end.builder == .killed)
            #expect(try LifeTests.survivors() == 0)
        }

        /// The first process of the only build.
        static func firstProcess(of launcher: TestLauncher) throws -> pid_t {
            let path = "/proc/\(launcher.process)/task/\(launcher.process)/children"
            let children = try String(contentsOfFile: path, encoding: .utf8)
            return try #require(children.split(separator: " ").first.flatMap { pid_t($0) })
        }

        @Test("orphans are reaped while denials are told")
        func orphans() throws {
            let launcher = try Self.launcher()
            let (log, end) = try Self.run(
                launcher,
                """
                # A hundred orphans that end at one moment: the signals of most of them are one.
                mkfifo go; exec 3<>go
                i=0; while [ $i -lt 100 ]; do
                    ( (exec 4<go 3>&-; probe call \(try Self.number("mount")) >/dev/null; : > up.$i; read x <&4) & )
                    i=$((i + 1))
                done
                while [ $(ls up.* | wc -l) -lt 100 ]; do sleep 0.02; done
                exec 3>&-
                while grep -l '^PPid:.1$' /proc/[0-9]*/status 2>/dev/null | grep -v /$$/ | grep -q .; do sleep 0.02; done
                echo reaped
                """)
            #expect(log == "reaped\n")
            #expect(end.denied.kinds.map(\.count) == [100])
        }

        @Test("a builder that cannot be executed is told as such, with a listener as without")
        func missingBuilder() throws {
            let launcher = try Self.launcher()
            var request = try Self.request("true")
            request.builder = bytes("/no/such/builder")
            guard case .notStarted(let missing) = try launcher.build(Self.build, request).end else {
                throw HarnessFailure("started")
            }
            #expect(missing.errno == ENOENT)
            try launcher.discard(Self.build)
            // This one is found, and refused by the kernel when the filter is loaded already.
            request.builder = bytes("/etc/passwd")
            guard case .notStarted(let refused) = try launcher.build(Self.build, request).end else {
                throw HarnessFailure("started")
            }
            #expect(refused.reason == .execute)
            #expect(refused.errno == EACCES)
        }
    }
}
