import Foundation
import LaunchModel
import Synchronization
import SystemCalls

/// Speaks the launcher's side of the real conversation, and acts builders out.
///
/// No process is started: what a builder does is a word in its arguments. Phases are kept by the rules that
/// the launcher keeps, and a request that is out of order ends the conversation.
final class FakeLauncher: @unchecked Sendable {
    /// What the arguments of a builder can say.
    enum Script: String {
        /// Writes `contents` to every output, after what `say` says was written to the log.
        case succeed
        /// Ends with status 1, after what `say` says.
        case fail
        /// Runs until it is killed.
        case hang
        /// Writes to the log until it is killed.
        case flood
        /// Makes no outputs and is content.
        case nothing
    }

    private struct Build {
        var phase = BuildPhase.unknown
        var request: LaunchRequest?
        var log: FileHandle?
        var hasUser = false
        /// Where the objects lie, in order.
        var taken: [String] = []
    }

    private let socket: PacketSocket
    private let layoutRoot: String
    private let users: Int
    private var builds: [BuildID: Build] = [:]
    private var locks: [StoreObjectName: CInt] = [:]
    private let counters = Mutex(Counters())

    /// What the launcher was asked to do.
    struct Counters {
        var started: [String] = []
        var kills = 0
        var discards = 0
        var trashed: [StoreObjectName] = []
        var mostAtOnce = 0
        var outOfOrder = 0
        var requests: [LaunchRequest] = []
        /// What builds were prepared by: a generation's first byte, and a profile's number.
        var prepared: [[UInt16]] = []
    }

    /// The first byte of the generation that the launcher has.
    private let generation = Mutex<UInt8>(7)
    /// What the engine is handed, once, when it prepares its next build; nothing hands nothing.
    private let handed = Mutex<[UInt8]?>(nil)

    /// Has another generation from now on, which the engine hears of when it prepares something, if at all.
    func reload(_ first: UInt8, handing bytes: [UInt8]?) {
        handed.withLock { $0 = bytes }
        generation.withLock { $0 = first }
    }

    init(_ socket: PacketSocket, root: String, users: Int = 64) {
        self.socket = socket
        layoutRoot = root
        self.users = users
    }

    var seen: Counters { counters.withLock { $0 } }

    private let denied = Mutex(DeniedCalls())

    /// Has all builds from now on denied these calls.
    func deny(_ calls: DeniedCalls) { denied.withLock { $0 = calls } }

    private var store: String { layoutRoot + "/nix/store" }
    private var staging: String { layoutRoot + "/nix/var/kiln/staging" }

    /// Answers on a thread of its own until the engine is gone or told to stop.
    func start() {
        Thread.detachNewThread { [self] in
            try? socket.send(LauncherEvent.ready.encoded)
            while let packet = try? socket.receive(limit: LauncherRequest.packetLimit),
                !packet.bytes.isEmpty,
                let request = try? LauncherRequest(decoding: packet.bytes)
            {
                guard answer(request, packet.descriptors) else { break }
            }
            socket.shutDown()
            for number in locks.values { close(number) }
        }
    }

    /// Ends the conversation at once, as a crash does.
    func quarantine(_ user: UserID, _ processes: [UInt32]) {
        say(.quarantined(user, processes: processes))
    }

    func crash() { socket.shutDown() }

    private func say(_ event: LauncherEvent, _ descriptors: [CInt] = []) {
        try? socket.send(event.encoded, descriptors: descriptors)
    }

    private func answer(_ request: LauncherRequest, _ descriptors: [SharedDescriptor]) -> Bool {
        switch request {
        case .trash(let name):
            counters.withLock { $0.trashed.append(name) }
            try? FileManager.default.removeItem(atPath: store + "/" + text(name))
            say(.trashed(name))
            return true
        case .lock(let name, let operation):
            lock(name, operation)
            return true
        case .prepare(let id, _, _), .start(let id), .kill(let id), .status(let id),
            .takeOutputs(let id), .adopt(let id, _), .publish(let id, _), .keep(let id),
            .discard(let id):
            var build = builds[id] ?? Build()
            guard let phase = try? build.phase.accepting(request) else {
                counters.withLock { $0.outOfOrder += 1 }
                say(.refused(id, Refusal(.outOfOrder)))
                return false
            }
            build.phase = phase
            perform(request, id, &build, descriptors)
            builds[id] = build.phase == .unknown ? nil : build
            return true
        }
    }

    private func perform(
        _ request: LauncherRequest, _ id: BuildID, _ build: inout Build,
        _ descriptors: [SharedDescriptor]
    ) {
        switch request {
        case .prepare(_, let named, let profile):
            counters.withLock {
                $0.prepared.append([UInt16(named.bytes[0]), profile.rawValue])
            }
            let current = generation.withLock { $0 }
            guard named.bytes[0] == current else {
                let bytes = handed.withLock { $0.take() }
                if let bytes, let memory = try? sealedMemory(named: "test", holding: bytes) {
                    memory.withNumber {
                        say(
                            .reloaded(Generation(bytes: [UInt8](repeating: current, count: 32))),
                            [$0])
                    }
                }
                build.phase = build.phase.after(.stepFailed)
                say(.refused(id, Refusal(.staleGeneration)))
                return
            }
            guard builds.values.count(where: \.hasUser) < users else {
                build.phase = .unknown
                say(.noUser(id))
                return
            }
            guard let bytes = descriptors.first?.withNumber(Self.contents),
                let decoded = try? LaunchRequest(decoding: bytes)
            else {
                build.phase = build.phase.after(.stepFailed)
                say(.refused(id, Refusal(.malformedRequest)))
                return
            }
            build.request = decoded
            build.hasUser = true
            counters.withLock { counters in
                counters.requests.append(decoded)
                counters.mostAtOnce = max(
                    counters.mostAtOnce, 1 + builds.values.count(where: \.hasUser))
            }
            say(.prepared(id, UserID(rawValue: 30_000)))
        case .start: run(id, &build)
        case .kill:
            counters.withLock { $0.kills += 1 }
            if build.phase == .ending { end(id, &build, .killed) }
        case .status: say(.phase(id, build.phase))
        case .keep:
            build.phase = build.phase.after(.copiedAside)
            say(.kept(id, name: [UInt8]("kept-\(id.rawValue)".utf8)))
        case .takeOutputs: takeOutputs(id, &build)
        case .adopt(_, let name): adopt(id, name, &build)
        case .publish(_, let output):
            let name = build.request.map { text($0.outputs[Int(output)]) } ?? ""
            let result = rename(build.taken[Int(output)], store + "/" + name)
            if result == 0 {
                say(.published(id, output: output))
            } else {
                build.phase = .failed
                say(.refused(id, Refusal(.systemCall, errno: errno)))
            }
        case .discard:
            counters.withLock { $0.discards += 1 }
            build.phase = build.phase.after(.gone)
            build.hasUser = false
            say(.discarded(id))
        case .trash, .lock: break
        }
    }

    // MARK: Builders

    private func run(_ id: BuildID, _ build: inout Build) {
        var numbers: [CInt] = [-1, -1]
        guard pipe(&numbers) == 0, let request = build.request else { return }
        let log = FileHandle(fileDescriptor: numbers[1], closeOnDealloc: true)
        say(.started(id), [numbers[0]])
        close(numbers[0])
        let arguments = request.arguments.map { String(decoding: $0, as: UTF8.self) }
        counters.withLock { $0.started.append(variable("name", request)) }
        let said = variable("say", request)
        if !said.isEmpty { log.write(Data(said.utf8)) }
        switch Script(rawValue: arguments.dropFirst().first ?? "") {
        case .hang: build.log = log
        case .flood:
            build.log = log
            // More than one read takes, so that something comes after the limit.
            let piece = Data(repeating: UInt8(ascii: "x"), count: 80_000)
            log.write(piece)
        case .fail: end(id, &build, .exited(1))
        case .succeed:
            makeOutputs(id, request)
            end(id, &build, .exited(0))
        case .nothing, nil: end(id, &build, .exited(0))
        }
    }

    private func makeOutputs(_ id: BuildID, _ request: LaunchRequest) {
        try? FileManager.default.createDirectory(
            atPath: staging, withIntermediateDirectories: true)
        for (index, output) in request.outputs.enumerated() {
            let contents = variable("contents", request).replacingOccurrences(
                of: "SELF", with: "/nix/store/" + text(output))
            let place = "\(staging)/\(id.rawValue)-\(index)"
            _ = FileManager.default.createFile(
                atPath: place, contents: Data(contents.utf8), attributes: [.posixPermissions: 0o444]
            )
        }
    }

    private func end(_ id: BuildID, _ build: inout Build, _ how: BuildEnd.Builder) {
        build.log = nil
        if build.phase == .running { build.phase = build.phase.after(.builderOver) }
        build.phase = build.phase.after(.provedEmpty)
        var end = BuildEnd(builder: how, userTime: 10, systemTime: 20)
        end.denied = denied.withLock { $0 }
        say(.ended(id, end))
    }

    private func takeOutputs(_ id: BuildID, _ build: inout Build) {
        guard let request = build.request else { return }
        build.taken = request.outputs.indices.map { "\(staging)/\(id.rawValue)-\($0)" }
        let numbers = build.taken.map { open($0, O_RDONLY | O_NOFOLLOW) }
        if numbers.contains(-1) {
            build.phase = build.phase.after(.stepFailed)
            say(.refused(id, Refusal(.outputMissing, errno: ENOENT)))
        } else {
            build.phase = build.phase.after(.objectsTaken)
            say(.taken(id, numbers.map { _ in .regular }), numbers)
        }
        for number in numbers where number >= 0 { close(number) }
    }

    private func adopt(_ id: BuildID, _ name: StoreObjectName, _ build: inout Build) {
        try? FileManager.default.createDirectory(
            atPath: staging, withIntermediateDirectories: true)
        let place = "\(staging)/\(id.rawValue)"
        // Moving a directory to another one changes the entry of its parent, which takes write permission.
        _ = chmod("\(layoutRoot)/nix/var/kiln/incoming/\(id.rawValue)", 0o755)
        guard rename("\(layoutRoot)/nix/var/kiln/incoming/\(id.rawValue)", place) == 0 else {
            build.phase = build.phase.after(.stepFailed)
            say(.refused(id, Refusal(.adoption, errno: errno)))
            return
        }
        build.taken = [place]
        build.request = LaunchRequest(
            inputs: [], outputs: [name], builder: [], arguments: [], environment: [], files: [],
            buildDirectory: [], personality: .native, keepsFailed: false)
        build.phase = build.phase.after(.objectsTaken)
        let number = open(place, O_RDONLY | O_NOFOLLOW)
        say(.taken(id, [.regular]), [number >= 0 ? number : 0])
        if number >= 0 { close(number) }
    }

    // MARK: Names

    private func lock(_ name: StoreObjectName, _ operation: LockOperation) {
        let place = store + "/" + text(name) + ".lock"
        switch operation {
        case .acquire:
            let number = open(place, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard number >= 0, flock(number, LOCK_EX | LOCK_NB) == 0 else {
                if number >= 0 { close(number) }
                say(.lockBusy(name))
                return
            }
            locks[name] = number
            say(.locked(name), [number])
        case .release:
            unlink(place)
            if let number = locks.removeValue(forKey: name) { close(number) }
            say(.unlocked(name))
        }
    }

    private func text(_ name: StoreObjectName) -> String {
        String(decoding: name.bytes, as: UTF8.self)
    }

    private func variable(_ name: String, _ request: LaunchRequest) -> String {
        let start = [UInt8]("\(name)=".utf8)
        let value = request.environment.first { $0.starts(with: start) }?.dropFirst(start.count)
        return String(decoding: value ?? [], as: UTF8.self)
    }

    private static func contents(of number: CInt) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(number, &bytes, bytes.count, 0)
        return [UInt8](bytes.prefix(max(count, 0)))
    }
}
