import CLinux
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("What an engine that was taken over tries", .serialized) struct HostileEngineTests {
        static let build = BuildID(rawValue: 1)

        /// Waits for something that happens by itself, and says whether it did.
        static func comes(_ condition: () throws -> Bool) rethrows -> Bool {
            for _ in 0..<500 {
                if try condition() { return true }
                usleep(10_000)
            }
            return try condition()
        }

        /// Processes whose parent this is.
        static func children(of process: pid_t) throws -> [pid_t] {
            var found: [pid_t] = []
            for name in try LifeTests.entries("/proc") {
                guard let id = pid_t(name), let status = try? Self.text("/proc/\(id)/status") else {
                    continue
                }
                if status.contains("\nPPid:\t\(process)\n") { found.append(id) }
            }
            return found
        }

        static func text(_ path: String) throws -> String {
            let file = open(path, O_RDONLY)
            guard file >= 0 else { throw HarnessFailure(path) }
            defer { close(file) }
            return TestLauncher.read(file)
        }

        static func start(_ launcher: TestLauncher, _ request: LaunchRequest) throws {
            guard case .prepared = try launcher.prepare(build, request) else {
                throw HarnessFailure("not prepared")
            }
            try launcher.send(.start(build))
            guard try launcher.next() == .started(build) else { throw HarnessFailure("no start") }
        }

        @Test("an object that is called like a lock is no lock, and nobody gets it to write")
        func objectLikeALock() throws {
            let launcher = try TestLauncher().ready()
            let object = launcher.root + "/nix/store/\(String(repeating: "0", count: 32))-x.lock"
            let file = open(object, O_CREAT | O_WRONLY, 0o444)
            #expect(file >= 0 && fchmod(file, 0o444) == 0)
            close(file)
            try launcher.send(.lock(try name("x"), .acquire))
            let (event, descriptors) = try launcher.receive()
            for descriptor in descriptors { #expect(write(descriptor, "changed", 7) == -1) }
            guard case .nameRefused = event else { throw HarnessFailure("\(event)") }
            #expect(try Self.text(object) == "")
            // A lock that is one can be held, and not written either.
            try launcher.send(.lock(try name("y"), .acquire))
            let lock = try launcher.receive()
            #expect(lock.event == .locked(try name("y")))
            #expect(write(lock.descriptors[0], "changed", 7) == -1 && errno == EBADF)
        }

        @Test("giving a lock up removes nobody else's file of that name")
        func lockMovedAway() throws {
            let launcher = try TestLauncher().ready()
            let lock = launcher.root + "/nix/store/\(String(repeating: "0", count: 32))-x.lock"
            try launcher.send(.lock(try name("x"), .acquire))
            #expect(try launcher.next() == .locked(try name("x")))
            try launcher.send(.trash(try name("x.lock")))
            #expect(try launcher.next() == .trashed(try name("x.lock")))
            let other = open(lock, O_CREAT | O_RDWR, 0o600)
            defer { close(other) }
            #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
            try launcher.send(.lock(try name("x"), .release))
            #expect(try launcher.next() == .unlocked(try name("x")))
            var found = stat()
            #expect(fstat(other, &found) == 0 && found.st_nlink == 1 && found.st_size == 0)
        }

        @Test(
            "no process of root's or of a build's keeps what a request says once its builder runs")
        func secrets() throws {
            let launcher = try TestLauncher().ready()
            // Put together here, so that it is in no file.
            let secret = bytes("secret-" + String(repeating: "k", count: 40) + "-\(getpid())")
            var request = try script("exec sleep 1000")
            request.environment.append(bytes("TOKEN=") + secret)
            request.arguments.append(secret)
            request.files.append(.init(name: bytes("f"), contents: secret))
            // Long, so that what is read piece by piece is moved in memory.
            request.files.append(
                .init(name: bytes("g"), contents: [UInt8](repeating: 7, count: 300_000) + secret))
            try Self.start(launcher, request)
            var first: [pid_t] = []
            #expect(
                try Self.comes {
                    first = try Self.children(of: launcher.process)
                    return try first.count == 1 && Self.children(of: first[0]).count == 1
                        && Self.text("/proc/\(Self.children(of: first[0])[0])/comm") == "sleep\n"
                })
            #expect(try Self.occurrences(of: secret, in: launcher.process) == 0)
            #expect(try Self.occurrences(of: secret, in: first[0]) == 0)
            // The builder itself has it, so the search does find.
            #expect(try Self.occurrences(of: secret, in: Self.children(of: first[0])[0]) > 0)
        }

        /// How often bytes are in the memory of a process.
        private static func occurrences(of secret: [UInt8], in process: pid_t) throws -> Int {
            var count = 0
            let memory = open("/proc/\(process)/mem", O_RDONLY)
            guard memory >= 0 else { throw HarnessFailure("mem") }
            defer { close(memory) }
            for line in try text("/proc/\(process)/maps").split(separator: "\n") {
                let fields = line.split(separator: " ")
                let ends = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
                guard fields[1].hasPrefix("rw"), ends.count == 2 else { continue }
                var content = [UInt8](repeating: 0, count: Int(ends[1] - ends[0]))
                let size = pread(memory, &content, content.count, off_t(ends[0]))
                guard size > 0 else { continue }
                let first = secret[0]
                var start = 0
                while let next = content[start..<size].firstIndex(of: first) {
                    if content[next..<size].starts(with: secret) { count += 1 }
                    start = next + 1
                }
            }
            return count
        }

        @Test("an engine that is always a little behind does not make the launcher grow")
        func slowReader() throws {
            let launcher = try TestLauncher().ready()
            let long = try name(String(repeating: "x", count: 200))
            func size() throws -> Int {
                let status = try Self.text("/proc/\(launcher.process)/status")
                let line = status.split(separator: "\n").first { $0.hasPrefix("VmData:") }
                let number = line.flatMap { Int($0.split(separator: " ").dropLast().last ?? "") }
                guard let number else { throw HarnessFailure("VmData") }
                return number
            }
            // So many answers are never read that the socket is full from now on.
            for _ in 0..<2000 { try launcher.send(.lock(long, .release)) }
            let before = try size()
            for _ in 0..<50_000 {
                try launcher.send(.lock(long, .release))
                guard case .nameRefused = try launcher.next() else { throw HarnessFailure("?") }
            }
            #expect(try size() - before < 8 << 10)
        }

        @Test(
            "a descriptor that takes long to close keeps no build alive",
            arguments: [true, false])
        func lingering(isWithPreparation: Bool) throws {
            let launcher = try TestLauncher(slots: 2).ready()
            try Self.start(launcher, try script("sleep 1000"))
            #expect(try Self.comes { try LifeTests.survivors() > 0 })
            let (ours, theirs) = try Self.fullConnection()
            defer { close(theirs) }
            let other = BuildID(rawValue: 2)
            let request =
                isWithPreparation
                ? LauncherRequest.prepare(
                    other, launcher.configuration.generation, ProfileNumber(rawValue: 0))
                : .status(other)
            try launcher.send(request, [ours])
            // Now the launcher has the only one, and closing it waits until the other side has read.
            close(ours)
            #expect(try Self.comes { try LifeTests.survivors() == 0 })
            guard case .unable(let refusal) = try launcher.next() else {
                throw HarnessFailure("it was taken")
            }
            #expect(refusal.reason == .malformedRequest)
        }

        /// A connection whose first end waits long when it is closed, because the second one never reads.
        private static func fullConnection() throws -> (CInt, CInt) {
            let stream = CInt(SOCK_STREAM.rawValue)
            let listener = socket(AF_INET, stream, 0)
            defer { close(listener) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let ours = socket(AF_INET, stream, 0)
            let isConnected = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listener, $0, length) == 0 && listen(listener, 1) == 0
                        && getsockname(listener, $0, &length) == 0
                        && connect(ours, $0, length) == 0
                }
            }
            let theirs = accept(listener, nil, nil)
            guard isConnected, theirs >= 0 else { throw HarnessFailure("no connection") }
            let piece = [UInt8](repeating: 0, count: 1 << 16)
            while send(ours, piece, piece.count, 0x40 /* MSG_DONTWAIT */) > 0 {}
            var wait = linger(l_onoff: 1, l_linger: 60)
            guard
                setsockopt(
                    ours, SOL_SOCKET, SO_LINGER, &wait, socklen_t(MemoryLayout<linger>.size)) == 0
            else { throw HarnessFailure("SO_LINGER") }
            return (ours, theirs)
        }

        @Test("a worker that hangs does not keep the launcher alive when the engine is gone")
        func hangingWorker() throws {
            let launcher = try TestLauncher().ready()
            let incoming = launcher.root + "/nix/var/kiln/incoming/1"
            try TestLauncher.run(
                "/bin/sh", ["-c", "mkdir \(incoming) && cd \(incoming) && touch $(seq 20000)"])
            try launcher.send(.adopt(Self.build, as: try name("x")))
            var worker: pid_t?
            #expect(
                try Self.comes {
                    worker = try Self.children(of: launcher.process).first
                    return worker != nil
                })
            let process = try #require(worker)
            #expect(kill(process, SIGSTOP) == 0)
            defer { kill(process, SIGCONT) }
            launcher.hangUp()
            #expect(try Self.comes { try launcher.isOver() })
        }

        @Test("whatever it is started without, its first three descriptors are nothing of its own")
        func standardDescriptors() throws {
            let launcher = try TestLauncher(isBare: true).ready()
            for standard in 0...2 {
                var target = [CChar](repeating: 0, count: 256)
                let link = "/proc/\(launcher.process)/fd/\(standard)"
                #expect(readlink(link, &target, 255) > 0)
                #expect(strcmp(target, "/dev/null") == 0)
            }
            #expect(try launcher.build(Self.build, try script("echo x")).log == "x\n")
        }

        @Test("a launcher that crashes leaves no core file")
        func core() throws {
            let core = CInt(RLIMIT_CORE.rawValue)
            var old = rlimit()
            #expect(getrlimit(core, &old) == 0)
            var wide = rlimit(rlim_cur: old.rlim_max, rlim_max: old.rlim_max)
            #expect(old.rlim_max > 0)
            #expect(setrlimit(core, &wide) == 0)
            defer { setrlimit(core, &old) }
            let launcher = try TestLauncher().ready()
            #expect(kill(launcher.process, SIGSEGV) == 0)
            let status = launcher.wait()
            #expect(status & 0x7f == SIGSEGV)
            #expect(status & 0x80 == 0)
        }

        @Test("a configuration in which a builder could be the engine is refused")
        func engineInPool() throws {
            let first = TestLauncher.firstUser
            let changes: [(inout LauncherConfiguration) -> Void] = [
                { $0.engineUser = UserID(rawValue: first + 65_536) },
                { $0.engineGroup = GroupID(rawValue: first) },
                {
                    $0.engineUser = UserID(rawValue: 61_000)
                    $0.pool = .group(
                        GroupID(rawValue: 61_001),
                        [UserID(rawValue: 61_002), UserID(rawValue: 61_000)])
                },
                {
                    $0.engineGroup = GroupID(rawValue: 61_001)
                    $0.pool = .group(GroupID(rawValue: 61_001), [UserID(rawValue: 61_002)])
                },
            ]
            for change in changes {
                let launcher = try TestLauncher(change: change)
                guard case .unable(let refusal) = try launcher.next() else {
                    throw HarnessFailure("it was accepted")
                }
                #expect(refusal.reason == .malformedRequest)
            }
        }

        @Test(
            "places of the launcher's own that others can write are refused",
            arguments: ["/nix/var/kiln", "/pool", "/nix/var/kiln/incoming"])
        func openPlaces(path: String) throws {
            let root = try TestLauncher.makeRoot(.root)
            #expect(chmod(root + path, 0o777) == 0)
            let launcher = try TestLauncher(root: root)
            guard case .unable(let refusal) = try launcher.next() else {
                throw HarnessFailure("\(path) was accepted")
            }
            #expect(refusal.reason == .storePermissions)
        }

        @Test("the build directory cannot be the root")
        func rootAsBuildDirectory() throws {
            let launcher = try TestLauncher().ready()
            var request = try script("true")
            request.buildDirectory = bytes("/")
            guard case .refused(_, let refusal) = try launcher.prepare(Self.build, request) else {
                throw HarnessFailure("it was prepared")
            }
            #expect(refusal.reason == .malformedRequest)
        }

        @Test(
            "a builder can open its output by name",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func standardOutput(mode: TestLauncher.Mode) throws {
            let launcher = try TestLauncher(mode).ready()
            let (log, end) = try launcher.build(
                Self.build, try script("echo one > /dev/stdout; echo two > /dev/stderr"))
            #expect(end == .exited(0))
            #expect(log == "one\ntwo\n")
        }
    }
}
