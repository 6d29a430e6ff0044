import BuildEngine
import DerivationFormat
import Foundation
import Goals
import LaunchModel
import LocalStore
import StoreModel
import Synchronization
import SystemCalls
import Testing

@Suite("Builds, from a request to registered outputs")
struct EngineBuildTests {
    @Test("a derivation is built, scanned, published and registered")
    func builds() throws {
        let store = try TestStore()
        let source = try store.engine.addFile(
            name: "source", contents: [UInt8]("text".utf8), references: [])
        let derivation = try TestStore.derivation(
            "one", contents: "see \(StoreDirectory.standard.path(of: source.path)) and SELF",
            sources: [source.path])
        let path = try store.add(derivation)
        let outcome = try #require(try store.build([path]).first)
        #expect(outcome.result.status == .built, "\(outcome.result.message)")
        let output = try #require(outcome.result.outputs[.out])
        let info = try #require(try store.engine.store.pathInfo(output))
        #expect(info.references == [source.path, output])
        #expect(info.deriver == path)
        #expect(info.isUltimate)
        #expect(store.contents(of: output)?.hasPrefix("see /nix/store/") == true)
        #expect(outcome.result.userTime == 10)
        let again = try #require(try store.build([path]).first)
        #expect(again.result.status == .alreadyValid)
        store.close()
        #expect(store.launcher.seen.started == ["one"])
        #expect(store.launcher.seen.outOfOrder == 0)
    }

    @Test("a user that is lent no more is told of, and builds go on")
    func quarantined() throws {
        let store = try TestStore()
        store.launcher.quarantine(UserID(rawValue: 30_001), [7, 8])
        let path = try store.add(try TestStore.derivation("one"))
        #expect(try store.build([path]).first?.result.status == .built)
        let told = store.quarantined.users.withLock { $0 }
        #expect(told.map(\.user) == [UserID(rawValue: 30_001)])
        #expect(
            told.first?.description
                == "build user 30001 is lent no more: processes of it cannot be killed (7, 8)")
    }

    @Test(
        "inputs are built first, and the builder sees the closure of those outputs that are named")
    func chain() throws {
        let store = try TestStore()
        let below = try TestStore.derivation("below", outputs: ["out", "doc"])
        let belowPath = try store.add(below)
        let above = try TestStore.derivation(
            "above", inputs: [belowPath: [.out]], known: [belowPath: below])
        let abovePath = try store.add(above)
        let outcomes = try store.build([abovePath])
        #expect(outcomes.map(\.result.status) == [.built])
        #expect(store.launcher.seen.started == ["below", "above"])
        let request = try #require(store.launcher.seen.requests.last)
        #expect(request.inputs == [below.outputs[.out]?.path?.name])
    }

    @Test("a failing builder's last lines are in the message, and all of them in the log file")
    func failure() throws {
        let store = try TestStore()
        let lines = (1...20).map { "line \($0)" }.joined(separator: "\n")
        let path = try store.add(try TestStore.derivation("bad", script: "fail", say: lines))
        let result = try #require(try store.build([path]).first).result
        #expect(result.status == .permanentFailure)
        #expect(result.message.contains("builder for '\(path)' failed with exit code 1"))
        #expect(result.message.contains("> line 20\n"))
        #expect(!result.message.contains("> line 10\n"))
        #expect(result.message.contains("kiln log \(path)"))
        let name = path.baseName
        let file = "\(store.root)/nix/var/log/nix/drvs/\(name.prefix(2))/\(name.dropFirst(2)).bz2"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bzcat")
        process.arguments = [file]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let text = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(String(decoding: text, as: UTF8.self) == lines)
        let output = try outputPath(path, store)
        #expect(try !store.engine.store.isValid(output))
    }

    @Test("the log file of a builder that says nothing is what bzip2 makes of nothing")
    func silence() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("silent"))
        #expect(try store.build([path]).first?.result.status == .built)
        let name = path.baseName
        let file = "\(store.root)/nix/var/log/nix/drvs/\(name.prefix(2))/\(name.dropFirst(2)).bz2"
        let check = try Process.run(URL(fileURLWithPath: "/bin/bzip2"), arguments: ["-t", file])
        check.waitUntilExit()
        #expect(check.terminationStatus == 0)
    }

    private func outputPath(_ path: StorePath, _ store: TestStore) throws -> StorePath {
        try #require(try store.engine.store.derivationOutputs(of: path)[.out])
    }

    @Test("keep-going builds what does not need the failure, and stopping does not wait for it")
    func keepGoing() throws {
        let store = try TestStore(slots: 1)
        let bad = try store.add(try TestStore.derivation("bad", script: "fail"))
        let good = try store.add(try TestStore.derivation("good"))
        let outcomes = try store.build([bad, good], options: RequestOptions(keepsGoing: true))
        #expect(outcomes.map(\.result.status) == [.permanentFailure, .built])
    }

    @Test("a promised content is kept, and another content is rejected with both hashes")
    func fixedOutput() throws {
        let store = try TestStore()
        let good = try store.add(
            try TestStore.fixedOutput("good", promised: "same", contents: "same"))
        let bad = try store.add(
            try TestStore.fixedOutput("bad", promised: "this", contents: "that"))
        let kept = try #require(try store.build([good]).first).result
        #expect(kept.status == .built, "\(kept.message)")
        let rejected = try #require(try store.build([bad]).first).result
        #expect(rejected.status == .outputRejected)
        #expect(rejected.message.contains("hash mismatch"))
        let output = try #require(kept.outputs[.out])
        #expect(try store.engine.store.pathInfo(output)?.contentAddress?.method == .flat)
    }

    @Test("an output that the builder did not make is rejected")
    func missingOutput() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("empty", script: "nothing"))
        let result = try #require(try store.build([path]).first).result
        #expect(result.status == .outputRejected)
        #expect(result.message.contains("did not make an output"))
    }

    @Test("a request that is withdrawn has its builds killed, and the launcher keeps nothing")
    func cancellation() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("long", script: "hang"))
        let request = try store.engine.request(
            [.built(path, outputs: nil)], for: ClientID(rawValue: 1))
        try waitForStart(of: request)
        request.cancel()
        // Before the end of the engine, which kills too.
        store.waitUntil { $0.kills == 1 }
        store.close()
        // The upload of the derivation is one more.
        #expect(store.launcher.seen.discards == 2)
        #expect(store.launcher.seen.outOfOrder == 0)
    }

    @Test("shutting down kills what runs and ends every request")
    func shutDown() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("long", script: "hang"))
        let request = try store.engine.request(
            [.built(path, outputs: nil)], for: ClientID(rawValue: 1))
        try waitForStart(of: request)
        store.close()
        #expect(try request.wait().isEmpty)
        #expect(store.launcher.seen.kills == 1)
    }

    private func waitForStart(of request: BuildRequest) throws {
        while true {
            _ = try request.withDescriptor { number throws(SystemError) in
                try poll([(number, .readable)], milliseconds: nil)
            }
            for case .started in request.news() { return }
        }
    }

    @Test(
        "a builder that is silent for too long, slow, or talks too much is killed, and it is said why"
    )
    func limits() throws {
        let number = ProfileNumber(rawValue: 0)
        let cases: [(EngineProfile, String, BuildResult.Status, String)] = [
            (EngineProfile(number: number, silence: 1), "hang", .timedOut, "silent for 1 seconds"),
            (
                EngineProfile(number: number, wallTime: 1), "hang", .timedOut,
                "longer than 1 seconds"
            ),
            (
                EngineProfile(number: number, logSize: 1000), "flood", .logLimitExceeded,
                "more than 1000 bytes"
            ),
        ]
        for (profile, script, status, text) in cases {
            let store = try TestStore(profile: profile)
            let path = try store.add(try TestStore.derivation("x", script: script))
            let result = try #require(try store.build([path]).first).result
            #expect(result.status == status)
            #expect(result.message.contains(text), "\(result.message)")
            #expect(store.launcher.seen.kills == 1)
        }
    }

    @Test("builds wait for a build user and get one in turn")
    func users() throws {
        let store = try TestStore(slots: 8, users: 2)
        let paths = try (0..<20).map { try store.add(try TestStore.derivation("n\($0)")) }
        let outcomes = try store.build(paths)
        #expect(outcomes.allSatisfy { $0.result.status == .built })
        #expect(store.launcher.seen.mostAtOnce <= 2)
    }

    @Test("no more builds run than there are slots")
    func slots() throws {
        let store = try TestStore(slots: 3)
        let paths = try (0..<200).map { try store.add(try TestStore.derivation("n\($0)")) }
        let outcomes = try store.build(paths)
        #expect(outcomes.count == 200)
        #expect(outcomes.allSatisfy { $0.result.status == .built })
        #expect(store.launcher.seen.outOfOrder == 0)
    }

    @Test("what lies at an output's place and is not valid is removed first")
    func garbage() throws {
        let store = try TestStore()
        let derivation = try TestStore.derivation("g")
        let path = try store.add(derivation)
        let output = try #require(derivation.outputs[.out]?.path)
        _ = FileManager.default.createFile(
            atPath: store.engine.store.object(at: output), contents: Data("old".utf8))
        #expect(try store.build([path]).first?.result.status == .built)
        #expect(store.launcher.seen.trashed == [output.name])
        #expect(store.contents(of: output) == "made")
    }

    @Test("valid outputs are never touched when the others are built")
    func someOutputs() throws {
        let store = try TestStore()
        let derivation = try TestStore.derivation("two", outputs: ["out", "doc"])
        let path = try store.add(derivation)
        #expect(try store.build([path]).first?.result.status == .built)
        let out = try #require(derivation.outputs[.out]?.path)
        let doc = try #require(
            OutputName([UInt8]("doc".utf8)).flatMap { derivation.outputs[$0]?.path })
        try store.engine.store.invalidate([doc])
        let place = store.engine.store.object(at: out)
        let before = try FileManager.default.attributesOfItem(atPath: place)[.systemFileNumber]
        #expect(try store.build([path]).first?.result.status == .built)
        let after = try FileManager.default.attributesOfItem(atPath: place)[.systemFileNumber]
        #expect(before as? Int == after as? Int)
        #expect(store.launcher.seen.trashed == [doc.name])
        #expect(try store.engine.store.isValid(doc))
    }

    @Test("a lock that somebody else holds is waited for")
    func lock() throws {
        let store = try TestStore()
        let derivation = try TestStore.derivation("locked")
        let path = try store.add(derivation)
        let output = try #require(derivation.outputs[.out]?.path)
        let file = store.engine.store.object(at: output) + ".lock"
        let number = open(file, O_RDWR | O_CREAT, 0o600)
        #expect(flock(number, LOCK_EX) == 0)
        let request = try store.engine.request(
            [.built(path, outputs: nil)], for: ClientID(rawValue: 1))
        usleep(50_000)
        #expect(store.launcher.seen.started.isEmpty)
        close(number)
        #expect(try request.wait().first?.result.status == .built)
    }

    @Test("a launcher that dies fails everything that waits for it, and says so")
    func launcherGone() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("long", script: "hang"))
        let other = try store.add(try TestStore.derivation("other"))
        let request = try store.engine.request(
            [.built(path, outputs: nil)], for: ClientID(rawValue: 1))
        try waitForStart(of: request)
        store.launcher.crash()
        let result = try #require(try request.wait().first).result
        #expect(result.status == .miscellaneousFailure)
        #expect(result.message.contains("the launcher is gone"))
        let later = try #require(try store.build([other]).first).result
        #expect(later.message.contains("the launcher is gone"))
        #expect(throws: EngineError.self) { try store.add(try TestStore.derivation("third")) }
    }

    @Test("a profile that is not installed is refused, and the others are named")
    func profile() throws {
        let store = try TestStore()
        let path = try store.add(try TestStore.derivation("p"))
        #expect {
            try store.build([path], options: RequestOptions(profile: "nonsense"))
        } throws: { error in
            "\(error)".contains("default") && "\(error)".contains("nonsense")
        }
    }

    @Test("what would be built is found without building")
    func missing() throws {
        let store = try TestStore()
        let below = try TestStore.derivation("below")
        let belowPath = try store.add(below)
        let above = try TestStore.derivation(
            "above", inputs: [belowPath: [.out]], known: [belowPath: below])
        let abovePath = try store.add(above)
        let absent = try StorePath(
            baseName: [UInt8]((String(repeating: "0", count: 32) + "-x").utf8))
        let missing = try store.engine.missing([
            .built(abovePath, outputs: nil), .opaque(absent),
        ])
        #expect(missing.willBuild == [abovePath, belowPath])
        #expect(missing.unknown == [absent])
        #expect(store.launcher.seen.started.isEmpty)
    }
}
