import Foundation
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    /// The shipped launcher in a world in which one system call goes wrong.
    ///
    /// Source: `security/hardening.md` §13, "n-th call fails" of SQLite's tests.
    @Suite("A system call that goes wrong", .serialized) struct FaultTests {
        @Test(
            "whichever call fails: the build fails closed, nothing is left, and the next one works")
        func failures() throws {
            let bench = try FaultBench()
            var index = 0
            for call in bench.calls {
                for errno in Self.errnos(of: call.number) {
                    index += 1
                    guard Self.isComplete || index % 23 == 0 else { continue }
                    try bench.perform(call, answer: -Int(errno))
                }
            }
            print("\(index) faults known; \(bench.summary)")
            // That something went wrong, and that something else was tolerated, shows that faults arrive.
            #expect(bench.failed > 0 && bench.confined > 0)
        }

        @Test(
            "a kernel that only says that it did something: no builder runs with a right too many")
        func lies() throws {
            let bench = try FaultBench()
            var told = 0
            for call in bench.calls {
                // Workers come after the builder, and take its outputs away from its user.
                let calls = call.process <= bench.builder ? Self.givesUpRights : Self.takesOver
                guard calls.contains(call.number) else { continue }
                told += 1
                guard Self.isComplete || told % 3 == 0 else { continue }
                try bench.perform(call, answer: 0)
            }
            print("\(told) lies known; \(bench.summary)")
            #expect(bench.failed > 0)
        }

        /// Whether every fault is tried, as `make faults` does, and not a sample.
        private static let isComplete =
            ProcessInfo.processInfo.environment["KILN_FAULTS"] == "all"

        /// Calls by which a right is given up or a place closed, by their numbers on x86_64.
        ///
        /// prctl, setgroups, setresuid, setresgid, capset, pivot_root, umount2, unshare, close_range,
        /// mount_setattr, seccomp, setsid, prlimit64 and dup3.
        private static let givesUpRights: Set<Int> = [
            157, 116, 117, 119, 126, 155, 166, 272, 436, 442, 317, 112, 302, 292,
        ]

        /// Calls by which an object becomes root's and canonical: fchmod, fchown, fchownat, fchmodat, utimensat,
        /// fchmodat2, and what a worker gives up before that.
        private static let takesOver: Set<Int> = [91, 93, 260, 268, 280, 452, 157, 126, 436, 317]

        /// What a call may answer, from its manual page: the kinds of failure that are told apart.
        private static func errnos(of call: Int) -> [CInt] {
            switch call {
            // Memory and exits: their failure is the runtime's, which ends the process.
            case 9, 10, 11, 12, 25, 202: [ENOMEM]
            case 60, 231, 15: []
            // close: whatever it answers, the kernel has closed the descriptor.
            case 3: []
            // openat, openat2, mkdirat, mknodat, symlinkat, renameat2, linkat, unlinkat.
            case 257, 437, 258, 259, 266, 316, 265, 263: [ENOENT, EACCES, ENOSPC, EMFILE, EIO]
            // read, write, pread64, sendmsg, recvmsg, poll, ppoll, waitid, wait4, flock, fsync.
            case 0, 1, 17, 46, 47, 7, 271, 247, 61, 73, 74: [EINTR, EAGAIN, EIO, ENOSPC]
            // clone, clone3, unshare, setns, setresuid: limits.
            case 56, 435, 272, 308, 117: [EAGAIN, ENOMEM, EPERM, ENOSPC]
            default: [EPERM, ENOMEM, EINVAL]
            }
        }
    }
}

/// A store, what a confined builder sees, and the calls of one build that goes well.
private final class FaultBench {
    struct Call {
        let process: Int
        let index: Int
        let number: Int
    }

    private static let build = BuildID(rawValue: 1)
    private static let object = "\(String(repeating: "0", count: 32))-x"

    private let root: String
    private let baseline: String
    let calls: [Call]
    /// The builder's process, in the order of their beginnings: the one that executes a program.
    let builder: Int
    private(set) var failed = 0
    private(set) var confined = 0

    /// What became of the builds so far.
    var summary: String { "\(failed) builds failed, \(confined) went well" }

    /// Lies beside the program that runs the tests.
    private static let injector = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "fault-injector").path

    /// Everything about a builder's process that another one could tell a hole by.
    private static let report = """
        exec 2>&1
        grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|SigIgn|SigBlk)' /proc/self/status
        cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups /proc/self/limits
        sed -E 's/^[0-9]+ [0-9]+ [0-9:]+ //; s/[0-9a-f]{32}/ID/g; s/kiln-test-[A-Za-z0-9]+/ROOT/g' \
            /proc/self/mountinfo
        cat /proc/sys/user/max_*_namespaces /proc/self/personality
        pwd; hostname; umask; ls /proc/self/fd; cut -d: -f1 /proc/net/dev
        ls -nd /build /nix/store /tmp | cut -d' ' -f1-4
        echo made > $out
        echo END

        """

    init() throws {
        root = try TestLauncher.makeRoot(.root)
        let list = root + "/calls"
        baseline = try Self.run(root, under: [Self.injector, "list", list]).log
        guard baseline.hasSuffix("END\n") else { throw HarnessFailure("the report: \(baseline)") }
        calls = try String(contentsOfFile: list, encoding: .utf8).split(separator: "\n").map {
            let numbers = $0.split(separator: " ").compactMap { Int($0) }
            guard numbers.count == 3 else { throw HarnessFailure("a call: \($0)") }
            return Call(process: numbers[0], index: numbers[1], number: numbers[2])
        }
        guard let last = calls.last(where: { $0.number == Self.execve && $0.process > 0 }) else {
            throw HarnessFailure("no builder")
        }
        builder = last.process
        try checkNext()
    }

    private static let execve = 59

    /// Runs a build in which one call is answered so, then another one in a launcher that is not disturbed.
    func perform(_ call: Call, answer: Int) throws {
        let what = "process \(call.process), call \(call.index), number \(call.number): \(answer)"
        let outcome = try Self.run(
            root, under: [Self.injector, "\(call.process)", "\(call.index)", "\(answer)"])
        #expect(baseline.hasPrefix(outcome.log), "\(what): another sandbox: \(outcome.log)")
        if outcome.isPublished {
            confined += 1
            #expect(outcome.log == baseline, "\(what): published without its log")
        } else {
            failed += 1
        }
        do {
            try checkNext()
        } catch {
            throw HarnessFailure("\(what): the next build: \(error)")
        }
    }

    /// A launcher that nobody disturbs finds nothing that it cannot clear, and builds.
    private func checkNext() throws {
        let store = root + "/nix/store/"
        if access(store + Self.object, F_OK) == 0 {
            #expect(try LauncherTests.HostileEngineTests.text(store + Self.object) == "made\n")
            var found = stat()
            #expect(lstat(store + Self.object, &found) == 0 && found.st_uid == 0)
            #expect(found.st_mode == S_IFREG | 0o444)
            #expect(unlink(store + Self.object) == 0)
        }
        let outcome = try Self.run(root, under: [])
        #expect(outcome.isPublished && outcome.log == baseline)
        #expect(unlink(store + Self.object) == 0)
        // A killer of a launcher that ended may need a moment to see that.
        #expect(
            try LauncherTests.HostileEngineTests.comes {
                try LauncherTests.LifeTests.survivors() == 0
            })
        for place in ["work", "staging", "trash"] {
            #expect(try LauncherTests.LifeTests.entries(root + "/nix/var/kiln/" + place) == [])
        }
    }

    /// One build from the launcher's start to its end, as far as it comes.
    private static func run(
        _ root: String, under wrapper: [String]
    ) throws -> (log: String, isPublished: Bool) {
        let launcher = try TestLauncher(root: root, slots: 1, under: wrapper)
        defer { launcher.end() }
        var log = ""
        do {
            guard try launcher.next() == .ready,
                case .prepared = try launcher.prepare(build, script(report))
            else { return ("", false) }
            try launcher.send(.start(build))
            let (started, descriptors) = try launcher.receive()
            guard started == .started(build) else { return ("", false) }
            log = TestLauncher.read(descriptors[0])
            guard case .ended(_, let end) = try launcher.next(), end.builder == .exited(0) else {
                return (log, false)
            }
            try launcher.send(.takeOutputs(build))
            guard case .taken = try launcher.next() else { return (log, false) }
            try launcher.send(.publish(build, output: 0))
            guard try launcher.next() == .published(build, output: 0) else { return (log, false) }
            return (log, true)
        } catch let failure as HarnessFailure
            where failure.description.contains("ended")
            || failure.description.contains("does not listen")
        {
            return (log, false)
        }
    }
}
