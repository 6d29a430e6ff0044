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
