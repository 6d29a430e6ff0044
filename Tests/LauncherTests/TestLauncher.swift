import CLinux
import Foundation
import Glibc
import LaunchModel
import Testing

/// A failure of the test's own machinery.
struct HarnessFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A real launcher, as it is shipped, with a store of its own and the conversation's other end.
final class TestLauncher {
    /// Who the launcher runs as.
    enum Mode { case root, ordinaryUser }

    /// A user that no account has, for the launcher of an ordinary user.
    static let ordinaryUser: UInt32 = 61_234
    /// Slots far from those of builds outside of the tests, so that both can run at once; those of other
    /// runs of the tests begin elsewhere with `KILN_TEST_SLOT`.
    static let firstUser: UInt32 = 872_415_232 + firstSlot * 65_536
    private static let firstSlot =
        ProcessInfo.processInfo.environment["KILN_TEST_SLOT"].flatMap(UInt32.init) ?? 100

    let root: String
    let process: pid_t
    private(set) var socket: CInt
    let configuration: LauncherConfiguration
    let mode: Mode
    private var descriptors: [CInt] = []
    private var isReaped = false

    /// Starts one and waits for its first event.
    ///
    /// A root to use again may be given, the words of a program that starts it, and what changes the
    /// configuration before it is written. One that is bare is started without standard input, output and
    /// error. `control` becomes its door.
    init(
        _ mode: Mode = .root, root: String? = nil, slots: UInt16 = 2, isBare: Bool = false,
        under wrapper: [String] = [], control: CInt? = nil,
        change: (inout LauncherConfiguration) -> Void = { _ in }
    ) throws {
        guard getuid() == 0 else { throw HarnessFailure("the tests of the launcher need root") }
        self.mode = mode
        self.root = try root ?? Self.makeRoot(mode)
        var configuration = Self.configuration(self.root, mode, slots: slots)
        change(&configuration)
        self.configuration = configuration
        var ends: [CInt] = [-1, -1]
        let kind = CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw HarnessFailure("socketpair") }
        socket = ends[0]
        let memory = try Self.memory(configuration.encoded)
        process = try Self.spawn(
            mode, ends[1], memory, isBare: isBare, under: wrapper, control: control)
        close(ends[1])
        close(memory)
    }

    deinit {
        if socket >= 0 { close(socket) }
        if !isReaped { _ = wait() }
        for descriptor in descriptors { close(descriptor) }
    }

    /// The program that `scripts/build-launcher` leaves, or one that `KILN_TEST_LAUNCHER` names, which runs
    /// it.
    static let program: String = {
        if let other = ProcessInfo.processInfo.environment["KILN_TEST_LAUNCHER"] { return other }
        let file = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/" + file + "/build/kiln-launcher"
    }()

    static func makeRoot(_ mode: Mode) throws -> String {
        // Every directory above a store must be root's alone, so /tmp is no place for one.
        var template = [CChar]("/var/lib/kiln-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessFailure("mkdtemp") }
        let root = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for path in [
            "nix", "nix/store", "nix/var", "nix/var/kiln", "nix/var/kiln/incoming", "pool",
        ] {
            mkdir(root + "/" + path, 0o755)
        }
        if mode == .ordinaryUser {
            for path in [
                "", "/nix", "/nix/store", "/nix/var", "/nix/var/kiln", "/nix/var/kiln/incoming",
            ] {
                chown(root + path, ordinaryUser, ordinaryUser)
            }
        }
        chmod(root, 0o755)
        Leftovers.shared.remove(atExit: root)
        return root
    }

    static func configuration(_ root: String, _ mode: Mode, slots: UInt16) -> LauncherConfiguration
    {
        LauncherConfiguration(
            generation: Generation(bytes: [UInt8](repeating: 7, count: 32)),
            mode: mode == .root ? .privileged : .rootless,
            directories: .init(
                store: bytes(root + "/nix/store"), logicalStore: bytes("/nix/store"),
                state: bytes(root + "/nix/var/kiln"),
                incoming: bytes(root + "/nix/var/kiln/incoming"),
                userPool: bytes(root + "/pool"), cgroup: mode == .root ? cgroup : nil),
            engineUser: .root, engineGroup: .root,
            pool: mode == .root
                ? .automatic(first: UserID(rawValue: firstUser), count: slots) : .caller,
            maximumBuilds: slots, profiles: [profile])
    }

    /// A cgroup of version 2, where the host has one that the tests may use.
    static let cgroup: [UInt8]? = {
        for mount in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            guard access(mount + "/cgroup.procs", F_OK) == 0 else { continue }
            let place = mount + "/kiln-test-\(firstSlot)"
            mkdir(place, 0o755)
            if access(place + "/cgroup.kill", F_OK) == 0 { return bytes(place) }
        }
        return nil
    }()

    /// The host's programs and a filter that allows everything: what the steps alone hold.
    static let profile = CompiledProfile(
        name: bytes("test"), hostName: bytes("localhost"), network: .loopback,
        hostMounts: ["/usr", "/bin", "/lib", "/lib64"].map {
            HostMount(source: bytes($0), target: bytes($0), presence: .optional, followsLink: false)
        },
        devices: [.null, .zero, .full, .random, .urandom, .tty], rootSize: 16 << 20,
        temporarySize: 64 << 20, sharedMemorySize: 16 << 20,
        resourceLimits: [ResourceLimit(resource: 4, soft: 0, hard: 0)],
        outputs: OutputLimits(bytes: 64 << 20, entries: 1000, depth: 32),
        alwaysCopiesOutputs: false,
        // BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
        filter: [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f])

    private static func spawn(
        _ mode: Mode, _ socket: CInt, _ memory: CInt, isBare: Bool, under wrapper: [String],
        control: CInt?
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for standard in isBare ? [0, 1, 2] : [] as [CInt] {
            posix_spawn_file_actions_addclose(&actions, standard)
        }
        posix_spawn_file_actions_adddup2(&actions, socket, 103)
        posix_spawn_file_actions_adddup2(&actions, memory, 104)
        posix_spawn_file_actions_adddup2(&actions, 103, 3)
        posix_spawn_file_actions_adddup2(&actions, 104, 4)
        if let control { posix_spawn_file_actions_adddup2(&actions, control, 5) }
        var words = wrapper + [program]
        if mode == .ordinaryUser {
            // A program that this user may read, wherever the checkout is.
            let copy = "/var/lib/kiln-test-launcher"
            try run("/usr/bin/install", ["-m", "755", program, copy])
            let id = "\(ordinaryUser)"
            words = ["/usr/bin/setpriv", "--reuid", id, "--regid", id, "--clear-groups", copy]
        }
        return try spawn(words, actions: &actions)
    }

    static func spawn(
        _ words: [String], actions: UnsafePointer<posix_spawn_file_actions_t>?
    ) throws -> pid_t {
        var arguments = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        var process: pid_t = 0
        let code = posix_spawn(&process, words[0], actions, nil, arguments, environ)
        guard code == 0 else { throw HarnessFailure("cannot start \(words[0]): \(code)") }
        return process
    }

    /// Runs a program of the host's to its end.
    static func run(_ program: String, _ arguments: [String]) throws {
        let process = try spawn([program] + arguments, actions: nil)
        var status: CInt = 0
        waitpid(process, &status, 0)
        guard status == 0 else { throw HarnessFailure("\(program) \(arguments): \(status)") }
    }

    /// Starts a program that goes on, under another user.
    static func start(as user: UInt32, _ words: [String]) throws -> pid_t {
        let id = "\(user)"
        return try spawn(
            ["/usr/bin/setpriv", "--reuid", id, "--regid", id, "--clear-groups"] + words,
            actions: nil)
    }
}

// MARK: - The conversation

extension TestLauncher {
    static func memory(_ bytes: [UInt8], isSealed: Bool = true) throws -> CInt {
        let number = CInt(CLinux_memfd_create("kiln-test"))
        guard number >= 0, write(number, bytes, bytes.count) == bytes.count,
            !isSealed || CLinux_seal(number) == 0
        else { throw HarnessFailure("memfd") }
        return number
    }

    func send(_ request: LauncherRequest, _ descriptors: [CInt] = []) throws {
        try send(request.encoded, descriptors)
    }

    func send(_ bytes: [UInt8], _ descriptors: [CInt] = []) throws {
        let sent = CLinux_send(socket, bytes, bytes.count, descriptors, descriptors.count, 0)
        guard sent == bytes.count else {
            throw HarnessFailure("the launcher does not listen: \(sent)")
        }
    }

    /// The next event; its descriptors are closed with the launcher.
    func receive() throws -> (event: LauncherEvent, descriptors: [CInt]) {
        var buffer = [UInt8](repeating: 0, count: LauncherRequest.packetLimit)
        var received = [CInt](repeating: -1, count: 253)
        var count = received.count
        var flags: CInt = 0
        // A launcher that says nothing for so long is stuck, which a test must show and not wait for.
        var polled = CLinux_pollfd(fd: socket, events: Int16(CLinux_POLLIN), revents: 0)
        guard CLinux_poll(&polled, 1, 60_000) == 1 else {
            throw HarnessFailure("nothing was answered")
        }
        let size = CLinux_receive(socket, &buffer, buffer.count, &received, &count, &flags)
        guard size > 0 else { throw HarnessFailure("the conversation ended: \(size)") }
        descriptors += received[..<count]
        return (try LauncherEvent(decoding: [UInt8](buffer[..<size])), [CInt](received[..<count]))
    }

    /// Closes what came with events so far.
    func closeDescriptors() {
        for descriptor in descriptors { close(descriptor) }
        descriptors = []
    }

    /// The next event, which goes with no descriptors that matter.
    func next() throws -> LauncherEvent { try receive().event }

    /// Waits for the launcher to say that it can work.
    func ready() throws -> TestLauncher {
        let event = try next()
        guard event == .ready else { throw HarnessFailure("\(event)") }
        return self
    }

    /// Closes the conversation and waits until the launcher is gone.
    func end() {
        hangUp()
        _ = wait()
    }

    /// Closes the conversation.
    func hangUp() {
        close(socket)
        socket = -1
    }

    /// Waits until the launcher is gone; its status, as waitpid(2) tells it.
    func wait() -> CInt {
        var status: CInt = 0
        waitpid(process, &status, 0)
        isReaped = true
        return status
    }

    /// Whether the launcher is gone.
    func isOver() throws -> Bool {
        if isReaped { return true }
        var status: CInt = 0
        switch waitpid(process, &status, WNOHANG) {
        case 0: return false
        case process:
            isReaped = true
            return true
        default: throw HarnessFailure("waitpid")
        }
    }

    func prepare(_ build: BuildID, _ request: LaunchRequest) throws -> LauncherEvent {
        let memory = try Self.memory(request.encoded)
        defer { close(memory) }
        try send(
            .prepare(build, configuration.generation, ProfileNumber(rawValue: 0)), [memory])
        return try next()
    }

    /// Prepares and starts a build, reads its log to the end and waits for its own.
    func build(
        _ build: BuildID, _ request: LaunchRequest
    ) throws -> (log: String, end: BuildEnd.Builder) {
        let event = try prepare(build, request)
        guard case .prepared = event else { throw HarnessFailure("\(event)") }
        try send(.start(build))
        let (started, descriptors) = try receive()
        if case .ended(_, let end) = started { return ("", end.builder) }
        guard started == .started(build) else { throw HarnessFailure("\(started)") }
        let log = Self.read(descriptors[0])
        let last = try next()
        guard case .ended(build, let end) = last else { throw HarnessFailure("\(last)") }
        return (log, end.builder)
    }

    func discard(_ build: BuildID) throws {
        try send(.discard(build))
        let event = try next()
        guard event == .discarded(build) else { throw HarnessFailure("\(event)") }
    }

    static func read(_ fd: CInt) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(fd, &buffer, buffer.count)
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}

func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

/// A request that runs a script with the host's shell.
func script(
    _ text: String, inputs: [StoreObjectName] = [], outputs: [StoreObjectName]? = nil,
    files: [LaunchRequest.BuildFile] = [], keepsFailed: Bool = false
) throws -> LaunchRequest {
    let outputs = try outputs ?? [name("x")]
    return LaunchRequest(
        inputs: inputs, outputs: outputs, builder: bytes("/bin/sh"),
        arguments: [bytes("sh"), bytes("-c"), bytes(text)],
        environment: [
            bytes("PATH=/usr/bin:/bin"),
            bytes("out=/nix/store/") + outputs[0].bytes,
        ], files: files, buildDirectory: bytes("/build"), personality: .native,
        keepsFailed: keepsFailed)
}

/// A store object's name with a hash part of one letter.
func name(_ text: String, _ letter: Character = "0") throws -> StoreObjectName {
    try StoreObjectName(parsing: bytes(String(repeating: letter, count: 32) + "-" + text))
}

/// Directories of the tests, which go when the tests are over.
final class Leftovers: @unchecked Sendable {
    static let shared = Leftovers()

    private let lock = NSLock()
    private var paths: [String] = []

    private init() { atexit { Leftovers.shared.removeAll() } }

    /// Remembers a directory, to delete it with all that is in it.
    func remove(atExit path: String) {
        lock.withLock { paths.append(path) }
    }

    private func removeAll() {
        let all = lock.withLock { paths }
        guard !all.isEmpty else { return }
        do {
            try TestLauncher.run("/bin/rm", ["-rf"] + all)
        } catch {
            print("left over: \(all): \(error)")
        }
    }
}
