import Foundation
import LaunchModel
import Testing

@testable import LauncherCore

/// The host's processes, of which each look asks again who they are.
@Suite("Processes of build users", .serialized, .enabled(if: Privilege.runsRootTests))
struct ProcessTableTests {
    /// A user that no pool lends.
    private let user = UserID(rawValue: 872_415_231)

    /// The host's proc; the table borrows it.
    private func withTable<R>(_ body: (ProcessTable) throws -> R) throws -> R {
        let proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(proc >= 0)
        defer { close(proc) }
        return try body(ProcessTable(proc: proc))
    }

    /// A shell that says a line, waits for one, and becomes `sleep` with some of its ids changed.
    private final class Changeling {
        let process = Process()
        private let input = Pipe()
        private let output = Pipe()

        init(_ options: String) throws {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = [
                "-c", "echo; read go; exec setpriv \(options) sh -pc 'echo; exec sleep 1000'",
            ]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
            waitForLine()
        }

        func change() throws {
            try input.fileHandleForWriting.write(contentsOf: Data("go\n".utf8))
            waitForLine()
        }

        private func waitForLine() { _ = output.fileHandleForReading.availableData }

        deinit {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    @Test(
        "a process that takes a user's id after it was looked at is found",
        arguments: ["--ruid", "--euid"])
    func changed(option: String) throws {
        try withTable { table in
            let changeling = try Changeling("\(option) \(user.rawValue)")
            let pid = changeling.process.processIdentifier
            #expect(try table.processes(of: [user]).isEmpty)
            #expect(try table.processes(of: [user]).isEmpty)
            try changeling.change()
            for _ in 0..<2 {
                #expect(try table.processes(of: [user]) == [FoundProcess(user: user, pid: pid)])
            }
        }
    }

    @Test("a process is killed, and not found after it was reaped")
    func killed() throws {
        try withTable { table in
            let changeling = try Changeling("--ruid \(user.rawValue)")
            try changeling.change()
            let found = try table.processes(of: [user])
            #expect(found.count == 1)
            for process in found { try table.kill(process) }
            changeling.process.waitUntilExit()
            #expect(changeling.process.terminationStatus == SIGKILL)
            #expect(try table.processes(of: [user]).isEmpty)
        }
    }

    @Test("every process of the host is seen, also those that have no parent here")
    func everybody() throws {
        try withTable { table in
            for _ in 0..<2 {
                let pids = Set(try table.processes(of: [.root]).map(\.pid))
                #expect(pids.isSuperset(of: [1, getpid()]))
                // The kernel's first thread, where it can be seen.
                if access("/proc/2", F_OK) == 0, try isRoot("/proc/2") { #expect(pids.contains(2)) }
            }
        }
    }

    private func isRoot(_ path: String) throws -> Bool {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status.st_uid == 0
    }
}
