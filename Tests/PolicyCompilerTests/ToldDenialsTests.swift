import LaunchModel
import Testing

@testable import Policy
@testable import PolicyCompiler

@Suite("Denials that are told") struct ToldDenialsTests {
    /// A profile with its filter.
    struct Compiled {
        let profile: Profile
        let denials: [CompiledDenial]
        let program: FilterProgram

        init(_ profile: Profile) throws {
            self.profile = profile
            let compiled = try compile(profile, for: .x86_64)
            denials = compiled.denials
            program = try FilterProgram(compiled.filter)
        }

        /// What the launcher tells of one call, by the filter itself.
        func told(
            _ name: String, _ arguments: [UInt64] = [], on architecture: Architecture = .x86_64,
            by caller: [UInt8] = [UInt8]("cp".utf8)
        ) throws -> DeniedCall? {
            let number = try #require(Syscall.byName[name]?.number(on: architecture))
            let call = SyscallFilterTests.words(
                number: number, architecture: architecture.auditValue,
                arguments: arguments + [UInt64](repeating: 0, count: 6 - arguments.count))
            let answer = program.answer(to: call)
            guard answer & FilterProgram.actionMask == FilterProgram.toldAction else { return nil }
            let index = Int(answer & ~FilterProgram.actionMask)
            return DeniedCall(
                denial: UInt16(index), architecture: architecture.auditValue, number: number,
                arguments: denials[index].arguments.map { call[4 + 2 * Int($0.index)] & $0.mask },
                program: caller, count: 3)
        }
    }

    static func told(
        _ profile: Profile, _ name: String, _ arguments: [UInt64] = [],
        on architecture: Architecture = .x86_64, program: [UInt8] = [UInt8]("cp".utf8)
    ) throws -> DeniedCall? {
        try Compiled(profile).told(name, arguments, on: architecture, by: program)
    }

    static func explanation(
        _ profile: Profile, _ name: String, _ arguments: [UInt64] = [],
        on architecture: Architecture = .x86_64
    ) throws -> DenialExplanation {
        let call = try #require(try told(profile, name, arguments, on: architecture))
        return try #require(profile.toldDenials.explanation(of: call, from: .x86_64))
    }

    @Test("a denial is explained by the call, the line that denies and the setting that allows")
    func explained() throws {
        let profile = try Profiles.profile("default")
        let mount = try Self.explanation(profile, "mount")
        #expect(mount.spelledCall == "mount(2)")
        #expect(mount.answer == "EPERM")
        #expect(mount.policy == "default")
        #expect(mount.policyFile == "default.toml")
        let lines = try #require(try Profiles.shipped().first { $0.name == "strict" })
            .text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(mount.origin.file == "strict.toml")
        #expect(lines[mount.origin.line - 1].hasPrefix("\"@mount\""))
        #expect(mount.allowWith == "[syscalls] mount = \"allow\"")
        // The call's own line, which stands in the profile itself.
        let pages = try Self.explanation(
            try Profiles.mine("[syscalls]\nunshare = \"EPERM\"\n"), "unshare")
        #expect(pages.origin.file == "mine.toml")
        #expect(pages.origin.line == 6)
        let chmod = try Self.explanation(profile, "fchmod", [3, 0o6755], on: .x86)
        #expect(chmod.spelledCall == "fchmod(2) of x86 with mode=0o6000")
        #expect(lines[chmod.origin.line - 1] == "[syscalls.rule.no-setid-bits]")
        #expect(chmod.reason == "set-id files must never reach the store")
    }

    @Test("what no line names is explained by the default")
    func unlisted() throws {
        let text = try #require(try Profiles.shipped().first { $0.name == "strict" }).text
            .replacing("\"@mount\"       = \"EPERM\"\n", with: "")
        var profile = try #require(
            try loadProfiles([PolicySource(name: "strict", file: "strict.toml", text: text)]).first)
        profile.shell.value = []
        let mount = try Self.explanation(profile, "mount")
        #expect(mount.answer == "ENOSYS")
        let line = text.split(separator: "\n", omittingEmptySubsequences: false)[
            mount.origin.line - 1]
        #expect(line.hasPrefix("default "))
        #expect(mount.allowWith == "[syscalls] mount = \"allow\"")
    }

    /// Calls of every kind of denial.
    static let calls: [(String, [UInt64])] = [
        ("mount", []), ("setns", [3, 0]), ("personality", [0x123]),
        ("socket", [38, 5, 0]), ("socket", [16, 3, 9]), ("unshare", [0x1002_0000]),
        ("unshare", [0x80]), ("clone", [0x2000_0011]), ("fchmodat2", [0, 0, 0o4755, 0]),
        ("mknodat", [0, 0, 0o20644, 0]), ("ioctl", [0, 0x5412]), ("ioctl", [0, 0x4008_6602]),
    ]

    @Test(
        "the setting that is named allows the call, and no other of its rule",
        arguments: ["default", "strict"])
    func advice(name: String) throws {
        let before = try Compiled(try Profiles.profile(name))
        func isDenied(_ compiled: Compiled, _ call: (String, [UInt64])) throws -> Bool {
            try compiled.told(call.0, call.1) != nil
        }
        let denied = try Self.calls.filter { try isDenied(before, $0) }
        #expect(denied.count == Self.calls.count)
        for (index, call) in denied.enumerated() {
            let told = try #require(try before.told(call.0, call.1))
            let advice = try #require(
                before.profile.toldDenials.explanation(of: told, from: .x86_64)
            ).allowWith
            let closing = try #require(advice.firstIndex(of: "]"))
            let after = try Compiled(
                try Profiles.mine(
                    "\(advice[...closing])\n\(advice[advice.index(after: closing)...])\n",
                    extending: name))
            for (other, remaining) in denied.enumerated() {
                #expect(
                    try isDenied(after, remaining) == (other != index),
                    "\(advice): \(remaining)")
            }
        }
    }

    @Test(
        "rules that answer differently are apart only if no call fits both",
        arguments: [
            ("cmd in {1, 2} && fd != 3", true), ("fd != 3 && (cmd == 1 || cmd in {2, 4})", true),
            ("cmd == 1 || fd == 3", false), ("cmd in {1, 5} && fd == 3", false),
            ("cmd != 5", false),
        ])
    func apart(condition: String, isApart: Bool) throws {
        func load() throws -> Profile {
            try Profiles.mine(
                """
                [syscalls.rule.one]
                calls = ["fcntl"]
                action = "EACCES"
                deny_when = "\(condition)"
                [syscalls.rule.other]
                calls = ["fcntl"]
                action = "EPERM"
                deny_when = "cmd in {5, 6}"
                """)
        }
        if isApart {
            #expect(try load().name == "mine")
        } else {
            #expect(throws: PolicyErrors.self) { try load() }
        }
    }

    @Test("a rule that asks not to be told is not, and denies all the same")
    func silent() throws {
        let profile = try Profiles.mine("[syscalls.rule.no-setid-bits]\nlog = false\n")
        #expect(try Self.told(profile, "fchmod", [3, 0o4755]) == nil)
        let filter = try Profiles.filter(profile, for: .x86_64)
        let number = try #require(Syscall.byName["fchmod"]?.number(on: .x86_64))
        let answer = filter.run(
            number: number, architecture: Architecture.x86_64.auditValue,
            arguments: [3, 0o4755, 0, 0, 0, 0])
        #expect(answer == SyscallAction.errno(1).returnValue)
        #expect(try Self.told(profile, "mount") != nil)
    }

    @Test("calls that are made by the thousand are not told")
    func hot() throws {
        for name in ["strict", "default"] {
            let profile = try Profiles.profile(name)
            for call in ["clone3", "getxattr", "lgetxattr", "lsetxattr", "io_uring_setup"] {
                #expect(try Self.told(profile, call) == nil)
            }
        }
    }

    @Test("what no filter of this profile can have said is not explained")
    func nonsense() throws {
        let profile = try Profiles.profile("default")
        let good = try #require(try Self.told(profile, "socket", [38, 1, 0]))
        let told = profile.toldDenials
        #expect(told.explanation(of: good) != nil)
        var bad = good
        bad.denial = UInt16(told.all.count)
        #expect(told.explanation(of: bad) == nil)
        bad = good
        bad.architecture = 0xC000_00F3
        #expect(told.explanation(of: bad) == nil)
        bad = good
        bad.number = 5000
        #expect(told.explanation(of: bad) == nil)
        bad = good
        bad.arguments.append(0)
        #expect(told.explanation(of: bad) == nil)
    }

    @Test("the name of a program cannot be taken for anything else")
    func program() throws {
        let profile = try Profiles.profile("default")
        let call = try #require(
            try Self.told(
                profile, "mount", program: [UInt8]("a b,\"\\\u{1b}[m".utf8) + [0xff, 0x0a]))
        #expect(
            profile.toldDenials.explanation(of: call)?.program
                == "a\\x20b\\x2c\\x22\\x5c\\x1b[m\\xff\\x0a")
    }
}
