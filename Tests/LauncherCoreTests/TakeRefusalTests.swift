import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

/// One thing that makes an output unacceptable.
struct Spoiling: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let reason: Refusal.Reason
    let subject: String
    let spoil: @Sendable (Bench) throws -> Void

    init(
        _ description: String, _ reason: Refusal.Reason, _ subject: String = "",
        _ spoil: @escaping @Sendable (Bench) throws -> Void
    ) {
        testDescription = description
        self.reason = reason
        self.subject = Bench.name + subject
        self.spoil = spoil
    }
}

@Suite("Outputs that are refused", .enabled(if: Privilege.runsRootTests))
struct TakeRefusalTests {
    static let top = "out/\(Bench.name)"

    static let spoilings: [Spoiling] = [
        Spoiling("nothing there", .outputMissing) { bench in
            try must("rename", rename("\(bench.path)/\(top)", "\(bench.path)/out/other"))
        },
        Spoiling("a top that others may write", .outputOwnership) {
            try must("chmod", chmod("\($0.path)/\(top)", 0o757))
        },
        Spoiling("a top that the group may write", .outputOwnership) {
            try must("chmod", chmod("\($0.path)/\(top)", 0o775))
        },
        Spoiling("a top of another user", .outputOwnership) {
            try $0.give(
                top, to: FileOwner(user: UserID(rawValue: 61009), group: $0.builder.group))
        },
        Spoiling("a file of another user", .outputOwnership, "/share/text") {
            try $0.give("\(top)/share/text", to: $0.newOwner)
        },
        Spoiling("a file of another group", .outputOwnership, "/share/text") {
            try $0.give(
                "\(top)/share/text",
                to: FileOwner(user: $0.builder.user, group: GroupID(rawValue: 61009)))
        },
        Spoiling("a link of another user", .outputOwnership, "/link") {
            try $0.give("\(top)/link", to: $0.newOwner)
        },
        Spoiling("a FIFO", .outputFileType, "/share/fifo") {
            try must("mkfifo", mkfifo("\($0.path)/\(top)/share/fifo", 0o644))
            try $0.give("\(top)/share/fifo", to: nil)
        },
        Spoiling("a top that is a FIFO", .outputFileType) {
            try must("rename", rename("\($0.path)/\(top)", "\($0.path)/out/other"))
            try must("mkfifo", mkfifo("\($0.path)/\(top)", 0o644))
            try $0.give(top, to: nil)
        },
        Spoiling("a device", .outputFileType, "/null") {
            try must("mknod", mknod("\($0.path)/\(top)/null", S_IFCHR | 0o644, 0x103))
            try $0.give("\(top)/null", to: nil)
        },
        Spoiling("a whiteout", .outputFileType, "/white") {
            try must("mknod", mknod("\($0.path)/\(top)/white", S_IFCHR | 0o644, 0))
            try $0.give("\(top)/white", to: nil)
        },
        Spoiling("a socket", .outputFileType, "/socket") {
            try must("mknod", mknod("\($0.path)/\(top)/socket", S_IFSOCK | 0o644, 0))
            try $0.give("\(top)/socket", to: nil)
        },
        Spoiling("a set-user-id program", .outputSetID, "/program") {
            try must("chmod", chmod("\($0.path)/\(top)/program", 0o4755))
        },
        Spoiling("a set-group-id program", .outputSetID, "/program") {
            try must("chmod", chmod("\($0.path)/\(top)/program", 0o2755))
        },
        Spoiling("a set-group-id directory", .outputSetID, "/share") {
            try must("chmod", chmod("\($0.path)/\(top)/share", 0o2755))
        },
        Spoiling("an access list on a file", .outputAttributes, "/share/text") {
            try $0.setAttribute(
                "system.posix_acl_access", AttributeValue.accessList(for: 61009),
                of: "\(top)/share/text")
        },
        Spoiling("a default access list", .outputAttributes, "/share") {
            try $0.setAttribute(
                "system.posix_acl_default", AttributeValue.accessList(for: 61009),
                of: "\(top)/share")
        },
        Spoiling("file capabilities", .outputAttributes, "/program") {
            try $0.setAttribute(
                "security.capability", AttributeValue.capability, of: "\(top)/program")
        },
        Spoiling("a trusted attribute", .outputAttributes, "/share") {
            try $0.setAttribute("trusted.kiln", [1], of: "\(top)/share")
        },
        Spoiling("a hard link out of the outputs", .outputHardLink, "/program") {
            try must(
                "link", Glibc.link("\($0.path)/\(top)/program", "\($0.path)/out/undeclared"))
        },
        Spoiling("a hard link into the outputs", .outputHardLink, "/share/mine") {
            try $0.file("out/undeclared")
            try must(
                "link", Glibc.link("\($0.path)/out/undeclared", "\($0.path)/\(top)/share/mine"))
        },
        Spoiling("a symbolic link with a name outside", .outputHardLink, "/link") {
            try must("link", Glibc.link("\($0.path)/\(top)/link", "\($0.path)/out/undeclared"))
        },
    ]

    @Test("are named with their reason, and nothing is changed", arguments: spoilings)
    func refusals(_ spoiling: Spoiling) throws {
        let control = try Bench()
        try control.makeOutput()
        #expect(try control.take() == .taken([.directory]))

        for copies in [false, true] {
            let bench = try Bench()
            try bench.makeOutput()
            try spoiling.spoil(bench)
            let places = ["", "/program", "/share", "/share/text", "/link"].map { Self.top + $0 }
            let before = try places.filter(bench.exists).map(bench.look)
            guard case .refused(let refusal) = try bench.take(copies: copies) else {
                Issue.record("the output was taken")
                continue
            }
            #expect(refusal.reason == spoiling.reason)
            #expect(String(decoding: refusal.subject, as: UTF8.self) == spoiling.subject)
            #expect(try places.filter(bench.exists).map(bench.look) == before)
            #expect(!bench.exists("staging/0"))
        }
    }

    @Test("a file that root itself may not change is refused")
    func immutable() throws {
        let bench = try Bench()
        try bench.makeOutput()
        let file = try must("open", open("\(bench.path)/\(Self.top)/program", O_RDONLY | O_CLOEXEC))
        defer { close(file) }
        // FS_IOC_SETFLAGS, FS_IMMUTABLE_FL
        var flags: CInt = 0x10
        try must("ioctl", ioctl(file, 0x4008_6602, &flags))
        defer {
            flags = 0
            #expect(ioctl(file, 0x4008_6602, &flags) == 0)
        }
        #expect(
            try bench.take()
                == .refused(
                    Refusal(.outputAttributes, subject: [UInt8]("\(Bench.name)/program".utf8))))
    }

    @Test("a mount in an output is refused, and not walked")
    func mount() throws {
        let bench = try Bench()
        try bench.makeOutput()
        let place = "\(bench.path)/\(Self.top)/share"
        try must("mount", Glibc.mount("kiln-test", place, "tmpfs", 0, nil))
        defer { #expect(umount2(place, CInt(MNT_DETACH)) == 0) }
        #expect(
            try bench.take()
                == .refused(
                    Refusal(
                        .outputFileType, errno: EXDEV,
                        subject: [UInt8]("\(Bench.name)/share".utf8))))
    }
}

@Suite("Limits of outputs", .enabled(if: Privilege.runsTests)) struct TakeLimitTests {
    /// `top/program` 8, `top/share/text` 8; 5 entries; 2 directories inside one another.
    @Test(
        "what is exactly at a limit passes, and one more does not",
        arguments: [
            (OutputLimits(bytes: 16, entries: 5, depth: 2), nil),
            (OutputLimits(bytes: 15, entries: 5, depth: 2), Refusal.Reason.outputLimit),
            (OutputLimits(bytes: 16, entries: 4, depth: 2), Refusal.Reason.outputLimit),
            (OutputLimits(bytes: 16, entries: 5, depth: 1), Refusal.Reason.outputLimit),
        ], [false, true])
    func limits(_ limit: (OutputLimits, Refusal.Reason?), copies: Bool) throws {
        let bench = try Bench()
        try bench.makeOutput()
        switch try bench.take(limits: limit.0, copies: copies) {
        case .taken: #expect(limit.1 == nil)
        case .refused(let refusal): #expect(refusal.reason == limit.1)
        }
    }

    @Test("the limits are those of all outputs together")
    func together() throws {
        let limits = OutputLimits(bytes: 31, entries: 100, depth: 2)
        let bench = try Bench()
        try bench.makeOutput()
        try bench.makeOutput(Bench.second)
        guard
            case .refused(let refusal) = try bench.take([Bench.name, Bench.second], limits: limits)
        else {
            Issue.record("more than the limit was taken")
            return
        }
        #expect(refusal.reason == .outputLimit)
    }

    @Test("a hole is as long as it says")
    func holes() throws {
        let bench = try Bench()
        try bench.makeOutput()
        try must(
            "truncate", truncate("\(bench.path)/out/\(Bench.name)/program", off_t.max >> 20))
        guard case .refused(let refusal) = try bench.take() else {
            Issue.record("a file of terabytes was taken")
            return
        }
        #expect(refusal.reason == .outputLimit)
    }
}
