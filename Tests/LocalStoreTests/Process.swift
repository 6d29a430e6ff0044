import Glibc
import SystemCalls
import Testing

/// A program that a test runs, with both ends of its input and output.
final class Process {
    let id: pid_t
    private let output: CInt
    private var input: CInt
    private var pending: [UInt8] = []
    private var status: CInt?

    /// Starts a program with its standard error joined to its output.
    init(_ words: [String], environment: [String]? = nil) throws {
        var toChild: [CInt] = [0, 0]
        var fromChild: [CInt] = [0, 0]
        try #require(pipe(&toChild) == 0 && pipe(&fromChild) == 0)
        for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], 2)
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        var variables: [UnsafeMutablePointer<CChar>?] = (environment ?? []).map { strdup($0) }
        arguments.append(nil)
        variables.append(nil)
        defer { for pointer in arguments + variables { free(pointer) } }
        var child = pid_t()
        let code =
            environment == nil
            ? posix_spawnp(&child, words[0], &actions, nil, arguments, environ)
            : posix_spawnp(&child, words[0], &actions, nil, arguments, variables)
        close(toChild[0])
        close(fromChild[1])
        input = toChild[1]
        output = fromChild[0]
        id = child
        guard code == 0 else {
            status = code
            throw SystemError(call: "posix_spawn", path: words[0], errno: code)
        }
    }

    deinit {
        closeInput()
        close(output)
        if status == nil {
            kill(id, SIGKILL)
            waitpid(id, nil, 0)
        }
    }

    /// Runs a program to its end, which must be a success.
    static func run(_ words: [String]) throws {
        let process = try Process(words)
        let text = process.rest()
        try #require(process.wait() == 0, "\(words): \(text)")
    }

    /// The next line of output; nothing at its end.
    func line() -> String? {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending.removeSubrange(...end) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            guard readMore() else { return nil }
        }
    }

    /// All output that is left.
    func rest() -> String {
        while readMore() {}
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    private func readMore() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(output, &buffer, buffer.count)
        guard count > 0 else { return false }
        pending += buffer[..<count]
        return true
    }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Waits for the end; the status as `waitpid` gives it.
    @discardableResult
    func wait() -> CInt {
        if let status { return status }
        var status: CInt = 0
        while waitpid(id, &status, 0) == -1 && errno == EINTR {}
        self.status = status
        return status
    }

    /// A program that lies beside the one that runs the tests.
    static func built(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        try #require(count > 0)
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let directory = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
        return "\(directory)/\(name)"
    }
}
