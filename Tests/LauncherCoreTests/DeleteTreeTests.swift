import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

@Suite("Deleting trees", .enabled(if: Privilege.runsTests)) struct DeleteTreeTests {
    private func delete(_ bench: Bench, _ name: String = Bench.name) -> DeleteResult {
        deleteTree(in: bench.out, name: [UInt8](name.utf8))
    }

    @Test("deletes every kind of file, and follows no link")
    func kinds() throws {
        let bench = try Bench()
        try bench.directory("canary", owner: bench.newOwner)
        try bench.file("canary/file", owner: bench.newOwner)
        try bench.makeOutput()
        try bench.link("out/\(Bench.name)/out-of-here", to: "\(bench.path)/canary")
        try bench.link("out/\(Bench.name)/up", to: "..")
        try must("mkfifo", mkfifo("\(bench.path)/out/\(Bench.name)/fifo", 0))
        try must("mknod", mknod("\(bench.path)/out/\(Bench.name)/socket", S_IFSOCK, 0))
        #expect(delete(bench) == .deleted)
        #expect(!bench.exists("out/\(Bench.name)"))
        #expect(bench.exists("canary/file"))
    }

    @Test("deletes a link itself, a file itself, and nothing where there is nothing")
    func tops() throws {
        let bench = try Bench()
        try bench.file("canary", owner: bench.newOwner)
        try bench.link("out/link", to: "\(bench.path)/canary")
        try bench.file("out/file", mode: 0)
        #expect(delete(bench, "link") == .deleted)
        #expect(delete(bench, "file") == .deleted)
        #expect(delete(bench, "file") == .deleted)
        #expect(bench.exists("canary") && !bench.exists("out/link") && !bench.exists("out/file"))
    }

    @Test("names that are no names are refused", arguments: ["", ".", "..", "a/b", "/"])
    func names(_ name: String) throws {
        let bench = try Bench()
        try bench.makeOutput()
        #expect(delete(bench, name) == .refused(Refusal(.systemCall, subject: [UInt8](name.utf8))))
        #expect(bench.exists("out/\(Bench.name)/program"))
    }

    @Test("modes are no obstacle", .enabled(if: Privilege.runsRootTests))
    func modes() throws {
        let bench = try Bench()
        try bench.directory("out/\(Bench.name)", mode: 0)
        try bench.directory("out/\(Bench.name)/d", mode: 0)
        try bench.file("out/\(Bench.name)/d/f", mode: 0)
        #expect(delete(bench) == .deleted)
        #expect(!bench.exists("out/\(Bench.name)"))
    }

    @Test("depth is no obstacle, with things on the way back up")
    func deep() throws {
        let bench = try Bench()
        try bench.makeDeep("out/\(Bench.name)", depth: 3000, owner: bench.builder)
        var current = try must(
            "open", open("\(bench.path)/out/\(Bench.name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        while current >= 0 {
            for name in ["a", "z"] {
                try must("mkdirat", mkdirat(current, name, 0o700))
                try must("symlinkat", symlinkat("nowhere", current, name + "l"))
            }
            let next = openat(current, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            close(current)
            current = next
        }
        #expect(delete(bench) == .deleted)
        #expect(!bench.exists("out/\(Bench.name)"))
    }

    @Test("a directory of 20,000 entries goes")
    func wide() throws {
        let bench = try Bench()
        try bench.directory("out/\(Bench.name)")
        for number in 0..<20_000 {
            if number % 100 == 0 {
                try bench.directory("out/\(Bench.name)/\(number)")
            } else {
                try bench.file("out/\(Bench.name)/\(number)", contents: "")
            }
        }
        #expect(delete(bench) == .deleted)
        #expect(!bench.exists("out/\(Bench.name)"))
    }

    @Test("a mount is not entered, and is named", .enabled(if: Privilege.runsRootTests))
    func mount() throws {
        let bench = try Bench()
        try bench.makeOutput()
        let place = "\(bench.path)/out/\(Bench.name)/share"
        try must("mount", Glibc.mount("kiln-test", place, "tmpfs", 0, nil))
        defer { #expect(umount2(place, CInt(MNT_DETACH)) == 0) }
        try bench.file("out/\(Bench.name)/share/kept")
        guard case .refused(let refusal) = delete(bench) else {
            Issue.record("the mount was deleted")
            return
        }
        #expect(refusal.errno == EXDEV)
        #expect(refusal.subject == [UInt8]("\(Bench.name)/share".utf8))
        #expect(bench.exists("out/\(Bench.name)/share/kept"))
    }

    @Test(
        "somebody who swaps directories for links meanwhile cannot lead it away",
        .enabled(if: Privilege.runsRootTests))
    func liveEnemy() throws {
        for _ in 0..<100 {
            let bench = try Bench()
            try bench.directory("canary", mode: 0o777, owner: bench.newOwner)
            try bench.file("canary/file", owner: bench.newOwner)
            try bench.directory("play", owner: bench.builder)
            try bench.link("play/swap", to: "\(bench.path)/canary")
            try bench.directory("out/\(Bench.name)", mode: 0o777)
            for number in 0..<40 {
                try bench.directory("out/\(Bench.name)/d\(number)")
                try bench.file("out/\(Bench.name)/d\(number)/file")
            }
            let top = try must(
                "open", open("\(bench.path)/out/\(Bench.name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            let play = try must(
                "open", open("\(bench.path)/play", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            let enemy = try Enemy(as: bench.builder) {
                for turn in 0..<400 {
                    let name = "d\(turn % 40)"
                    _ = exchange(top, name, play, "swap")
                    _ = exchange(top, name, play, "swap")
                }
            }
            _ = delete(bench)
            enemy.join()
            close(top)
            close(play)
            #expect(bench.exists("canary/file"))
            #expect(try bench.look("canary").mode == 0o777)
        }
    }
}

@Suite("Copies of failed builds", .enabled(if: Privilege.runsTests)) struct CopyAsideTests {
    private func copy(
        _ bench: Bench, _ name: String = Bench.name, limits: OutputLimits = Bench.roomy
    ) -> CopyResult {
        copyAside(
            from: bench.out, entry: [UInt8](name.utf8), builder: bench.builder.user,
            to: bench.kept, as: [UInt8]("copy".utf8), newOwner: bench.engine, limits: limits)
    }

    @Test("are complete, the new owner's, and leave the original as it was")
    func complete() throws {
        let bench = try Bench()
        try bench.makeOutput()
        let before = try bench.look("out/\(Bench.name)/program")
        #expect(copy(bench) == .copied(skipped: 0))
        #expect(try bench.look("out/\(Bench.name)/program") == before)
        for (name, mode) in [
            ("", 0o755), ("/program", 0o755), ("/share", 0o700), ("/share/text", 0o640),
        ] {
            let look = try bench.look("kept/copy\(name)")
            #expect(look.mode == mode_t(mode) && look.user == bench.engine.user.rawValue)
            #expect(look.modified == (try bench.look("out/\(Bench.name)\(name)").modified))
        }
        #expect(try bench.contents("kept/copy/link") == "contents")
    }

    @Test("have no special files, no set-id bits and no attributes")
    func cleaned() throws {
        let bench = try Bench()
        try bench.makeOutput()
        try must("mkfifo", mkfifo("\(bench.path)/out/\(Bench.name)/fifo", 0o644))
        try bench.give("out/\(Bench.name)/fifo", to: nil)
        try must("chmod", chmod("\(bench.path)/out/\(Bench.name)/program", 0o6755))
        try must("chmod", chmod("\(bench.path)/out/\(Bench.name)/share", 0o2755))
        try bench.setAttribute("user.note", [1], of: "out/\(Bench.name)/program")
        #expect(copy(bench) == .copied(skipped: 1))
        #expect(!bench.exists("kept/copy/fifo"))
        #expect(try bench.look("kept/copy/program").mode == 0o755)
        #expect(try bench.look("kept/copy/share").mode == 0o755)
        #expect(try bench.attributes("kept/copy/program") == "")
    }

    @Test("show nothing of others that was linked in", .enabled(if: Privilege.runsRootTests))
    func foreign() throws {
        let bench = try Bench()
        try bench.makeOutput()
        try bench.file("secret", mode: 0o600, contents: "SECRET", owner: bench.newOwner)
        try must(
            "link", Glibc.link("\(bench.path)/secret", "\(bench.path)/out/\(Bench.name)/mine"))
        let before = try bench.look("secret")
        #expect(copy(bench) == .copied(skipped: 1))
        #expect(!bench.exists("kept/copy/mine"))
        #expect(try bench.look("secret") == before)
    }

    @Test(
        "are refused whole if the top is not the builder's", .enabled(if: Privilege.runsRootTests))
    func foreignTop() throws {
        let bench = try Bench()
        try bench.makeOutput()
        try bench.give("out/\(Bench.name)", to: bench.newOwner)
        #expect(
            copy(bench)
                == .refused(Refusal(.outputOwnership, subject: [UInt8](Bench.name.utf8))))
    }

    @Test(
        "stay inside the limits",
        arguments: [
            (OutputLimits(bytes: 16, entries: 5, depth: 2), true),
            (OutputLimits(bytes: 15, entries: 5, depth: 2), false),
            (OutputLimits(bytes: 16, entries: 4, depth: 2), false),
            (OutputLimits(bytes: 16, entries: 5, depth: 1), false),
        ])
    func limits(_ limits: OutputLimits, _ passes: Bool) throws {
        let bench = try Bench()
        try bench.makeOutput()
        switch copy(bench, limits: limits) {
        case .copied: #expect(passes)
        case .refused(let refusal):
            #expect(!passes)
            #expect(refusal.reason == .outputLimit)
        }
    }
}
