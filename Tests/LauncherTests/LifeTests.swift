import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("What a build leaves behind, and who may ask for what", .serialized) struct LifeTests {
        static let build = BuildID(rawValue: 1)

        /// Processes of a test launcher's build users.
        static func survivors() throws -> Int {
            var count = 0
            guard let directory = opendir("/proc") else { throw HarnessFailure("/proc") }
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                var found = stat()
                guard name.allSatisfy(\.isNumber), stat("/proc/" + name, &found) == 0 else {
                    continue
                }
                let first = TestLauncher.firstUser
                if found.st_uid >= first, found.st_uid <= first + 2 * 65_536 { count += 1 }
            }
            return count
        }

        static func entries(_ path: String) throws -> [String] {
            guard let directory = opendir(path) else { throw HarnessFailure(path) }
            defer { closedir(directory) }
            var names: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { names.append(name) }
            }
            return names
        }

        @Test(
            "nothing of a build lives on when it has ended",
            arguments: [
                "(setsid sleep 1000 >/dev/null 2>&1 &); sleep 0.1",
                "trap '' TERM HUP INT; (trap '' TERM; sleep 1000 & ) >/dev/null 2>&1; exit 3",
                "for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'sleep 1000 & sleep 1000' >/dev/null 2>&1 &); done",
            ])
        func daemons(text: String) throws {
            let launcher = try TestLauncher().ready()
            let (_, end) = try launcher.build(Self.build, try script(text))
            #expect(end == .exited(text.contains("exit 3") ? 3 : 0))
            #expect(try Self.survivors() == 0)
            try launcher.discard(Self.build)
        }

        @Test(
            "a killed build is dead, whatever it does",
            arguments: [
                "sleep 1000", "exec >&- 2>&-; sleep 1000", "trap '' TERM; while :; do :; done",
                "f() { f & f & }; f; sleep 1000",
            ])
        func killed(text: String) throws {
            let launcher = try TestLauncher().ready()
            guard case .prepared = try launcher.prepare(Self.build, try script(text)) else {
                throw HarnessFailure("not prepared")
            }
            try launcher.send(.start(Self.build))
            #expect(try launcher.next() == .started(Self.build))
            usleep(300_000)
            try launcher.send(.kill(Self.build))
            guard case .ended(_, let end) = try launcher.next() else {
                throw HarnessFailure("no end")
            }
            #expect(end.builder == .killed)
            #expect(try Self.survivors() == 0)
            try launcher.discard(Self.build)
        }

        @Test("when the engine is gone its builds are dead and their directories deleted")
        func engineGone() throws {
            let launcher = try TestLauncher().ready()
            _ = try launcher.prepare(Self.build, try script("mkdir -p a/b; chmod 0 a; sleep 1000"))
            try launcher.send(.start(Self.build))
            #expect(try launcher.next() == .started(Self.build))
            usleep(200_000)
            #expect(try Self.survivors() > 0)
            launcher.end()
            #expect(try Self.survivors() == 0)
            for name in ["work", "staging", "trash"] {
                #expect(try Self.entries(launcher.root + "/nix/var/kiln/" + name) == [])
            }
        }

        @Test("when the launcher is killed its builds die, and the next one clears up after it")
        func launcherKilled() throws {
            let launcher = try TestLauncher().ready()
            _ = try launcher.prepare(Self.build, try script("sleep 1000"))
            try launcher.send(.start(Self.build))
            #expect(try launcher.next() == .started(Self.build))
            usleep(200_000)
            kill(launcher.process, SIGKILL)
            launcher.end()
            for _ in 0..<200 where try Self.survivors() > 0 { usleep(10_000) }
            #expect(try Self.survivors() == 0)
            #expect(try Self.entries(launcher.root + "/nix/var/kiln/work").count == 1)
            let next = try TestLauncher(root: launcher.root).ready()
            next.end()
            for name in ["work", "staging", "trash"] {
                #expect(try Self.entries(launcher.root + "/nix/var/kiln/" + name) == [])
            }
        }

        @Test("launchers that start at once on one store do not take each other for dead")
        func together() throws {
            let root = try TestLauncher.makeRoot(.root)
            for _ in 0..<25 {
                let all = try (0..<6).map { _ in try TestLauncher(root: root) }
                for launcher in all { #expect(try launcher.next() == .ready) }
                for launcher in all { launcher.end() }
            }
        }

        @Test(
            "a process that takes the build user's id while it builds is killed before the end is told"
        )
        func intruder() throws {
            let launcher = try TestLauncher(slots: 1).ready()
            _ = try launcher.prepare(Self.build, try script("sleep 0.5"))
            let stranger = try TestLauncher.start(
                as: TestLauncher.firstUser, ["/bin/sleep", "1000"])
            try launcher.send(.start(Self.build))
            #expect(try launcher.next() == .started(Self.build))
            var status: CInt = 0
            #expect(waitpid(stranger, &status, 0) == stranger)
            #expect(status == SIGKILL)
            guard case .ended = try launcher.next() else { throw HarnessFailure("no end") }
        }

        @Test("a lock that another daemon has on a build user is respected")
        func lockedUser() throws {
            let root = try TestLauncher.makeRoot(.root)
            let file = open(root + "/pool/slot-0", O_RDWR | O_CREAT, 0o600)
            defer { close(file) }
            #expect(flock(file, LOCK_EX | LOCK_NB) == 0)
            let launcher = try TestLauncher(root: root, slots: 1).ready()
            #expect(try launcher.prepare(Self.build, try script("true")) == .noUser(Self.build))
            close(open("/dev/null", O_RDONLY))
            #expect(flock(file, LOCK_UN) == 0)
            guard case .prepared = try launcher.prepare(Self.build, try script("true")) else {
                throw HarnessFailure("not prepared")
            }
            #expect(flock(file, LOCK_EX | LOCK_NB) == -1)
        }

        @Test("what is not legal now ends the conversation")
        func outOfOrder() throws {
            let name = try name("x")
            let requests: [LauncherRequest] = [
                .start(Self.build), .kill(Self.build), .takeOutputs(Self.build),
                .publish(Self.build, output: 0), .keep(Self.build), .discard(Self.build),
            ]
            for request in requests {
                let launcher = try TestLauncher().ready()
                try launcher.send(request)
                guard case .unable(let refusal) = try launcher.next() else {
                    throw HarnessFailure("\(request) was accepted")
                }
                #expect(refusal.reason == .outOfOrder)
                #expect(throws: HarnessFailure.self) { try launcher.next() }
            }
            let launcher = try TestLauncher().ready()
            try launcher.send(.lock(name, .release))
            guard case .nameRefused(name, _) = try launcher.next() else {
                throw HarnessFailure("released what was not held")
            }
        }

        @Test(
            "bytes that are no request, and descriptors that belong to none, end the conversation")
        func malformed() throws {
            let packets: [([UInt8], Int)] = [
                ([0], 0), ([1, 2, 3], 0), (LauncherRequest.status(Self.build).encoded + [0], 0),
                (LauncherRequest.status(Self.build).encoded, 1),
                ([UInt8](repeating: 4, count: 70_000), 0),
                (
                    LauncherRequest.prepare(
                        Self.build, Generation(bytes: [UInt8](repeating: 7, count: 32)),
                        ProfileNumber(rawValue: 0)
                    ).encoded, 0
                ),
            ]
            for (bytes, count) in packets {
                let launcher = try TestLauncher().ready()
                try launcher.send(bytes, [CInt](repeating: 0, count: count))
                guard case .unable(let refusal) = try launcher.next() else {
                    throw HarnessFailure("\(bytes.count) bytes were accepted")
                }
                #expect(refusal.reason == .malformedRequest)
            }
        }

        @Test("a request that somebody could still change, or for other policies, is refused")
        func refusedPreparation() throws {
            let launcher = try TestLauncher().ready()
            let open = try TestLauncher.memory(try script("true").encoded, isSealed: false)
            defer { close(open) }
            let right = launcher.configuration.generation
            let wrong = Generation(bytes: [UInt8](repeating: 8, count: 32))
            let sealed = try TestLauncher.memory(try script("true").encoded)
            defer { close(sealed) }
            let cases: [(Generation, UInt16, CInt, Refusal.Reason)] = [
                (right, 0, open, .malformedRequest), (wrong, 0, sealed, .staleGeneration),
                (right, 1, sealed, .malformedRequest),
            ]
            for (generation, profile, memory, reason) in cases {
                try launcher.send(
                    .prepare(Self.build, generation, ProfileNumber(rawValue: profile)), [memory])
                guard case .refused(_, let refusal) = try launcher.next() else {
                    throw HarnessFailure("it was prepared")
                }
                #expect(refusal.reason == reason)
                try launcher.discard(Self.build)
            }
        }

        @Test("a store that others could change is refused before anything starts")
        func permissions() throws {
            for (path, mode) in [
                ("/nix/store", 0o777), ("/nix", 0o775), ("", 0o1777), ("/nix/var", 0o775),
                ("/nix/var/kiln", 0o757), ("/nix/var/kiln/incoming", 0o775), ("/pool", 0o777),
            ] as [(String, mode_t)] {
                let root = try TestLauncher.makeRoot(.root)
                chmod(root + path, mode)
                let launcher = try TestLauncher(root: root)
                guard case .unable(let refusal) = try launcher.next() else {
                    throw HarnessFailure("\(path) with mode \(mode) was accepted")
                }
                #expect(refusal.reason == .storePermissions)
            }
            // A directory of somebody else's on the way, and a link on the way to one of root's.
            let root = try TestLauncher.makeRoot(.root)
            chown(root + "/nix/var", TestLauncher.ordinaryUser, 0)
            let linked = try TestLauncher.makeRoot(.root)
            rename(linked + "/nix/var", linked + "/var")
            symlink("../var", linked + "/nix/var")
            for root in [root, linked] {
                let launcher = try TestLauncher(root: root)
                guard case .unable(let refusal) = try launcher.next() else {
                    throw HarnessFailure("somebody else's directory was accepted")
                }
                #expect(refusal.reason == .storePermissions)
            }
            let launcher = try TestLauncher(change: { $0.profiles[0].sandboxUser = 0 })
            guard case .unable(let refusal) = try launcher.next() else {
                throw HarnessFailure("a builder that is root was accepted")
            }
            #expect(refusal.reason == .malformedRequest)
        }
    }
}
