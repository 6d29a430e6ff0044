import CLinux
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("Root changes policies while builds run", .serialized) struct ControlTests {
        /// A launcher with a door, and how to knock at it.
        final class Door {
            let launcher: TestLauncher
            let place: String

            init() throws {
                let root = try TestLauncher.makeRoot(.root)
                place = root + "/door"
                let socket = Glibc.socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0)
                guard try Self.address(place, { bind(socket, $0, $1) }) == 0,
                    chmod(place, 0o777) == 0, listen(socket, 4) == 0
                else { throw HarnessFailure("door: \(errno)") }
                defer { close(socket) }
                launcher = try TestLauncher(root: root, control: socket).ready()
            }

            static func address(
                _ place: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
            ) throws -> CInt {
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) {
                    $0.copyBytes(from: [UInt8](place.utf8))
                }
                return withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
            }

            /// Asks something, with descriptors, and closes them.
            ///
            /// - Returns: The answer; nothing if the connection was ended without one.
            func ask(_ bytes: [UInt8], _ descriptors: [CInt]) throws -> ControlReply? {
                let socket = Glibc.socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0)
                defer {
                    close(socket)
                    for descriptor in descriptors { close(descriptor) }
                }
                guard try Self.address(place, { connect(socket, $0, $1) }) == 0 else {
                    throw HarnessFailure("connect: \(errno)")
                }
                let sent = CLinux_send(
                    socket, bytes, bytes.count, descriptors, descriptors.count,
                    CInt(MSG_NOSIGNAL))
                if sent == -Int(EPIPE) { return nil }
                guard sent == bytes.count else { throw HarnessFailure("send: \(sent)") }
                var polled = CLinux_pollfd(fd: socket, events: Int16(CLinux_POLLIN), revents: 0)
                guard CLinux_poll(&polled, 1, 20_000) == 1 else {
                    throw HarnessFailure("nothing was answered")
                }
                var buffer = [UInt8](repeating: 0, count: ControlReply.encodingLimit)
                let size = read(socket, &buffer, buffer.count)
                return size <= 0 ? nil : try ControlReply(decoding: [UInt8](buffer[..<size]))
            }

            func reload(
                _ set: PolicySet, forEngine: [UInt8] = [9, 8, 7], isSealed: Bool = true
            ) throws -> ControlReply? {
                try ask(
                    [1],
                    [
                        try TestLauncher.memory(set.encoded, isSealed: isSealed),
                        try TestLauncher.memory(forEngine),
                    ])
            }
        }

        static let second = Generation(bytes: [UInt8](repeating: 8, count: 32))

        /// The test's profile under another host name.
        static func profile(named name: String) -> CompiledProfile {
            var profile = TestLauncher.profile
            profile.hostName = bytes(name)
            return profile
        }

        static func set(_ name: String = "second") -> PolicySet {
            PolicySet(generation: second, profiles: [profile(named: name)])
        }

        @Test("what is prepared keeps its profile, and what comes later must name the new ones")
        func reload() throws {
            let door = try Door()
            let launcher = door.launcher
            let first = BuildID(rawValue: 1)
            guard
                case .prepared = try launcher.prepare(first, try script("uname -n; exit 7"))
            else { throw HarnessFailure("not prepared") }

            #expect(
                try door.reload(Self.set())
                    == .reloaded(previous: launcher.configuration.generation, running: 1))
            let (event, descriptors) = try launcher.receive()
            #expect(event == .reloaded(Self.second))
            // The engine gets what root has for it, and cannot change it.
            let memory = try #require(descriptors.first)
            var content = [UInt8](repeating: 0, count: 10)
            #expect(pread(memory, &content, 10, 0) == 3)
            #expect(content[..<3] == [9, 8, 7])
            #expect(pwrite(memory, content, 1, 0) == -1)

            // The one that was prepared before runs as it was told then.
            try launcher.send(.start(first))
            let (started, log) = try launcher.receive()
            #expect(started == .started(first))
            #expect(TestLauncher.read(log[0]) == "localhost\n")
            guard case .ended(_, let end) = try launcher.next() else {
                throw HarnessFailure("no end")
            }
            #expect(end.builder == .exited(7))
            try launcher.discard(first)

            // The old name is refused, and the new one gets the new profile.
            let stale = BuildID(rawValue: 2)
            guard case .refused(_, let refusal) = try launcher.prepare(stale, try script(":"))
            else { throw HarnessFailure("prepared under a generation that is over") }
            #expect(refusal.reason == .staleGeneration)
            try launcher.discard(stale)
            let third = BuildID(rawValue: 3)
            let request = try TestLauncher.memory(try script("uname -n").encoded)
            defer { close(request) }
            try launcher.send(.prepare(third, Self.second, ProfileNumber(rawValue: 0)), [request])
            guard case .prepared = try launcher.next() else {
                throw HarnessFailure("not prepared under the new generation")
            }
            try launcher.send(.start(third))
            let (_, newLog) = try launcher.receive()
            #expect(TestLauncher.read(newLog[0]) == "second\n")
            _ = try launcher.next()
            try launcher.discard(third)
            launcher.end()
        }

        @Test("what is not whole is refused whole, and the old policies stay")
        func refused() throws {
            let door = try Door()
            let launcher = door.launcher
            func memory(_ bytes: [UInt8]) throws -> CInt { try TestLauncher.memory(bytes) }
            let good = Self.set().encoded
            var root = Self.profile(named: "root")
            root.sandboxUser = 0
            let asRoot = PolicySet(generation: Self.second, profiles: [root]).encoded
            let answers: [ControlReply?] = [
                try door.ask([1], [try memory([1, 2, 3]), try memory([])]),
                try door.ask([1], [try memory(good + [0]), try memory([])]),
                try door.ask([1], [try memory([UInt8](good.dropLast())), try memory([])]),
                try door.ask([1], [try memory(launcher.configuration.encoded), try memory([])]),
                try door.ask([1], [try memory(asRoot), try memory([])]),
                try door.reload(Self.set(), isSealed: false),
                try door.ask(
                    [1], [try memory(good), try TestLauncher.memory([1], isSealed: false)]),
                try door.ask([1], [try memory(good), open("/dev/null", O_RDWR)]),
                try door.ask([1], [try memory(good)]),
                try door.ask([1], []),
                try door.ask([1], [try memory(good), try memory([]), try memory([])]),
                try door.ask([2], [try memory(good), try memory([])]),
                try door.ask([1, 1], [try memory(good), try memory([])]),
                try door.ask([UInt8](repeating: 1, count: 4096), []),
            ]
            for (index, answer) in answers.enumerated() {
                guard case .refused(let refusal) = answer else {
                    Issue.record("\(index): \(String(describing: answer))")
                    continue
                }
                #expect(refusal.reason == .malformedRequest, "\(index)")
            }
            // Nothing was told to the engine, and what it knows still holds.
            let (log, end) = try launcher.build(BuildID(rawValue: 1), try script("uname -n"))
            #expect(log == "localhost\n")
            #expect(end == .exited(0))
            try launcher.discard(BuildID(rawValue: 1))
            launcher.end()
        }

        @Test("nobody but root is let in, even if he finds the door open")
        func others() throws {
            let door = try Door()
            // A process of its own, because a user is the whole process's.
            let program = """
                import socket, sys, array
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.connect(sys.argv[1])
                try:
                    s.sendmsg([b"\\x01"])
                    sys.exit(3 if s.recv(4096) else 0)
                except (BrokenPipeError, ConnectionResetError):
                    sys.exit(0)
                """
            let words = ["/usr/bin/python3", "-c", program, door.place]
            func status(as user: UInt32) throws -> CInt {
                let process = try TestLauncher.start(as: user, words)
                var status: CInt = 0
                waitpid(process, &status, 0)
                return status >> 8
            }
            // The control: root is answered, if only with a refusal.
            #expect(try status(as: 0) == 3)
            #expect(try status(as: TestLauncher.ordinaryUser) == 0)
            // The door still works after both.
            guard case .reloaded = try door.reload(Self.set()) else {
                throw HarnessFailure("the door is shut")
            }
            door.launcher.end()
        }

        @Test("guests who say nothing, or go, keep nobody from working")
        func silentGuests() throws {
            let door = try Door()
            var guests: [CInt] = []
            for _ in 0..<8 {
                let socket = Glibc.socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0)
                #expect(try Door.address(door.place, { connect(socket, $0, $1) }) == 0)
                guests.append(socket)
            }
            let (log, _) = try door.launcher.build(BuildID(rawValue: 1), try script("echo works"))
            #expect(log == "works\n")
            try door.launcher.discard(BuildID(rawValue: 1))
            for guest in guests { close(guest) }
            guard case .reloaded = try door.reload(Self.set()) else {
                throw HarnessFailure("the door is shut")
            }
            door.launcher.end()
        }

        @Test("a descriptor that is no door is closed like any other")
        func noDoor() throws {
            let memory = try TestLauncher.memory([1])
            defer { close(memory) }
            let launcher = try TestLauncher(control: memory).ready()
            let open = try LauncherTests.LifeTests.entries("/proc/\(launcher.process)/fd")
                .map { name in
                    var buffer = [CChar](repeating: 0, count: 4096)
                    let path = "/proc/\(launcher.process)/fd/\(name)"
                    let count = max(0, readlink(path, &buffer, buffer.count))
                    return String(
                        decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                }
            #expect(open.filter { $0.contains("kiln-test") && $0.contains("memfd") }.count == 1)
            launcher.end()
        }
    }
}
