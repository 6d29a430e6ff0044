import BuildEngine
import DerivationFormat
import Foundation
import Goals
import Hashing
import LaunchModel
import LocalStore
import SandboxPlanning
import StoreModel
import Synchronization
import SystemCalls
import Testing

/// What an engine told of build users.
final class Alarms: Sendable {
    let users = Mutex<[QuarantinedUser]>([])
}

/// An engine on an empty store in a directory of its own, with a launcher that acts builders out.
final class TestStore {
    let root: String
    let engine: Engine
    let launcher: FakeLauncher
    /// Of whom the engine gave the alarm.
    let quarantined = Alarms()
    private var isOpen = true
    /// The store whose directory this one shares; it removes it.
    private let shared: TestStore?

    init(
        slots: Int = 4, users: Int = 64, profile: EngineProfile? = nil,
        sharing other: TestStore? = nil,
        at place: String? = nil
    ) throws {
        shared = other
        root =
            other?.root ?? place
            ?? NSTemporaryDirectory() + "kiln-engine-\(UUID().uuidString)"
        for directory in ["nix/store", "nix/var/kiln/incoming", "nix/var/log/nix"] {
            try FileManager.default.createDirectory(
                atPath: root + "/" + directory, withIntermediateDirectories: true)
        }
        let numbers = try Self.socketPair()
        launcher = FakeLauncher(
            PacketSocket(OwnedDescriptor(takingOwnershipOf: numbers.1)), root: root, users: users)
        launcher.start()
        let profile =
            profile ?? EngineProfile(number: ProfileNumber(rawValue: 0), isOfferedToAll: true)
        let secret = EngineProfile(number: ProfileNumber(rawValue: 2))
        let quarantined = self.quarantined
        engine = try Engine(
            EngineConfiguration(
                layout: StoreLayout(root: root),
                settings: BuildSettings(system: "x86_64-linux"), slots: slots,
                profiles: EngineProfiles(
                    byName: ["default": profile, "fixed-output": profile, "relaxed": secret]),
                generation: Generation(bytes: [UInt8](repeating: 7, count: 32)),
                readProfiles: { (bytes) throws(PoliciesUnreadable) in
                    guard let number = bytes.first else { throw PoliciesUnreadable("are empty") }
                    let profile = EngineProfile(number: ProfileNumber(rawValue: UInt16(number)))
                    return EngineProfiles(
                        byName: number == 0 ? ["other": profile] : ["default": profile])
                },
                whenQuarantined: { user in quarantined.users.withLock { $0.append(user) } }),
            launcher: OwnedDescriptor(takingOwnershipOf: numbers.0))
    }

    deinit {
        close()
        if shared == nil { try? FileManager.default.removeItem(atPath: root) }
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        engine.shutDown()
    }

    private static func socketPair() throws -> (CInt, CInt) {
        var numbers: [CInt] = [-1, -1]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try check("socketpair") { socketpair(AF_UNIX, kind, 0, &numbers) }
        return (numbers[0], numbers[1])
    }

    /// A derivation whose outputs follow from it.
    static func derivation(
        _ name: String, script: String = "succeed", contents: String = "made",
        say: String = "", inputs: [StorePath: Set<OutputName>] = [:],
        sources: Set<StorePath> = [], outputs: [String] = ["out"],
        extra: [String: String] = [:], known: [StorePath: Derivation] = [:]
    ) throws -> Derivation {
        var environment: [ByteString: ByteString] = [
            "name": ByteString(name), "contents": ByteString(contents), "say": ByteString(say),
        ]
        for (key, value) in extra { environment[ByteString(key)] = ByteString(value) }
        var draft = Derivation(
            name: name, outputs: [:], inputDerivations: inputs.mapValues { DerivationInput($0) },
            inputSources: sources, system: "x86_64-linux", builder: "/fake",
            arguments: [ByteString(script)], environment: environment)
        for output in outputs {
            guard let output = OutputName([UInt8](output.utf8)) else { continue }
            draft.outputs[output] = .deferred
            draft.environment[ByteString(output.bytes)] = ""
        }
        var hasher = DerivationHasher(.standard)
        let paths = try hasher.outputPaths(of: draft) { known[$0] }
        for (output, path) in paths {
            draft.outputs[output] = .inputAddressed(path)
            draft.environment[ByteString(output.bytes)] = StoreDirectory.standard.path(of: path)
        }
        return draft
    }

    /// A derivation whose content is promised by the hash of one file.
    static func fixedOutput(
        _ name: String, promised: String, contents: String
    ) throws -> Derivation {
        let address = ContentAddress(method: .flat, digest: .of(.sha256, promised))
        let path = try StorePathMaker(.standard).path(name: name, address: address)
        return Derivation(
            name: name, outputs: [.out: .fixed(path, address)], inputDerivations: [:],
            inputSources: [], system: "x86_64-linux", builder: "/fake", arguments: ["succeed"],
            environment: [
                "name": ByteString(name), "contents": ByteString(contents),
                "out": StoreDirectory.standard.path(of: path),
            ])
    }

    /// Adds a derivation as clients do.
    @discardableResult
    func add(_ derivation: Derivation) throws -> StorePath {
        try engine.addFile(
            name: derivation.name + ".drv", contents: aterm(of: derivation, in: .standard),
            references: derivation.inputSources.union(derivation.inputDerivations.keys)
        ).path
    }

    /// Asks for all outputs and waits.
    func build(
        _ paths: [StorePath], options: RequestOptions = RequestOptions()
    ) throws -> [Outcome] {
        try engine.request(
            paths.map { .built($0, outputs: nil) }, for: ClientID(rawValue: 1), options: options
        ).wait()
    }

    /// Waits until the launcher has seen something; a test fails when that never happens.
    func waitUntil(_ condition: (FakeLauncher.Counters) -> Bool) {
        let end = ContinuousClock.now + .seconds(30)
        while !condition(launcher.seen) {
            guard ContinuousClock.now < end else {
                Issue.record("the launcher never saw that: \(launcher.seen)")
                return
            }
            usleep(10_000)
        }
    }

    func contents(of path: StorePath) -> String? {
        FileManager.default.contents(atPath: engine.store.object(at: path))
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
