import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("What the launcher's own processes may do", .serialized) struct ConfinementTests {
        static let build = BuildID(rawValue: 1)

        /// The value of a line of a process's status.
        static func status(_ process: pid_t, _ key: String) throws -> String {
            let text = try HostileEngineTests.text("/proc/\(process)/status")
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key + ":") })
            return String(line.dropFirst(key.count + 1).drop { $0 == "\t" || $0 == " " })
        }

        /// How many filters this process has, and so whatever it starts.
        static func ownFilters() throws -> Int {
            try #require(Int(try status(getpid(), "Seccomp_filters")))
        }

        @Test(
            "the launcher has a filter before its first request, and no right that no step needs",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func launcher(mode: TestLauncher.Mode) throws {
            let launcher = try TestLauncher(mode).ready()
            let filters = try Self.ownFilters() + 1
            #expect(try Self.status(launcher.process, "Seccomp") == "2")
            #expect(try Self.status(launcher.process, "Seccomp_filters") == "\(filters)")
            #expect(try Self.status(launcher.process, "NoNewPrivs") == "1")
            if mode == .root {
                for set in ["CapPrm", "CapEff", "CapBnd"] {
                    // The host may give the tests fewer.
                    let mine = try #require(UInt64(try Self.status(getpid(), set), radix: 16))
                    let its = try #require(
                        UInt64(try Self.status(launcher.process, set), radix: 16))
                    #expect(its == mine & 0x9120_11eb, "\(set)")
                    #expect(mine & ~its != 0, "the tests have nothing that could be dropped")
                }
                #expect(try Self.status(launcher.process, "CapInh") == "0000000000000000")
                #expect(try Self.status(launcher.process, "Groups") == "")
            }
        }

        @Test("a worker has two filters and four capabilities")
        func worker() throws {
            let launcher = try TestLauncher().ready()
            let incoming = launcher.root + "/nix/var/kiln/incoming/1"
            try TestLauncher.run(
                "/bin/sh", ["-c", "mkdir \(incoming) && cd \(incoming) && touch $(seq 20000)"])
            try launcher.send(.adopt(Self.build, as: try name("x")))
            let filters = "\(try Self.ownFilters() + 2)"
            var worker: pid_t = 0
            // It begins as a copy of the launcher.
            #expect(
                try HostileEngineTests.comes {
                    guard let child = try HostileEngineTests.children(of: launcher.process).first
                    else { return false }
                    worker = child
                    return try Self.status(child, "Seccomp_filters") == filters
                })
            #expect(kill(worker, SIGSTOP) == 0)
            defer { kill(worker, SIGCONT) }
            #expect(try Self.status(worker, "Name") == "kiln-worker")
            for set in ["CapPrm", "CapEff", "CapBnd"] {
                let mine = try #require(UInt64(try Self.status(getpid(), set), radix: 16))
                let its = try #require(UInt64(try Self.status(worker, set), radix: 16))
                #expect(its == mine & 0x1000_000b, "\(set)")
            }
            // Its result, the directories it works in, and what it has open there.
            #expect(try LifeTests.entries("/proc/\(worker)/fd").count < 12)
        }

        @Test(
            "under a profile that allows everything, what no profile may allow is denied still",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func inherited(mode: TestLauncher.Mode) throws {
            // On x86_64: getppid, then calls that fail otherwise without a filter, then x32's getpid.
            let calls = """
                import ctypes
                libc = ctypes.CDLL(None, use_errno=True)
                def call(*words):
                    ctypes.set_errno(0)
                    result = libc.syscall(*[ctypes.c_long(word) for word in words])
                    return ctypes.get_errno() if result < 0 else 'done'
                print(call(110), call(425, 0, 0), call(248, 0, 0, 0, 0, 0), call(249, 0, 0, 0, 0),
                      call(250, 0, -3, 0), call(179, 0, 0, 0, 0), call(443, -1, 0, 0, 0),
                      call(0x40000027))
                """
            let launcher = try TestLauncher(mode).ready()
            let (log, end) = try launcher.build(
                Self.build,
                try script(
                    "grep Seccomp_filters /proc/self/status; /usr/bin/python3 calls.py",
                    files: [.init(name: bytes("calls.py"), contents: bytes(calls))]))
            #expect(end == .exited(0), "\(log)")
            let filters = try Self.ownFilters() + 2
            #expect(log == "Seccomp_filters:\t\(filters)\ndone 38 38 38 38 1 1 38\n")
        }
    }
}
