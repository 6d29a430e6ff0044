import CLinux
import Glibc
import LaunchModel

/// What keeps a measurement from being one.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

/// Microseconds of the monotonic clock.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

/// A program that this one started, without a shell.
func spawn(_ words: [String], _ actions: UnsafePointer<posix_spawn_file_actions_t>?) throws -> pid_t
{
    var arguments = words.map { strdup($0) }
    defer { for argument in arguments { free(argument) } }
    arguments.append(nil)
    var process: pid_t = 0
    let code = posix_spawn(&process, words[0], actions, nil, arguments, environ)
    guard code == 0 else { throw BenchFailure("cannot start \(words[0]): \(code)") }
    return process
}

/// Waits for a program, which must end well.
func reap(_ process: pid_t, _ name: String) throws {
    var status: CInt = 0
    guard waitpid(process, &status, 0) == process, status == 0 else {
        throw BenchFailure("\(name) ended with \(status)")
    }
}

/// The shipped launcher, and the engine's end of its conversation.
final class BenchLauncher {
    private let socket: CInt
    private let process: pid_t
    private let generation = Generation(bytes: [UInt8](repeating: 7, count: 32))
    private var next: UInt64 = 1
    private var buffer = [UInt8](repeating: 0, count: LauncherRequest.packetLimit)

    /// Starts it, with the store in `root`.
    init(program: String, root: String, cgroup: String?) throws {
        // No tests use slots from here on, and no daemon.
        let first = UserID(rawValue: 872_415_232 + 400 * 65_536)
        let profile = CompiledProfile(
            name: bytes("bench"), hostName: bytes("localhost"), network: .loopback, hostMounts: [],
            devices: [.null, .zero, .full, .random, .urandom, .tty], rootSize: 16 << 20,
            temporarySize: 16 << 20, sharedMemorySize: 16 << 20, resourceLimits: [],
            outputs: OutputLimits(bytes: 1 << 20, entries: 1000, depth: 32),
            alwaysCopiesOutputs: false,
            // BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
            filter: [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f])
        let configuration = LauncherConfiguration(
            generation: generation, mode: .privileged,
            directories: .init(
                store: bytes(root + "/nix/store"), logicalStore: bytes("/nix/store"),
                state: bytes(root + "/nix/var/kiln"),
                incoming: bytes(root + "/nix/var/kiln/incoming"), userPool: bytes(root + "/pool"),
                cgroup: cgroup.map(bytes)),
            engineUser: .root, engineGroup: .root, pool: .automatic(first: first, count: 2),
            maximumBuilds: 2, profiles: [profile])
        var ends: [CInt] = [-1, -1]
        let kind = CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw BenchFailure("socketpair") }
        socket = ends[0]
        let memory = try Self.memory(configuration.encoded)
        defer {
            close(memory)
            close(ends[1])
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 103)
        posix_spawn_file_actions_adddup2(&actions, memory, 104)
        posix_spawn_file_actions_adddup2(&actions, 103, 3)
        posix_spawn_file_actions_adddup2(&actions, 104, 4)
        process = try spawn([program], &actions)
        let event = try receive().event
        guard event == .ready else { throw BenchFailure("\(event)") }
    }

    /// Launches once, from the request to the proof that nothing runs any more.
    ///
    /// - Parameter request: An encoded ``LaunchRequest``.
    /// - Returns: Microseconds.
    /// - Throws: What the launcher answered instead.
    func launch(_ request: [UInt8]) throws -> Double {
        let build = BuildID(rawValue: next)
        next += 1
        let begin = now()
        let memory = try Self.memory(request)
        try send(.prepare(build, generation, ProfileNumber(rawValue: 0)), [memory])
        close(memory)
        guard case .prepared = try receive().event else { throw BenchFailure("not prepared") }
        try send(.start(build))
        let started = try receive()
        guard started.event == .started(build) else { throw BenchFailure("\(started.event)") }
        let last = try receive().event
        let end = now()
        for descriptor in started.descriptors { close(descriptor) }
        guard case .ended(_, let how) = last, how.builder == .exited(0) else {
            throw BenchFailure("\(last)")
        }
        try send(.discard(build))
        guard try receive().event == .discarded(build) else { throw BenchFailure("not discarded") }
        return end - begin
    }

    /// Ends the conversation, and with it the launcher.
    func end() throws {
        close(socket)
        try reap(process, "the launcher")
    }

    private static func memory(_ content: [UInt8]) throws -> CInt {
        let number = CInt(CLinux_memfd_create("kiln-bench"))
        guard number >= 0, write(number, content, content.count) == content.count,
            CLinux_seal(number) == 0
        else { throw BenchFailure("memfd") }
        return number
    }

    private func send(_ request: LauncherRequest, _ descriptors: [CInt] = []) throws {
        let packet = request.encoded
        let sent = CLinux_send(socket, packet, packet.count, descriptors, descriptors.count, 0)
        guard sent == packet.count else { throw BenchFailure("the launcher does not listen") }
    }

    private func receive() throws -> (event: LauncherEvent, descriptors: [CInt]) {
        var received = [CInt](repeating: -1, count: 253)
        var count = received.count
        var flags: CInt = 0
        let size = CLinux_receive(socket, &buffer, buffer.count, &received, &count, &flags)
        guard size > 0 else { throw BenchFailure("the conversation ended: \(size)") }
        return (try LauncherEvent(decoding: [UInt8](buffer[..<size])), [CInt](received[..<count]))
    }
}
