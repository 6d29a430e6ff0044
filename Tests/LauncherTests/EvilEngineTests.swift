import CLinux
import Foundation
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("An evil engine", .serialized) struct EvilEngineTests {
        @Test(
            "whatever is asked in whatever order, the launcher lives or ends, and nothing else changes",
            arguments: [UInt64(1), 2, 3])
        func sequences(seed: UInt64) throws {
            let evil = try EvilEngine(seed: seed)
            for _ in 0..<Self.count { try evil.performSequence() }
            try evil.leave()
            #expect(evil.published > 0 && evil.ended > 0 && evil.violations > 0)
            #expect(evil.appeared > 0 && evil.vanished > 0)
        }

        /// How many sequences each seed gives; `make evil` asks for more than there is time for here.
        private static let count =
            ProcessInfo.processInfo.environment["KILN_EVIL_SEQUENCES"].flatMap(Int.init) ?? 800
    }
}

/// Numbers that are the same for the same seed: SplitMix64.
private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// An engine that asks for anything, and looks after each sequence whether something gave way.
private final class EvilEngine {
    private static let user: uid_t = 61_237
    /// Nobody's build: its phase is asked for to see that the launcher answers.
    private static let probe = BuildID(rawValue: 999)

    private var numbers: Numbers
    private let root: String
    private let names: [StoreObjectName]
    private var launcher: TestLauncher
    private var canaries: [String: String] = [:]
    private var objects: [String: String] = [:]
    /// Holds every object that was seen, so that no other file gets its inode.
    private var held: [String: CInt] = [:]
    private(set) var published = 0
    private(set) var ended = 0
    private(set) var violations = 0
    /// Names that were to be trashed since the last look.
    private var toVanish: Set<String> = []
    /// Whether something was to be published since the last look.
    private var mayAppear = false
    private(set) var appeared = 0
    private(set) var vanished = 0

    init(seed: UInt64) throws {
        numbers = Numbers(state: seed)
        root = try TestLauncher.makeRoot(.root)
        names = try ["a", "b", "a.lock", "c"].map { try name($0) }
        launcher = try Self.start(root)
        try TestLauncher.run(
            "/bin/sh",
            [
                "-ec",
                """
                cd \(root); chown \(Self.user):\(Self.user) nix/var/kiln/incoming
                mkdir canary; echo canary > canary/file; chmod 640 canary/file; ln -s file canary/link
                cd nix/store; : > \(String(repeating: "0", count: 32))-a.lock
                mkdir \(String(repeating: "0", count: 32))-b; echo in > \(String(repeating: "0", count: 32))-b/f
                chmod 444 *.lock */f; chmod 555 *-b
                """,
            ])
        canaries = try snapshot(root + "/canary")
        mayAppear = true
        try lookAtStore()
    }

    private static func start(_ root: String) throws -> TestLauncher {
        let launcher = try TestLauncher(root: root, slots: 2) {
            $0.engineUser = UserID(rawValue: Self.user)
            $0.engineGroup = GroupID(rawValue: Self.user)
        }
        return try launcher.ready()
    }

    func performSequence() throws {
        do {
            for step in try plan() { try step() }
            try readEvents()
            if chance(4) { try putAway() }
        } catch is Over {
            violations += 1
            try replaceLauncher()
        }
        launcher.closeDescriptors()
        try look()
    }

    /// Hangs up, and looks for what is left.
    func leave() throws {
        launcher.hangUp()
        try checkEnd()
        try look()
        // A killer of a launcher that ended may need a moment to see that.
        #expect(
            try LauncherTests.HostileEngineTests.comes {
                try LauncherTests.LifeTests.survivors() == 0
            })
        for name in ["work", "staging", "trash"] {
            #expect(try LauncherTests.LifeTests.entries(root + "/nix/var/kiln/" + name) == [])
        }
        for file in held.values { close(file) }
    }

    // MARK: The conversation

    /// The launcher has ended the conversation.
    private struct Over: Error {}

    private func send(_ request: LauncherRequest, _ descriptors: [CInt] = []) throws {
        try send(request.encoded, descriptors)
    }

    private func send(_ packet: [UInt8], _ descriptors: [CInt] = []) throws {
        note(packet)
        do {
            try launcher.send(packet, descriptors)
        } catch {
            throw Over()
        }
    }

    /// Remembers what a packet may do to names of the store, whatever it was meant to be.
    private func note(_ packet: [UInt8]) {
        guard let request = try? LauncherRequest(decoding: packet) else { return }
        switch request {
        case .trash(let name): toVanish.insert(String(decoding: name.bytes, as: UTF8.self))
        case .publish: mayAppear = true
        default: break
        }
    }

    /// Reads events until the launcher has answered everything that was asked.
    ///
    /// - Returns: The last phase that was told of each build.
    @discardableResult
    private func readEvents() throws -> [BuildID: BuildPhase] {
        var phases: [BuildID: BuildPhase] = [:]
        try send(.status(Self.probe))
        while phases[Self.probe] == nil {
            let (event, descriptors) = try receive()
            for descriptor in descriptors {
                // Whoever may write to what the launcher gives away could change what it is.
                #expect(write(descriptor, "evil", 4) == -1, "\(event)")
                #expect(ftruncate(descriptor, 3) == -1, "\(event)")
            }
            switch event {
            case .published: published += 1
            case .ended: ended += 1
            case .unable: throw Over()
            case .phase(let build, let phase): phases[build] = phase
            default: break
            }
        }
        return phases
    }

    /// The phase of a build now.
    private func phase(of build: BuildID) throws -> BuildPhase {
        try send(.status(build))
        return try readEvents()[build] ?? .unknown
    }

    private func receive() throws -> (LauncherEvent, [CInt]) {
        do {
            let (event, descriptors) = try launcher.receive()
            return (event, descriptors)
        } catch let failure as HarnessFailure where failure.description.contains("ended") {
            throw Over()
        }
    }

    /// Brings every build to its end, which must be possible from every phase.
    private func putAway() throws {
        for id in 1...3 {
            let build = BuildID(rawValue: UInt64(id))
            while true {
                let phase = try phase(of: build)
                if phase == .unknown { break }
                switch phase {
                case .prepared, .ended, .taken, .failed: try send(.discard(build))
                case .running: try send(.kill(build))
                case .ending, .taking, .keeping: usleep(1000)
                case .unknown, .discarding: break
                }
            }
        }
    }

    private func replaceLauncher() throws {
        launcher.hangUp()
        try checkEnd()
        // A killer of a launcher that ended may need a moment to see that.
        #expect(
            try LauncherTests.HostileEngineTests.comes {
                try LauncherTests.LifeTests.survivors() == 0
            })
        launcher = try Self.start(root)
    }

    /// A launcher that is left ends by itself, and not by a trap.
    private func checkEnd() throws {
        let status = launcher.wait()
        #expect(status & 0x7f == 0, "a signal ended the launcher: \(status & 0x7f)")
        #expect([0, 1].contains(status >> 8 & 0xff))
    }

    // MARK: What is asked

    private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &numbers) == 0 }

    private func pick<T>(_ list: [T]) -> T {
        list[Int.random(in: 0..<list.count, using: &numbers)]
    }

    /// A sensible life of a build, with some of it left out, done twice, in another order, or nonsense.
    private func plan() throws -> [() throws -> Void] {
        let id = BuildID(rawValue: UInt64.random(in: 1...3, using: &numbers))
        let name = pick(names)
        let build: [() throws -> Void] = [
            { try self.prepare(id) }, { try self.send(.start(id)) },
            { try self.chance(3) ? self.send(.kill(id)) : self.wait(for: id) },
            { try self.send(.takeOutputs(id)) }, { try self.wait(for: id) },
            { try self.send(.publish(id, output: 0)) }, { try self.send(.discard(id)) },
        ]
        let plans: [[() throws -> Void]] = [
            build, build, Array(build.prefix(Int.random(in: 1...6, using: &numbers))),
            [
                { try self.plant(id) }, { try self.send(.adopt(id, as: name)) },
                { try self.wait(for: id) }, { try self.send(.publish(id, output: 0)) },
                { try self.send(.discard(id)) },
            ],
            [{ try self.send(.lock(name, .acquire)) }, { try self.send(.lock(name, .release)) }],
            [{ try self.send(.trash(name)) }],
        ]
        var steps = pick(plans)
        if chance(2) { return steps }
        for _ in 0..<Int.random(in: 1...3, using: &numbers) {
            let place = Int.random(in: 0...steps.count, using: &numbers)
            switch Int.random(in: 0..<4, using: &numbers) {
            case 0 where place < steps.count: steps.remove(at: place)
            case 1 where place < steps.count: steps.insert(steps[place], at: place)
            case 2 where place < steps.count: steps.swapAt(place, 0)
            default: steps.insert({ try self.sendAnything() }, at: place)
            }
        }
        return steps
    }

    /// Waits until a build rests, if it is one, but not for one that nobody ends.
    private func wait(for build: BuildID) throws {
        for _ in 0..<2000 {
            switch try phase(of: build) {
            case .running, .ending, .taking, .keeping, .discarding: usleep(500)
            case .unknown, .prepared, .ended, .taken, .failed: return
            }
        }
        try send(.kill(build))
    }

    private func prepare(_ build: BuildID) throws {
        let memory = try TestLauncher.memory(try request(), isSealed: !chance(20))
        defer { close(memory) }
        let generation = UInt8(chance(20) ? 8 : 7)
        try send(
            .prepare(
                build, Generation(bytes: [UInt8](repeating: generation, count: 32)),
                ProfileNumber(rawValue: chance(20) ? 9 : 0)), [memory])
    }

    private func request() throws -> [UInt8] {
        let text = pick([
            "echo made > $out", "mkdir $out; echo x > $out/f", "exit 1", "mkfifo $out",
            "ln -s \(root)/canary/file $out", "ln $out /build/x; : > $out; ln $out /build/x",
            "chmod 777 /nix/store; mkdir $out; chmod 4755 $out", "(setsid sleep 1000 &); exit 0",
            "sleep 0.02", "kill -9 1; kill -STOP 1; kill -9 -1",
        ])
        var request = try script(
            text, inputs: chance(3) ? [names[1]] : [], outputs: [pick([names[0], names[3]])],
            keepsFailed: chance(2))
        if chance(20) {
            request.buildDirectory = bytes(pick(["/", "/nix/store", "/etc", "/proc"]))
        }
        var encoded = request.encoded
        if chance(8) {
            let place = Int.random(in: 0..<encoded.count, using: &numbers)
            encoded[place] = UInt8.random(in: 0...255, using: &numbers)
        }
        return encoded
    }

    /// Any verb, about any build, with descriptors that may not belong to it.
    private func sendAnything() throws {
        let id = BuildID(rawValue: UInt64.random(in: 1...3, using: &numbers))
        let name = pick(names)
        let requests: [LauncherRequest] = [
            .start(id), .kill(id), .status(id), .takeOutputs(id), .adopt(id, as: name),
            .publish(id, output: UInt16.random(in: 0...2, using: &numbers)), .trash(name),
            .keep(id),
            .discard(id), .lock(name, .acquire), .lock(name, .release), .kill(id), .status(id),
        ]
        var packet = pick(requests).encoded
        if chance(20) { packet.append(0) }
        if chance(20) { packet[0] = UInt8.random(in: 0...255, using: &numbers) }
        guard chance(10) else { return try send(packet) }
        let descriptors = try hostileDescriptors()
        defer { for descriptor in descriptors { close(descriptor) } }
        try send(packet, descriptors)
    }

    private func hostileDescriptors() throws -> [CInt] {
        var ends: [CInt] = [-1, -1]
        switch Int.random(in: 0..<5, using: &numbers) {
        case 0: return [open("/dev/null", O_RDWR)]
        case 1:
            guard pipe(&ends) == 0 else { throw HarnessFailure("pipe") }
            return ends
        case 2:
            guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
                throw HarnessFailure("socketpair")
            }
            return ends
        case 3: return [open(root, O_RDONLY | O_DIRECTORY), open(root, O_RDONLY | O_DIRECTORY)]
        default: return (0..<12).map { _ in open(root + "/canary/file", O_RDONLY) }
        }
    }

    /// Puts a tree where the launcher adopts from.
    private func plant(_ build: BuildID) throws {
        let place = "\(root)/nix/var/kiln/incoming/\(build.rawValue)"
        guard access(place, F_OK) == -1 else { return }
        let tree = pick([
            "mkdir t; echo data > t/f", "echo data > t", "ln -s \(root)/canary/file t",
            "mkdir t; ln -s \(root)/canary t/f", "mkdir t; ln \(root)/canary/file t/f; l=1",
            "mkdir t; mkfifo t/f", "echo x > t; chmod 6755 t", "mknod t c 1 3",
            "mkdir t; chmod 0 t", "ln \(root)/canary/file t; l=1",
        ])
        try TestLauncher.run(
            "/bin/sh",
            [
                "-ec",
                """
                cd \(root)/nix/var/kiln/incoming; rm -rf t; l=0; \(tree)
                [ $l = 1 ] || chown -h -R \(Self.user):\(Self.user) t; mv -T t \(build.rawValue)
                """,
            ])
    }

    // MARK: What must not change

    private func look() throws {
        let now = try snapshot(root + "/canary")
        #expect(now == canaries)
        try lookAtStore()
    }

    /// Names come by `publish` and go by `trash` alone; while objects are there they stay what they are.
    private func lookAtStore() throws {
        let store = root + "/nix/store"
        var seen: [String: String] = [:]
        for name in try LauncherTests.LifeTests.entries(store) {
            let path = store + "/" + name
            var found = stat()
            guard lstat(path, &found) == 0 else { continue }
            // A lock, which nobody takes for an object.
            if found.st_mode == S_IFREG | 0o600 { continue }
            let key = "\(name) \(found.st_ino)"
            seen[key] = try snapshot(path).sorted { $0.key < $1.key }.description
            if let old = objects[key] { #expect(old == seen[key]) }
            if held[key] == nil { held[key] = open(path, CInt(CLinux_O_PATH) | O_NOFOLLOW) }
        }
        for (key, file) in held where seen[key] == nil {
            close(file)
            held[key] = nil
        }
        for key in objects.keys where seen[key] == nil {
            #expect(toVanish.contains(String(key.prefix { $0 != " " })), "\(key) vanished")
            vanished += 1
        }
        for key in seen.keys where objects[key] == nil {
            #expect(mayAppear, "\(key) appeared")
            appeared += 1
        }
        toVanish = []
        mayAppear = false
        objects = seen
    }

    /// What is at a path and one level below it.
    private func snapshot(_ path: String) throws -> [String: String] {
        var result: [String: String] = [:]
        func note(_ path: String) throws -> Bool {
            var found = stat()
            guard lstat(path, &found) == 0 else { throw HarnessFailure(path) }
            var text = "\(found.st_mode) \(found.st_uid) \(found.st_gid) \(found.st_mtim.tv_sec)"
            if found.st_mode & S_IFMT == S_IFREG {
                text += " " + (try LauncherTests.HostileEngineTests.text(path))
            }
            result[path] = text
            return found.st_mode & S_IFMT == S_IFDIR
        }
        guard try note(path) else { return result }
        for name in try LauncherTests.LifeTests.entries(path) { _ = try note(path + "/" + name) }
        return result
    }
}
