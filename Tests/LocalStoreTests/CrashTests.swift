import Glibc
import LocalStore
import StoreModel
import Testing

@Suite("Crashes") struct CrashTests {
    @Test(
        "kill -9 at any moment leaves no valid row without its object, and loses nothing reported")
    func killed() throws {
        let root = try TestRoot()
        var reported: Set<StorePath> = []
        for round in 0..<12 {
            let crashers = try (0..<2).map { number in
                try Process(
                    [
                        Process.built("store-crasher"), "register", root.path,
                        "round \(round) process \(number)", "4",
                    ],
                    // One that fails by itself is not to be kept for a debugger.
                    environment: ["SWIFT_BACKTRACE=enable=no"])
            }
            // Killed after another number of lines each round, some of them while they still open.
            for (number, crasher) in crashers.enumerated() {
                for _ in 0..<(round * (number + 1)) {
                    reported.insert(try path(crasher.line()))
                }
                #expect(kill(crasher.id, SIGKILL) == 0)
            }
            for crasher in crashers {
                #expect(crasher.wait() == SIGKILL)
                while let line = crasher.line() { reported.insert(try path(line)) }
            }
            let store = try root.open()
            let summary = try store.verify(checkContents: true) { Issue.record("\($0)") }
            #expect(summary.problems == 0)
            #expect(try reported.isSubset(of: store.allValidPaths()))
        }
        #expect(reported.count >= 12 * 11 / 2 * 3)
        #expect(try !root.nix("nix-store", "--verify", "--check-contents").contains("error"))
    }

    private func path(_ line: String?) throws -> StorePath {
        let line = try #require(line)
        do {
            return try StorePath(baseName: [UInt8](line.utf8))
        } catch {
            Issue.record("the program says: \(line)")
            throw error
        }
    }
}
