import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("Objects, from the builder to the store", .serialized) struct ObjectTests {
        static let build = BuildID(rawValue: 1)

        static func taken(_ launcher: TestLauncher, _ text: String) throws -> LauncherEvent {
            let (log, end) = try launcher.build(build, try script(text))
            guard end == .exited(0) else { throw HarnessFailure("\(end): \(log)") }
            try launcher.send(.takeOutputs(build))
            return try launcher.next()
        }

        @Test(
            "an output is taken over, read by the engine, and published under a name that is free",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func published(mode: TestLauncher.Mode) throws {
            let launcher = try TestLauncher(mode).ready()
            let made = try Self.taken(
                launcher,
                "mkdir -p $out/bin; echo hi > $out/bin/f; chmod 700 $out/bin/f; : > $out.tmp; : > other"
            )
            #expect(made == .taken(Self.build, [.directory]))
            try launcher.send(.publish(Self.build, output: 0))
            #expect(try launcher.next() == .published(Self.build, output: 0))
            let store = launcher.root + "/nix/store"
            #expect(
                try LauncherTests.LifeTests.entries(store) == [
                    "\(String(repeating: "0", count: 32))-x"
                ])
            var found = stat()
            #expect(stat(store + "/\(String(repeating: "0", count: 32))-x/bin/f", &found) == 0)
            #expect(found.st_mode & 0o7777 == 0o555)
            #expect(found.st_mtim.tv_sec == 1)
            #expect(found.st_uid == (mode == .root ? 0 : TestLauncher.ordinaryUser))
            try launcher.discard(Self.build)
            // Again: the name is taken now, and stays what it is.
            #expect(try Self.taken(launcher, "echo other > $out") == .taken(Self.build, [.regular]))
            try launcher.send(.publish(Self.build, output: 0))
            guard case .refused(_, let refusal) = try launcher.next() else {
                throw HarnessFailure("an object was replaced")
            }
            #expect(refusal.reason == .nameTaken)
            try launcher.discard(Self.build)
            try launcher.send(.trash(try name("x")))
            #expect(try launcher.next() == .trashed(try name("x")))
            #expect(try LauncherTests.LifeTests.entries(store) == [])
        }

        @Test(
            "an output that is not what one may be is refused, and nothing of it is published",
            arguments: [
                ("true", Refusal.Reason.outputMissing), ("mkfifo $out", .outputFileType),
                ("mkdir $out; mkfifo $out/f", .outputFileType),
                ("mkdir $out; : > $out/f; chmod 4755 $out/f", .outputSetID),
                ("mkdir $out; chmod 777 $out", .outputOwnership),
                (": > $out.a; ln $out.a $out", .outputHardLink),
                ("mkdir $out; : > $out.a; ln $out.a $out/b", .outputHardLink),
                ("head -c 70000000 /dev/zero > $out", .outputLimit),
                (
                    "mkdir $out; cd $out; i=0; while [ $i -lt 1001 ]; do : > $i; i=$((i+1)); done",
                    .outputLimit
                ),
            ])
        func refused(text: String, reason: Refusal.Reason) throws {
            let launcher = try TestLauncher().ready()
            guard case .refused(_, let refusal) = try Self.taken(launcher, text) else {
                throw HarnessFailure("it was taken")
            }
            #expect(refusal.reason == reason)
            try launcher.discard(Self.build)
            #expect(try LauncherTests.LifeTests.entries(launcher.root + "/nix/store") == [])
        }

        @Test(
            "an output is the builder's own file, or a fresh one when the request or the profile says so",
            arguments: [
                (LaunchRequest.HandOver.inPlace, false), (.copied, false), (.inPlace, true),
            ])
        func handOver(handOver: LaunchRequest.HandOver, profileCopies: Bool) throws {
            let launcher = try TestLauncher(change: {
                $0.profiles[0].alwaysCopiesOutputs = profileCopies
            }).ready()
            var request = try script("echo x > $out; stat -c %i $out")
            request.handOver = handOver
            let (log, end) = try launcher.build(Self.build, request)
            #expect(end == .exited(0))
            try launcher.send(.takeOutputs(Self.build))
            let (event, descriptors) = try launcher.receive()
            #expect(event == .taken(Self.build, [.regular]))
            var found = stat()
            #expect(fstat(descriptors[0], &found) == 0)
            let isSame = "\(found.st_ino)\n" == log
            #expect(isSame == (handOver == .inPlace && !profileCopies))
            #expect(TestLauncher.read(descriptors[0]) == "x\n")
        }

        @Test("a file of the store that is linked into a tree is not adopted, and stays as it is")
        func linkedObject() throws {
            let launcher = try TestLauncher().ready()
            let store = launcher.root + "/nix/store/"
            let incoming = launcher.root + "/nix/var/kiln/incoming/1"
            // As an engine could where fs.protected_hardlinks is 0.
            try TestLauncher.run(
                "/bin/sh",
                [
                    "-c",
                    """
                    cd \(store) && echo object > object && chmod 444 object && touch -d @1 object
                    mkdir \(incoming) && ln object \(incoming)/f
                    """,
                ])
            try launcher.send(.adopt(Self.build, as: try name("x")))
            guard case .refused(Self.build, let refusal) = try launcher.next() else {
                throw HarnessFailure("a linked object was adopted")
            }
            #expect(refusal.reason == .adoption)
            var found = stat()
            #expect(stat(store + "object", &found) == 0)
            #expect(
                found.st_mode & 0o7777 == 0o444 && found.st_uid == 0 && found.st_mtim.tv_sec == 1)
            try launcher.discard(Self.build)
            launcher.end()
            // What was left of the tree went with the launcher, the object did not.
            #expect(try LifeTests.entries(store) == ["object"])
            #expect(stat(store + "object", &found) == 0 && found.st_nlink == 1)
        }

        @Test("what the engine wrote is adopted")
        func adopted() throws {
            let launcher = try TestLauncher().ready()
            let incoming = launcher.root + "/nix/var/kiln/incoming/1"
            try TestLauncher.run("/bin/sh", ["-c", "mkdir \(incoming); echo x > \(incoming)/f"])
            try launcher.send(.adopt(Self.build, as: try name("added")))
            let (event, descriptors) = try launcher.receive()
            #expect(event == .taken(Self.build, [.directory]))
            #expect(descriptors.count == 1)
            try launcher.send(.publish(Self.build, output: 0))
            #expect(try launcher.next() == .published(Self.build, output: 0))
            try launcher.discard(Self.build)
            try launcher.send(.adopt(BuildID(rawValue: 2), as: try name("missing")))
            guard case .refused(_, let refusal) = try launcher.next() else {
                throw HarnessFailure("nothing was adopted")
            }
            #expect(refusal.reason == .adoption)
        }

        @Test("a failed build's directory is kept when it may be, and only then")
        func kept() throws {
            let launcher = try TestLauncher().ready()
            let text = "echo work > file; mkfifo fifo; exit 1"
            _ = try launcher.build(Self.build, try script(text, keepsFailed: true))
            try launcher.send(.keep(Self.build))
            guard case .kept(_, let name) = try launcher.next() else {
                throw HarnessFailure("not kept")
            }
            try launcher.discard(Self.build)
            let kept = launcher.root + "/nix/var/kiln/kept/" + String(decoding: name, as: UTF8.self)
            #expect(try LauncherTests.LifeTests.entries(kept) == ["file"])
            var found = stat()
            #expect(stat(kept + "/file", &found) == 0)
            #expect(found.st_uid == 0)
            _ = try launcher.build(Self.build, try script(text))
            try launcher.send(.keep(Self.build))
            guard case .refused(_, let refusal) = try launcher.next() else {
                throw HarnessFailure("kept without leave")
            }
            #expect(refusal.reason == .notKept)
        }

        @Test("path locks are Nix's: held against others, deleted and marked when given up")
        func locks() throws {
            let launcher = try TestLauncher().ready()
            let path = try name("x")
            let file = launcher.root + "/nix/store/\(String(repeating: "0", count: 32))-x.lock"
            try launcher.send(.lock(path, .acquire))
            #expect(try launcher.next() == .locked(path))
            let other = open(file, O_RDWR)
            #expect(other >= 0)
            defer { close(other) }
            #expect(flock(other, LOCK_EX | LOCK_NB) == -1)
            try launcher.send(.lock(path, .acquire))
            #expect(try launcher.next() == .lockBusy(path))
            try launcher.send(.lock(path, .release))
            #expect(try launcher.next() == .unlocked(path))
            var found = stat()
            #expect(stat(file, &found) == -1)
            #expect(fstat(other, &found) == 0 && found.st_size == 1)
            // Somebody else's lock is busy, and then free.
            let theirs = open(file, O_RDWR | O_CREAT, 0o600)
            #expect(flock(theirs, LOCK_EX | LOCK_NB) == 0)
            try launcher.send(.lock(path, .acquire))
            #expect(try launcher.next() == .lockBusy(path))
            close(theirs)
            try launcher.send(.lock(path, .acquire))
            #expect(try launcher.next() == .locked(path))
        }
    }
}
