import CLinux
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    /// Every verb in every phase that a request can meet, against the shipped launcher.
    ///
    /// `discarding` has no row: nothing is answered between its beginning and its end.
    @Suite("The table of phases and verbs", .serialized) struct PhaseTableTests {
        /// What each phase accepts, written down apart from the rule that the launcher is built with.
        private static let accepted: [BuildPhase: Set<Verb>] = [
            .unknown: [.prepare, .adopt],
            .prepared: [.start, .discard],
            .running: [.kill],
            .ending: [.kill],
            .ended: [.kill, .takeOutputs, .keep, .discard],
            .taking: [],
            .taken: [.publish, .keep, .discard],
            .keeping: [],
            .failed: [.kill, .keep, .discard],
        ]

        @Test(
            "a verb is taken in the phases that are its own, and ends the conversation in all others"
        )
        func table() throws {
            var cells: [BuildPhase: [Verb: Bool]] = [:]
            for (phase, verbs) in Self.accepted {
                for verb in Verb.allCases {
                    let isTaken = try Self.isTaken(verb, in: phase)
                    let isRight = verb.isOfNoPhase || verbs.contains(verb)
                    #expect(isTaken == isRight, "\(verb) in \(phase)")
                    cells[phase, default: [:]][verb] = isTaken
                }
            }
            Self.show(cells)
            #expect(cells.values.reduce(0) { $0 + $1.count } == 9 * Verb.allCases.count)
            #expect(try LifeTests.survivors() == 0)
        }

        private static func show(_ cells: [BuildPhase: [Verb: Bool]]) {
            for phase in BuildPhase.allCases {
                guard let row = cells[phase] else { continue }
                let words = Verb.allCases.map { "\($0) \(row[$0] == true ? "taken" : "ENDS")" }
                print("\(phase): \(words.joined(separator: ", "))")
            }
        }

        /// Brings a build of a new launcher to a phase, asks, and says whether the launcher went on.
        private static func isTaken(_ verb: Verb, in phase: BuildPhase) throws -> Bool {
            let launcher = try TestLauncher().ready()
            let last = try reach(phase, with: launcher)
            // Both requests are there when the launcher looks again, so that nothing happens between them.
            kill(launcher.process, SIGSTOP)
            defer { kill(launcher.process, SIGCONT) }
            if let last { try launcher.send(last) }
            let before = BuildID(rawValue: 98)
            try launcher.send(.status(before))
            try launcher.send(.status(build))
            try ask(verb, of: launcher)
            try launcher.send(.status(BuildID(rawValue: 99)))
            kill(launcher.process, SIGCONT)
            var seen: BuildPhase?
            while true {
                switch try event(of: launcher) {
                case nil:
                    #expect(seen == phase, "the conversation ended before the verb was read")
                    #expect(launcher.wait() & 0x7f == 0, "a signal ended the launcher")
                    return false
                case .phase(build, let now) where seen == nil:
                    #expect(now == phase)
                    seen = now
                case .phase(BuildID(rawValue: 99), _):
                    launcher.end()
                    return true
                default: break
                }
            }
        }

        private static let build = BuildID(rawValue: 1)

        /// Brings a build to a phase, or to where one request leads there.
        ///
        /// - Returns: The request that leads into a phase that passes by itself.
        private static func reach(
            _ phase: BuildPhase, with launcher: TestLauncher
        ) throws -> LauncherRequest? {
            func run(_ text: String) throws {
                _ = try launcher.build(build, script(text, keepsFailed: true))
            }
            switch phase {
            case .unknown: return nil
            case .prepared:
                guard case .prepared = try launcher.prepare(build, script("exit 0")) else {
                    throw HarnessFailure("not prepared")
                }
                return nil
            case .running, .ending:
                try HostileEngineTests.start(launcher, script("exec sleep 1000"))
                return phase == .ending ? .kill(build) : nil
            case .ended, .taking, .keeping, .taken:
                try run("echo made > $out")
                switch phase {
                case .taking: return .takeOutputs(build)
                case .keeping: return .keep(build)
                case .taken:
                    try launcher.send(.takeOutputs(build))
                    guard case .taken = try launcher.next() else {
                        throw HarnessFailure("not taken")
                    }
                    return nil
                default: return nil
                }
            case .failed:
                try run("mkfifo $out")
                try launcher.send(.takeOutputs(build))
                guard case .refused = try launcher.next() else {
                    throw HarnessFailure("a FIFO was taken")
                }
                return nil
            case .discarding: throw HarnessFailure("a phase that no request meets")
            }
        }

        private static func ask(_ verb: Verb, of launcher: TestLauncher) throws {
            if verb == .prepare {
                let memory = try TestLauncher.memory(script("exit 0").encoded)
                defer { close(memory) }
                try launcher.send(
                    .prepare(
                        build, launcher.configuration.generation, ProfileNumber(rawValue: 0)),
                    [memory])
                return
            }
            try launcher.send(try verb.request(about: build))
        }

        /// The next event; nothing once the launcher has hung up.
        private static func event(of launcher: TestLauncher) throws -> LauncherEvent? {
            do {
                return try launcher.next()
            } catch let failure as HarnessFailure where failure.description.contains("ended") {
                return nil
            }
        }
    }

    /// What an engine can ask.
    enum Verb: CaseIterable {
        case prepare, start, kill, status, takeOutputs, adopt, publish, keep, discard, trash, lock

        /// Whether the verb is about a name, or asks only.
        var isOfNoPhase: Bool { [.status, .trash, .lock].contains(self) }

        /// The request; `prepare` needs a descriptor and has none here.
        func request(about build: BuildID) throws -> LauncherRequest {
            switch self {
            case .prepare: throw HarnessFailure("goes with a descriptor")
            case .start: .start(build)
            case .kill: .kill(build)
            case .status: .status(build)
            case .takeOutputs: .takeOutputs(build)
            case .adopt: .adopt(build, as: try name("adopted"))
            case .publish: .publish(build, output: 0)
            case .keep: .keep(build)
            case .discard: .discard(build)
            case .trash: .trash(try name("none"))
            case .lock: .lock(try name("locked"), .acquire)
            }
        }
    }
}
