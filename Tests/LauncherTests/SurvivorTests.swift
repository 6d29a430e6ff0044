import Foundation
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    /// Source: `security/attacks.md`, A8, A25, B2; `security/hardening.md`, 7.
    @Suite("No process of a build user outlives the build", .serialized) struct SurvivorTests {
        static let build = BuildID(rawValue: 1)
        static let user = TestLauncher.firstUser

        /// A launcher with one build user, of whose build the builder waits for ever.
        private func building(
            change: (inout LauncherConfiguration) -> Void = { _ in }
        ) throws -> TestLauncher {
            let launcher = try TestLauncher(slots: 1, change: change).ready()
            try build(with: launcher)
            return launcher
        }

        private func build(with launcher: TestLauncher) throws {
            let event = try launcher.prepare(Self.build, try script("sleep 1000"))
            #expect(event == .prepared(Self.build, UserID(rawValue: Self.user)))
            try launcher.send(.start(Self.build))
            #expect(try launcher.next() == .started(Self.build))
        }

        /// What comes of preparing a build; processes that were told to die may take a moment.
        private func lent(by launcher: TestLauncher) throws -> LauncherEvent {
            for _ in 0..<500 {
                let event = try launcher.prepare(Self.build, try script("true"))
                guard event == .noUser(Self.build) else { return event }
                usleep(10_000)
            }
            return .noUser(Self.build)
        }

        private func end(_ launcher: TestLauncher) throws {
            try launcher.send(.kill(Self.build))
            guard case .ended(Self.build, _) = try launcher.next() else {
                throw HarnessFailure("no end")
            }
        }

        /// Who looks for one of these, or is met by its signals, may be lucky; not every time.
        @Test(
            "what hides in another process all the time, or stops whom it may, is dead when the end is told",
            arguments: ["comet", "siege"])
        func fast(kind: String) throws {
            let launcher = try TestLauncher(slots: 1).ready()
            for _ in 0..<20 {
                try build(with: launcher)
                let stranger = try Stranger([kind, "\(Self.user)"], of: Self.user)
                #expect(!stranger.isOver)
                try end(launcher)
                #expect(stranger.isOver)
                try launcher.discard(Self.build)
            }
        }

        @Test("what is another process all the time is dead when its user is lent")
        func cometBefore() throws {
            let comet = try Stranger(["comet", "\(Self.user)"], of: Self.user)
            #expect(!comet.isOver)
            let launcher = try TestLauncher(slots: 1).ready()
            let event = try lent(by: launcher)
            #expect(event == .prepared(Self.build, UserID(rawValue: Self.user)))
            #expect(comet.isOver)
        }

        @Test("a process that is over and that nobody reaps is none")
        func zombie() throws {
            let launcher = try building()
            let zombie = try Stranger(["zombie", "\(Self.user)"], of: Self.user)
            try end(launcher)
            try launcher.discard(Self.build)
            #expect(kill(zombie.pid, 0) == 0)
        }

        /// Whether the build user's lock is free, for this launcher's root.
        private func isUnlocked(_ launcher: TestLauncher) -> Bool {
            let file = open(launcher.root + "/pool/slot-0", O_RDWR)
            defer { close(file) }
            return flock(file, LOCK_EX | LOCK_NB) == 0
        }

        @Test(
            "a user of whom a process cannot be killed is lent to nobody any more, and that is told"
        )
        func undead() throws {
            let launcher = try building()
            let undead = try Stranger(["undead", "\(Self.user)"], of: Self.user)
            try launcher.send(.kill(Self.build))
            #expect(
                try launcher.next()
                    == .quarantined(
                        UserID(rawValue: Self.user), processes: [UInt32(undead.pid)]))
            let event = try launcher.next()
            guard case .refused(Self.build, let refusal) = event else {
                throw HarnessFailure("\(event)")
            }
            #expect(refusal.reason == .userNotClean)
            // What may still be written is not looked at.
            try launcher.send(.keep(Self.build))
            guard case .refused(Self.build, let second) = try launcher.next() else {
                throw HarnessFailure("it was kept")
            }
            #expect(second.reason == .notKept)
            try launcher.discard(Self.build)
            #expect(!undead.isOver)
            // Nor when it is gone: what it did until then nobody knows.
            undead.end()
            #expect(undead.endsByItself())
            #expect(try launcher.prepare(Self.build, try script("true")) == .noUser(Self.build))
            #expect(!isUnlocked(launcher))
            launcher.end()
            #expect(isUnlocked(launcher))
        }

        @Test("a user of whom a process cannot be killed before the first build is not lent")
        func undeadBefore() throws {
            let undead = try Stranger(["undead", "\(Self.user)"], of: Self.user)
            let launcher = try TestLauncher(slots: 2).ready()
            #expect(
                try launcher.next()
                    == .quarantined(
                        UserID(rawValue: Self.user), processes: [UInt32(undead.pid)]))
            let second = UserID(rawValue: TestLauncher.firstUser + 65_536)
            #expect(
                try launcher.prepare(Self.build, try script("true"))
                    == .prepared(Self.build, second))
            let other = BuildID(rawValue: 2)
            #expect(try launcher.prepare(other, try script("true")) == .noUser(other))
            #expect(!isUnlocked(launcher))
        }

        @Test("what a killed launcher left is gone before the next one takes a request")
        func crash() throws {
            let others = try cgroups()
            let launcher = try TestLauncher(slots: 2).ready()
            let text = """
                (setsid sleep 1000 &); (setsid sh -c 'sleep 1000 & sleep 1000' &); echo up; sleep 1000
                """
            _ = try launcher.prepare(Self.build, try script(text))
            try launcher.send(.start(Self.build))
            // The first process has closed what it had of the launcher when the builder runs.
            let (started, descriptors) = try launcher.receive()
            #expect(started == .started(Self.build))
            var said = [UInt8](repeating: 0, count: 3)
            #expect(read(descriptors[0], &said, said.count) == said.count)
            kill(launcher.process, SIGKILL)
            launcher.end()
            let comet = try Stranger(["comet", "\(Self.user)"], of: Self.user)
            let second = TestLauncher.firstUser + 65_536
            let waiting = try Stranger(["ids", "0", "\(second)", "0", "0"], of: second)
            let left = try cgroups().subtracting(others)
            if TestLauncher.cgroup != nil { #expect(left.count == 1) }
            let next = try TestLauncher(root: launcher.root, slots: 2).ready()
            #expect(waiting.isOver)
            #expect(try cgroups().isDisjoint(with: left))
            #expect(try LifeTests.entries(next.root + "/nix/var/kiln/work").count == 1)
            for number in UInt64(1)...2 {
                let build = BuildID(rawValue: number)
                guard case .prepared = try next.prepare(build, try script("true")) else {
                    throw HarnessFailure("not prepared")
                }
            }
            #expect(comet.isOver)
        }

        /// The cgroups of builds that are there.
        private func cgroups() throws -> Set<String> {
            guard let place = TestLauncher.cgroup else { return [] }
            return Set(
                try FileManager.default.contentsOfDirectory(
                    atPath: String(decoding: place, as: UTF8.self)
                ).filter { $0.hasPrefix("kiln-") })
        }

        @Test(
            "a process is found by any one of its four user ids",
            arguments: [
                ["\(user)", "0", "0", "0"], ["0", "\(user)", "0", "0"], ["0", "0", "\(user)", "0"],
                ["0", "0", "0", "\(user)"],
            ])
        func fourIDs(ids: [String]) throws {
            let launcher = try building()
            let stranger = try Stranger(["ids"] + ids, of: Self.user)
            try end(launcher)
            #expect(stranger.isOver)
        }
    }
}
