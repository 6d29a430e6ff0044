import CLinux
import Foundation
import Glibc
import Testing

/// Processes of the test program `stranger`: they have a build user's id, and no launcher started them.
///
/// All of them hold the writing end of one pipe, so its end shows that every one is over, also of those that
/// are another process all the time.
final class Stranger {
    /// The process that said it is ready; it may have handed over to others since.
    let pid: pid_t
    private let process: pid_t
    private let output: CInt
    private let user: UInt32
    private var isReaped = false

    /// Starts it and waits until it is what it is to be.
    ///
    /// - Parameters:
    ///   - words: What it is; see `Tests/Stranger/main.c`.
    ///   - user: Whose processes are killed when this is let go.
    /// - Throws: What kept it from becoming that.
    init(_ words: [String], of user: UInt32) throws {
        var ends: [CInt] = [-1, -1]
        guard CLinux_pipe2(&ends, O_CLOEXEC) == 0 else { throw HarnessFailure("pipe2") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        process = try TestLauncher.spawn([try Self.program()] + words, actions: &actions)
        close(ends[1])
        output = ends[0]
        self.user = user
        var line = [UInt8](repeating: 0, count: 64)
        let count = read(output, &line, line.count)
        let said = String(decoding: line.prefix(max(0, count)), as: UTF8.self)
        let parts = said.split(whereSeparator: \.isWhitespace)
        guard parts.count == 2, parts[0] == "ready", let number = pid_t(parts[1]) else {
            throw HarnessFailure("\(words) said '\(said)'")
        }
        pid = number
    }

    deinit {
        end()
        do {
            try TestLauncher.run(try Self.program(), ["kill", "\(user)"])
        } catch {
            Issue.record(error)
        }
        close(output)
    }

    /// The program beside the test program.
    private static func program() throws -> String {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: tests).deletingLastPathComponent().appending(path: "stranger").path
    }

    /// Whether every process of it is over now.
    var isOver: Bool { isOver(within: 0) }

    /// Whether every process of it is over, or so within a time that only something stuck exceeds.
    func endsByItself() -> Bool { isOver(within: 30_000) }

    private func isOver(within milliseconds: CInt) -> Bool {
        var polled = pollfd(fd: output, events: 0, revents: 0)
        return poll(&polled, 1, milliseconds) == 1 && Int32(polled.revents) & POLLHUP != 0
    }

    /// Ends the process that was started, and reaps it.
    func end() {
        guard !isReaped else { return }
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        isReaped = true
    }
}
