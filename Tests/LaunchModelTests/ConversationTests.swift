import LaunchModel
import Testing

@Suite("Conversation") struct ConversationTests {
    static let build = BuildID(rawValue: 0x0102_0304_0506_0708)

    static func requests() throws -> [LauncherRequest] {
        let name = try LaunchCodingTests.name("x")
        return [
            .prepare(build, Generation(bytes: [UInt8](0..<32)), ProfileNumber(rawValue: 3)),
            .start(build), .kill(build), .status(build), .takeOutputs(build),
            .adopt(build, as: name), .publish(build, output: 7), .trash(name), .discard(build),
            .keep(build),
            .lock(name, .acquire), .lock(name, .release),
        ]
    }

    static func events() throws -> [LauncherEvent] {
        let name = try LaunchCodingTests.name("x")
        let refusals = Refusal.Reason.allCases.map {
            Refusal($0, errno: -5, subject: [1, 0, 0xff])
        }
        var events: [LauncherEvent] = [
            .ready, .prepared(build, UserID(rawValue: 30001)), .noUser(build), .started(build),
            .ended(build, BuildEnd(builder: .exited(255), userTime: 1, systemTime: .max)),
            .ended(build, BuildEnd(builder: .signaled(9), userTime: 0, systemTime: 0)),
            .ended(build, BuildEnd(builder: .killed, userTime: 0, systemTime: 0)),
            .ended(build, BuildEnd(builder: .notStarted(refusals[0]), userTime: 0, systemTime: 0)),
            .taken(build, [.regular, .directory, .symbolicLink]), .published(build, output: 1),
            .trashed(name), .discarded(build), .locked(name), .lockBusy(name), .unlocked(name),
            .nameRefused(name, refusals[1]), .kept(build, name: [0x31, 0x32]),
            .reloaded(Generation(bytes: [UInt8](32..<64))),
            .quarantined(UserID(rawValue: 30001), processes: []),
            .quarantined(
                UserID(rawValue: .max),
                processes: [UInt32](repeating: 7, count: LauncherEvent.survivorLimit)),
        ]
        var end = BuildEnd(builder: .exited(1), userTime: 2, systemTime: 3)
        end.denied = DeniedCallTests.most
        events.append(.ended(build, end))
        events += refusals.flatMap { [.unable($0), .refused(build, $0)] }
        events += BuildPhase.allCases.map { .phase(build, $0) }
        return events
    }

    @Test("every request and event is read as it was written, and no prefix of one is")
    func roundTrips() throws {
        for request in try Self.requests() {
            let bytes = request.encoded
            #expect(try LauncherRequest(decoding: bytes) == request)
            for count in bytes.indices {
                #expect(throws: CodingFault.self) {
                    try LauncherRequest(decoding: [UInt8](bytes[..<count]))
                }
            }
            #expect(throws: CodingFault.trailing(at: bytes.count)) {
                try LauncherRequest(decoding: bytes + [0])
            }
        }
        for event in try Self.events() {
            let bytes = event.encoded
            #expect(bytes.count <= LauncherRequest.packetLimit)
            #expect(try LauncherEvent(decoding: bytes) == event)
            for count in bytes.indices {
                #expect(throws: CodingFault.self) {
                    try LauncherEvent(decoding: [UInt8](bytes[..<count]))
                }
            }
        }
    }

    @Test("tags that mean nothing are refused", arguments: [UInt8(0), 12, 19, 255])
    func unknownTags(tag: UInt8) {
        #expect(throws: CodingFault.unknownValue(UInt64(tag), at: 0)) {
            try LauncherRequest(decoding: [tag] + [UInt8](repeating: 0, count: 64))
        }
        if tag != 12 {
            #expect(throws: CodingFault.unknownValue(UInt64(tag), at: 0)) {
                try LauncherEvent(decoding: [tag])
            }
        }
    }

    @Test("a subject for people is cut, not refused")
    func subjects() {
        let refusal = Refusal(.input, subject: [UInt8](repeating: 1, count: 5000))
        #expect(refusal.subject.count == Refusal.subjectLimit)
    }
}

@Suite("BuildPhase") struct BuildPhaseTests {
    /// The whole table: what is legal, and where it leads.
    ///
    /// Everything else ends the conversation.
    static let legal: [BuildPhase: [String: BuildPhase]] = [
        .unknown: ["prepare": .prepared, "adopt": .taking, "status": .unknown],
        .prepared: ["start": .running, "status": .prepared, "discard": .discarding],
        .running: ["kill": .ending, "status": .running],
        .ending: ["kill": .ending, "status": .ending],
        .ended: [
            "kill": .ended, "status": .ended, "takeOutputs": .taking, "keep": .keeping,
            "discard": .discarding,
        ],
        .taking: ["status": .taking],
        .taken: [
            "publish": .taken, "status": .taken, "keep": .keeping, "discard": .discarding,
        ],
        .discarding: ["status": .discarding],
        .failed: [
            "kill": .failed, "status": .failed, "keep": .keeping, "discard": .discarding,
        ],
        .keeping: ["status": .keeping],
    ]

    static func verbs() throws -> [String: LauncherRequest] {
        let build = ConversationTests.build
        return [
            "prepare": .prepare(
                build, Generation(bytes: [UInt8](0..<32)), ProfileNumber(rawValue: 0)),
            "start": .start(build), "kill": .kill(build), "status": .status(build),
            "takeOutputs": .takeOutputs(build),
            "adopt": .adopt(build, as: try LaunchCodingTests.name("x")),
            "publish": .publish(build, output: 0), "keep": .keep(build), "discard": .discard(build),
        ]
    }

    @Test("every cell of phase and verb is what the table says", arguments: BuildPhase.allCases)
    func table(phase: BuildPhase) throws {
        for (verb, request) in try Self.verbs() {
            if let next = Self.legal[phase]?[verb] {
                #expect(try phase.accepting(request) == next)
            } else {
                #expect(throws: OutOfOrder(phase: phase)) { try phase.accepting(request) }
            }
        }
    }

    @Test("no way leads from a running builder to its outputs but through proof and verification")
    func order() throws {
        // All phases that can be reached from `running` without the finding that it is proved empty.
        var reached: Set<BuildPhase> = [.running]
        var next: [BuildPhase] = [.running]
        let verbs = try Self.verbs().values
        while let phase = next.popLast() {
            for verb in verbs {
                guard let after = try? phase.accepting(verb), reached.insert(after).inserted else {
                    continue
                }
                next.append(after)
            }
            if phase == .running || phase == .ending {
                if reached.insert(phase.after(.builderOver)).inserted { next.append(.ending) }
            }
        }
        #expect(reached == [.running, .ending])
    }

    @Test("findings lead on")
    func findings() {
        #expect(BuildPhase.running.after(.builderOver) == .ending)
        #expect(BuildPhase.ending.after(.provedEmpty) == .ended)
        #expect(BuildPhase.taking.after(.objectsTaken) == .taken)
        #expect(BuildPhase.taking.after(.stepFailed) == .failed)
        #expect(BuildPhase.discarding.after(.gone) == .unknown)
    }
}
