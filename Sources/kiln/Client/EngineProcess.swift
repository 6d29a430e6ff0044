import Glibc
import SystemCalls

/// What an engine that the command starts is told.
struct EngineOptions: Hashable, Sendable {
    /// Where the store lies.
    var root: StoreRoot
    /// How many builds run at once.
    var maximumJobs: UInt64
    /// What `NIX_BUILD_CORES` says.
    var cores: UInt64
    /// The directory of policy files; nothing means the installed ones.
    var policies: String?
    /// The group whose members builds run as; nothing means what the host has.
    var buildGroup: String?
    /// The most build users without an account; nothing means what the host has.
    var automaticUsers: UInt16?

    /// The arguments of the program, without its own name.
    var arguments: [String] {
        var arguments = [
            "engine", "--connection-fd", "3", "--root", root.path, "--max-jobs", "\(maximumJobs)",
            "--cores", "\(cores)",
        ]
        if let policies { arguments += ["--policy-dir", policies] }
        if let buildGroup { arguments += ["--build-users-group", buildGroup] }
        if let automaticUsers { arguments += ["--build-users", "\(automaticUsers)"] }
        return arguments
    }
}

/// An engine that runs as a child of the command.
///
/// It is in a session of its own, so that Ctrl-C at the terminal reaches the command alone, which then
/// ends the conversation; an engine ends when its conversation does.
final class EngineProcess {
    /// How a child ended.
    enum Fate: Hashable, Sendable, CustomStringConvertible {
        case exited(CInt)
        case killed(signal: CInt)

        /// Such as `ended with status 1`.
        var description: String {
            switch self {
            case .exited(let status): "ended with status \(status)"
            case .killed(let signal):
                "was killed by signal \(signal) (\(String(cString: strsignal(signal))))"
            }
        }
    }

    /// The process.
    let id: pid_t
    private var fate: Fate?
    private var connection: OwnedDescriptor?

    private init(id: pid_t, connection: consuming OwnedDescriptor) {
        self.id = id
        self.connection = .some(consume connection)
    }

    /// Gives away our end of the connection.
    func takeConnection() -> OwnedDescriptor {
        guard let taken = connection.take() else { preconditionFailure("it is taken once") }
        return taken
    }

    /// Starts an engine.
    ///
    /// - Parameters:
    ///   - options: What it is told.
    ///   - program: The program; itself unless a test says otherwise.
    /// - Returns: The process, which holds our end of the connection to it.
    /// - Throws: ``SystemError`` when it cannot be started.
    static func start(
        _ options: EngineOptions, program: String = "/proc/self/exe"
    ) throws(SystemError) -> EngineProcess {
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        let ours = OwnedDescriptor(takingOwnershipOf: ends[0])
        let theirs = OwnedDescriptor(takingOwnershipOf: ends[1])
        let id = try theirs.withNumber { (number) throws(SystemError) in
            try spawn(program, ["kiln"] + options.arguments, connection: number)
        }
        return EngineProcess(id: id, connection: ours)
    }

    /// Waits for the process.
    ///
    /// - Parameter milliseconds: How long; nothing means until it ends.
    /// - Returns: How it ended; nothing if it has not.
    func wait(milliseconds: UInt64? = nil) -> Fate? {
        if let fate { return fate }
        let deadline = milliseconds.map { monotonicMilliseconds() + $0 }
        var status: CInt = 0
        while true {
            let result = waitpid(id, &status, deadline == nil ? 0 : WNOHANG)
            let code = errno
            if result == id { break }
            if result == -1 {
                precondition(code == EINTR, "only this object waits for its child")
            } else if let deadline, monotonicMilliseconds() >= deadline {
                return nil
            } else {
                // Without a descriptor to wait for, ten milliseconds are soon enough.
                usleep(10_000)
            }
        }
        let signal = status & 0x7f
        fate = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
        return fate
    }

    /// The kernel's `POSIX_SPAWN_SETSID` of glibc, which Swift does not see.
    private static let newSession: Int16 = 0x80

    private static func spawn(
        _ program: String, _ arguments: [String], connection: CInt
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        try must("posix_spawn_file_actions_init", posix_spawn_file_actions_init(&actions))
        defer { posix_spawn_file_actions_destroy(&actions) }
        try must("posix_spawnattr_init", posix_spawnattr_init(&attributes))
        defer { posix_spawnattr_destroy(&attributes) }
        try must(
            "posix_spawn_file_actions_adddup2",
            posix_spawn_file_actions_adddup2(&actions, connection, 3))
        // What the engine prints is no result, and what is typed is not for it.
        try must(
            "posix_spawn_file_actions_adddup2",
            posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO))
        try must(
            "posix_spawn_file_actions_addopen",
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0))
        var none = sigset_t()
        var defaults = sigset_t()
        guard sigemptyset(&none) == 0, sigemptyset(&defaults) == 0 else {
            preconditionFailure("a set of signals can be emptied")
        }
        for signal in [SIGINT, SIGTERM, SIGPIPE, SIGHUP] {
            guard sigaddset(&defaults, signal) == 0 else {
                preconditionFailure("the signal exists")
            }
        }
        try must("posix_spawnattr_setsigmask", posix_spawnattr_setsigmask(&attributes, &none))
        try must(
            "posix_spawnattr_setsigdefault", posix_spawnattr_setsigdefault(&attributes, &defaults))
        try must(
            "posix_spawnattr_setflags",
            posix_spawnattr_setflags(
                &attributes,
                newSession | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)))
        try keepDescriptors()
        let argv = CStrings(arguments.map { [UInt8]($0.utf8) })
        let envp = CStrings(try engineEnvironment())
        var id: pid_t = 0
        let code = posix_spawn(&id, program, &actions, &attributes, argv.pointers, envp.pointers)
        guard code == 0 else { throw SystemError(call: "posix_spawn", path: program, errno: code) }
        return id
    }

    /// Has every descriptor but the three standard ones closed in a child.
    ///
    /// Whoever started the command may have left more open than it knows.
    private static func keepDescriptors() throws(SystemError) {
        let path = "/proc/self/fd"
        guard let stream = opendir(path) else {
            throw SystemError(call: "opendir", path: path, errno: errno)
        }
        defer { closedir(stream) }
        while true {
            errno = 0
            let next = readdir(stream)
            let code = errno
            guard let entry = next else {
                guard code == 0 else { throw SystemError(call: "readdir", path: path, errno: code) }
                return
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let number = CInt(name), number > STDERR_FILENO else { continue }
            guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 || errno == EBADF else {
                throw SystemError(call: "fcntl", path: path, errno: errno)
            }
        }
    }

    /// These calls return their error instead of setting it.
    private static func must(_ call: String, _ code: CInt) throws(SystemError) {
        guard code == 0 else { throw SystemError(call: call, path: nil, errno: code) }
    }
}

/// The variables of our environment that an engine may see: where things lie, and our own.
///
/// An engine that root starts is the last to trust what a user's shell exports.
private func engineEnvironment() throws(SystemError) -> [[UInt8]] {
    let names = [
        "HOME", "LANG", "LC_ALL", "PATH", "TERM", "USER", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
    ].map { [UInt8]($0.utf8) + [UInt8(ascii: "=")] }
    let ours = [UInt8]("KILN_".utf8)
    let path = "/proc/self/environ"
    let number = try check("open", on: path) { open(path, O_RDONLY | O_CLOEXEC) }
    let file = OwnedDescriptor(takingOwnershipOf: number)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = try file.withNumber { (number) throws(SystemError) in
            try check("read", on: path) { read(number, &buffer, buffer.count) }
        }
        if count == 0 { break }
        bytes += buffer[..<count]
    }
    return bytes.split(separator: 0).map { [UInt8]($0) }.filter { variable in
        variable.starts(with: ours) || names.contains { variable.starts(with: $0) }
    }
}

/// Strings as C wants a list of them; they live as long as the object.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [[UInt8]]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() {
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: string.count + 1)
            for (offset, byte) in string.enumerated() { copy[offset] = CChar(bitPattern: byte) }
            copy[string.count] = 0
            pointers[index] = copy
        }
        pointers[count] = nil
    }

    deinit {
        for index in 0..<count { pointers[index]?.deallocate() }
        pointers.deallocate()
    }
}
