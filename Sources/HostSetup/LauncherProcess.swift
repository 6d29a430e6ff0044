public import Glibc
public import LaunchModel
public import SystemCalls

/// A launcher that runs as this process's child.
public struct LauncherProcess: ~Copyable, Sendable {
    /// The engine's end of the conversation.
    public let conversation: OwnedDescriptor
    /// The launcher's process, which its parent must wait for.
    public let process: pid_t

    /// Gives up the conversation to somebody who keeps it.
    public consuming func takeConversation() -> OwnedDescriptor { conversation }
}

extension LauncherProcess {
    /// Where the launcher is, for a command at `/proc/self/exe`: beside it, or in `libexec/kiln`.
    ///
    /// - Parameter trusted: Whose files may be run: root's and these users'.
    /// - Returns: The path of the program.
    /// - Throws: ``HostSetupError/launcher(path:problem:)`` when it is missing or others could change it.
    public static func find(trusted: Set<UInt32>) throws(HostSetupError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = try system { () throws(SystemError) in
            try check("readlink", on: "/proc/self/exe") {
                readlink("/proc/self/exe", &buffer, buffer.count - 1)
            }
        }
        let command = String(
            decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let directory = command.split(separator: "/").dropLast().map(String.init)
        let beside = "/" + (directory + ["kiln-launcher"]).joined(separator: "/")
        let installed =
            "/"
            + (directory.dropLast() + ["libexec", "kiln", "kiln-launcher"]).joined(separator: "/")
        for path in [installed, beside] where access(path, F_OK) == 0 {
            try checkProgram(path, trusted: trusted)
            return path
        }
        throw .launcher(path: beside, problem: "is missing, and so is '\(installed)'")
    }

    private static func checkProgram(
        _ path: String, trusted: Set<UInt32>
    ) throws(HostSetupError) {
        var found = stat()
        try system { () throws(SystemError) in
            try check("lstat", on: path) { lstat(path, &found) }
        }
        guard found.st_mode & S_IFMT == S_IFREG, found.st_mode & 0o022 == 0,
            found.st_uid == 0 || trusted.contains(found.st_uid)
        else {
            throw .launcher(
                path: path,
                problem: "is not a plain file that only root can write: chown root '\(path)' && "
                    + "chmod 755 '\(path)'")
        }
    }

    /// Starts a launcher with a configuration.
    ///
    /// - Parameters:
    ///   - path: The program, checked by ``find(trusted:)``.
    ///   - configuration: Everything that it will know.
    ///   - control: The socket on which root reaches it, from ``ControlDirectory/listen()``.
    /// - Returns: The launcher; its first event says whether it can work.
    /// - Throws: ``HostSetupError/system(_:)`` when it cannot be started.
    public static func start(
        _ path: String, _ configuration: LauncherConfiguration, control: SharedDescriptor
    ) throws(HostSetupError) -> LauncherProcess {
        try system { () throws(SystemError) in
            var ends: [CInt] = [-1, -1]
            try check("socketpair") {
                socketpair(
                    AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends)
            }
            let ours = OwnedDescriptor(takingOwnershipOf: ends[0])
            let theirs = OwnedDescriptor(takingOwnershipOf: ends[1])
            let memory = try sealedMemory(
                named: "kiln-configuration", holding: configuration.encoded)
            let process = try theirs.withNumber { (socket) throws(SystemError) in
                try memory.withNumber { (memory) throws(SystemError) in
                    try control.withNumber { (control) throws(SystemError) in
                        try spawn(path, socket: socket, memory: memory, control: control)
                    }
                }
            }
            return LauncherProcess(conversation: ours, process: process)
        }
    }

    private static func spawn(
        _ path: String, socket: CInt, memory: CInt, control: CInt
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Out of the way first, so that neither is overwritten before it was copied.
        posix_spawn_file_actions_adddup2(&actions, socket, 103)
        posix_spawn_file_actions_adddup2(&actions, memory, 104)
        posix_spawn_file_actions_adddup2(&actions, control, 105)
        posix_spawn_file_actions_adddup2(&actions, 103, 3)
        posix_spawn_file_actions_adddup2(&actions, 104, 4)
        posix_spawn_file_actions_adddup2(&actions, 105, 5)
        let name = strdup("kiln-launcher")
        defer { free(name) }
        var arguments: [UnsafeMutablePointer<CChar>?] = [name, nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, nil, &arguments, &environment)
        guard code == 0 else { throw SystemError(call: "posix_spawn", path: path, errno: code) }
        return process
    }
}
