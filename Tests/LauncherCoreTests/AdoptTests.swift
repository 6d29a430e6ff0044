import Glibc
import LaunchModel
import Synchronization
import Testing

@testable import LauncherCore

@Suite("Trees that are adopted", .enabled(if: Privilege.runsTests)) struct AdoptTests {
    @Test("belong to the new owner and look like every store object")
    func canonical() throws {
        let bench = try Bench()
        try bench.makeIncoming()
        try bench.setAttribute("user.note", [1], of: "incoming/7/program")
        let inode = try bench.look("incoming/7/program").inode
        #expect(bench.adoptTree() == .taken([.directory]))
        try bench.expectCanonical("staging/0", S_IFDIR, 0o555)
        try bench.expectCanonical("staging/0/program", S_IFREG, 0o555)
        try bench.expectCanonical("staging/0/share", S_IFDIR, 0o555)
        try bench.expectCanonical("staging/0/share/text", S_IFREG, 0o444)
        try bench.expectCanonical("staging/0/link", S_IFLNK, 0)
        #expect(try !bench.attributes("staging/0/program").contains("user."))
        #expect(try bench.look("staging/0/program").inode == inode)
        #expect(!bench.exists("incoming/7"))
    }

    @Test("are fresh files if that is asked for")
    func copies() throws {
        let bench = try Bench()
        try bench.makeIncoming()
        let before = try (
            bench.look("incoming/7/program").inode, bench.look("incoming/7/share/text").inode
        )
        let result = adopt(
            from: bench.incoming, entry: [0x37], engine: bench.engine.user, staging: bench.staging,
            limits: Bench.roomy, newOwner: bench.newOwner, copies: true)
        #expect(result == .taken([.directory]))
        try bench.expectCanonical("staging/0/program", S_IFREG, 0o555)
        try bench.expectCanonical("staging/0/share/text", S_IFREG, 0o444)
        #expect(try bench.contents("staging/0/share/text") == "contents")
        #expect(try bench.look("staging/0/program").inode != before.0)
        #expect(try bench.look("staging/0/share/text").inode != before.1)
    }

    @Test("names that are no names are refused", arguments: ["", ".", "..", "a/b", "../7", "7/"])
    func names(_ name: String) throws {
        let bench = try Bench()
        try bench.makeIncoming()
        #expect(
            bench.adoptTree(name) == .refused(Refusal(.adoption, subject: [UInt8](name.utf8))))
        #expect(bench.exists("incoming/7/program"))
    }

    @Test("an entry that is not there is refused")
    func absent() throws {
        let bench = try Bench()
        #expect(
            bench.adoptTree() == .refused(Refusal(.adoption, errno: ENOENT, subject: [0x37])))
    }

    static let spoilings: [Spoiling] = [
        Spoiling("a file of another user", .adoption, "/share/text") {
            try $0.give("incoming/7/share/text", to: $0.newOwner)
        },
        Spoiling("a directory of another user", .adoption, "/share") {
            try $0.give("incoming/7/share", to: $0.builder)
        },
        Spoiling("a link of another user", .adoption, "/link") {
            try $0.give("incoming/7/link", to: $0.builder)
        },
        Spoiling("a file with a second name", .adoption, "/program") {
            try must(
                "link",
                Glibc.link("\($0.path)/incoming/7/program", "\($0.path)/incoming/elsewhere"))
        },
        Spoiling("a file with a second name inside", .adoption, "/share/text") {
            try must(
                "link",
                Glibc.link("\($0.path)/incoming/7/share/text", "\($0.path)/incoming/7/share/same"))
            // Whichever name comes first is refused; both must say so for the subject to be one.
            try must(
                "rename",
                rename("\($0.path)/incoming/7/share/same", "\($0.path)/incoming/elsewhere"))
        },
        Spoiling("a symbolic link with a second name", .adoption, "/link") {
            try must(
                "link", Glibc.link("\($0.path)/incoming/7/link", "\($0.path)/incoming/elsewhere"))
        },
        Spoiling("a FIFO", .outputFileType, "/fifo") {
            try must("mkfifo", mkfifo("\($0.path)/incoming/7/fifo", 0o644))
            try $0.give("incoming/7/fifo", to: $0.engine)
        },
        Spoiling("a socket", .outputFileType, "/socket") {
            try must("mknod", mknod("\($0.path)/incoming/7/socket", S_IFSOCK | 0o644, 0))
            try $0.give("incoming/7/socket", to: $0.engine)
        },
        Spoiling("a set-user-id program", .outputSetID, "/program") {
            try must("chmod", chmod("\($0.path)/incoming/7/program", 0o4755))
        },
        Spoiling("an access list", .outputAttributes, "/share") {
            try $0.setAttribute(
                "system.posix_acl_access", AttributeValue.accessList(for: $0.engine.user.rawValue),
                of: "incoming/7/share")
        },
        Spoiling("file capabilities", .outputAttributes, "/program") {
            try $0.setAttribute(
                "security.capability", AttributeValue.capability, of: "incoming/7/program")
        },
    ]

    @Test(
        "what is not the engine's alone is refused with its reason",
        .enabled(if: Privilege.runsRootTests), arguments: spoilings)
    func refusals(_ spoiling: Spoiling) throws {
        let control = try Bench()
        try control.makeIncoming()
        #expect(control.adoptTree() == .taken([.directory]))

        let bench = try Bench()
        try bench.makeIncoming()
        try spoiling.spoil(bench)
        guard case .refused(let refusal) = bench.adoptTree() else {
            Issue.record("the tree was adopted")
            return
        }
        #expect(refusal.reason == spoiling.reason)
        let subject = "7" + spoiling.subject.dropFirst(Bench.name.count)
        #expect(String(decoding: refusal.subject, as: UTF8.self) == subject)
    }

    @Test(
        "the limits hold",
        arguments: [
            (OutputLimits(bytes: 16, entries: 5, depth: 2), true),
            (OutputLimits(bytes: 15, entries: 5, depth: 2), false),
            (OutputLimits(bytes: 16, entries: 4, depth: 2), false),
            (OutputLimits(bytes: 16, entries: 5, depth: 1), false),
        ])
    func limits(_ limits: OutputLimits, _ passes: Bool) throws {
        let bench = try Bench()
        try bench.makeIncoming()
        switch bench.adoptTree(limits: limits) {
        case .taken: #expect(passes)
        case .refused(let refusal):
            #expect(!passes)
            #expect(refusal.reason == .outputLimit)
        }
    }

    @Test(
        "what the engine kept of a file does not change the object", arguments: KeptWriter.allCases)
    func keptFile(_ writer: KeptWriter) throws {
        let bench = try Bench()
        try bench.makeIncoming()
        let kept = try Writer(writer, of: "\(bench.path)/incoming/7/share/text")
        #expect(bench.adoptTree() == .taken([.directory]))
        try kept.write("PWNED")
        try bench.expectCanonical("staging/0/share/text", S_IFREG, 0o444)
        #expect(try bench.contents("staging/0/share/text") == "contents")
    }

    @Test(
        "what the engine kept of a directory gives it no rights",
        .enabled(if: Privilege.runsRootTests))
    func keptDirectory() throws {
        let bench = try Bench()
        try bench.makeIncoming()
        let kept = try must(
            "open", open("\(bench.path)/incoming/7/share", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        defer { close(kept) }
        // The control: before the tree is taken, the engine may do all of this.
        #expect(try attempts(in: kept, bench) == [0, 0, 0, 0])
        try must("mkdirat", renameat(kept, "renamed", kept, "text"))
        try must("unlinkat", unlinkat(kept, "made", AT_REMOVEDIR))
        #expect(bench.adoptTree() == .taken([.directory]))
        #expect(try attempts(in: kept, bench) == [EACCES, EACCES, EPERM, EACCES])
        try bench.expectCanonical("staging/0/share", S_IFDIR, 0o555)
        try bench.expectCanonical("staging/0/share/text", S_IFREG, 0o444)
    }

    /// What the engine gets for making, renaming, changing modes and writing.
    private func attempts(in directory: CInt, _ bench: Bench) throws -> [Int32] {
        let results = Mutex<[Int32]>([])
        let enemy = try Enemy(as: bench.engine) {
            func code(_ result: CInt) -> Int32 { result < 0 ? errno : 0 }
            let file = openat(directory, "text", O_WRONLY | O_CLOEXEC)
            let opened = code(file)
            if file >= 0 { close(file) }
            let made = code(mkdirat(directory, "made", 0o755))
            let changed = code(fchmod(directory, 0o777))
            let renamed = code(renameat(directory, "text", directory, "renamed"))
            results.withLock { $0 = [made, renamed, changed, opened] }
        }
        enemy.join()
        return results.withLock { $0 }
    }

    @Test(
        "an engine that swaps, links and writes meanwhile reaches nothing of others",
        .enabled(if: Privilege.runsRootTests))
    func liveEnemy() throws {
        let outcomes = Mutex((taken: 0, refused: 0))
        for round in 0..<150 {
            let bench = try Bench()
            try bench.directory("canary", owner: bench.newOwner)
            try bench.file("canary/file", mode: 0o600, owner: bench.newOwner)
            try bench.makeIncoming()
            for number in 0..<8 {
                try bench.directory("incoming/7/d\(number)", mode: 0o777, owner: bench.engine)
                try bench.file("incoming/7/d\(number)/f", mode: 0o666, owner: bench.engine)
            }
            try bench.link(
                "incoming/swap", to: "\(bench.path)/canary", owner: bench.engine)
            let canary = try (bench.look("canary"), bench.look("canary/file"))
            let kept = try (0..<8).map {
                try must(
                    "open",
                    open(
                        "\(bench.path)/incoming/7/d\($0)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            }
            let top = try must(
                "open", open("\(bench.path)/incoming/7", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            let over = Atomic(false)
            let writers = Mutex<[CInt]>([])
            let incoming = bench.incoming
            let enemy = try Enemy(as: bench.engine) {
                var turn = 0
                while !over.load(ordering: .acquiring) || turn < 64 {
                    let number = turn % 8
                    _ = exchange(top, "d\(number)", incoming, "swap")
                    _ = exchange(top, "d\(number)", incoming, "swap")
                    _ = linkat(kept[number], "f", incoming, "l\(turn)", 0)
                    let file = openat(kept[number], "f", O_RDWR | O_CLOEXEC)
                    if file >= 0 {
                        writers.withLock { $0.append(file) }
                    }
                    _ = fchmodat(kept[number], "f", 0o666, 0)
                    let made = openat(
                        kept[number], "new\(turn)", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
                    if made >= 0 { close(made) }
                    turn += 1
                    if turn > 400 { break }
                }
            }
            // Not always at the same moment of the enemy's turn.
            for _ in 0..<(round % 7) { sched_yield() }
            let result = bench.adoptTree()
            over.store(true, ordering: .releasing)
            enemy.join()
            for file in writers.withLock({ $0 }) {
                _ = pwrite(file, "PWNED", 5, 0)
                close(file)
            }
            #expect(try bench.look("canary") == canary.0)
            #expect(try bench.look("canary/file") == canary.1)
            switch result {
            case .taken:
                outcomes.withLock { $0.taken += 1 }
                for number in 0..<8 where bench.exists("staging/0/d\(number)/f") {
                    try bench.expectCanonical("staging/0/d\(number)/f", S_IFREG, 0o444)
                    #expect(try bench.contents("staging/0/d\(number)/f") == "contents")
                }
            case .refused: outcomes.withLock { $0.refused += 1 }
            }
            for directory in kept + [top] { close(directory) }
        }
        #expect(outcomes.withLock { $0.taken + $0.refused } == 150)
    }
}
