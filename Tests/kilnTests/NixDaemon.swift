import DaemonWire
import Glibc
import StoreModel
import SystemCalls

@testable import kiln

/// The daemon of the real Nix, with a store of its own, on one connection.
final class NixDaemon {
    let directory: TemporaryDirectory
    let store: StoreDirectory
    private let id: pid_t
    private let channel: StreamChannel

    /// Starts `nix-daemon --stdio`.
    init() throws {
        directory = try TemporaryDirectory()
        let base = directory.path
        _ = try directory.make("conf")
        _ = try directory.write(
            "conf/nix.conf", "sandbox = false\nsubstituters =\nbuild-users-group =\n")
        let path = base + "/store"
        guard let store = StoreDirectory([UInt8](path.utf8)) else {
            throw InputError("'\(path)' is no store directory")
        }
        self.store = store
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        channel = StreamChannel(OwnedDescriptor(takingOwnershipOf: ends[0]))
        let environment = [
            "NIX_STORE_DIR=\(path)", "NIX_STATE_DIR=\(base)/state", "NIX_LOG_DIR=\(base)/log",
            "NIX_CONF_DIR=\(base)/conf", "NIX_LOCALSTATE_DIR=\(base)/var", "HOME=\(base)",
            "PATH=/usr/bin:/bin", "NIX_REMOTE=",
        ]
        defer { close(ends[1]) }
        id = try spawn(["nix-daemon", "--stdio"], environment, standardStreams: ends[1])
    }

    /// Greets it.
    func client(
        onMessage: @escaping (StderrMessage) -> Void = { _ in }
    ) throws -> WorkerClient {
        try WorkerClient(channel, store: store, onMessage: onMessage)
    }

    deinit {
        channel.abort()
        var status: CInt = 0
        while waitpid(id, &status, 0) == -1, errno == EINTR {}
    }
}

/// Starts a program with both standard streams on one descriptor.
private func spawn(
    _ arguments: [String], _ environment: [String], standardStreams number: CInt
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    guard posix_spawn_file_actions_init(&actions) == 0,
        posix_spawn_file_actions_adddup2(&actions, number, STDIN_FILENO) == 0,
        posix_spawn_file_actions_adddup2(&actions, number, STDOUT_FILENO) == 0
    else { throw InputError("no file actions") }
    defer { posix_spawn_file_actions_destroy(&actions) }
    var id: pid_t = 0
    let argv = arguments.map { strdup($0) } + [nil]
    let envp = environment.map { strdup($0) } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    let code = posix_spawnp(&id, arguments[0], &actions, nil, argv, envp)
    guard code == 0 else {
        throw SystemError(call: "posix_spawn", path: arguments[0], errno: code)
    }
    return id
}
