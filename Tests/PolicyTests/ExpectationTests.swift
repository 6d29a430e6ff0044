import Testing

@testable import Policy

@Suite("Expectations") struct ExpectationTests {
    static func load(_ text: String) throws -> [PolicyExpectation] {
        try loadExpectations(
            [PolicySource(name: "mine", file: "mine.toml", text: text)],
            of: try loadProfiles(ProfileTests.shipped()))
    }

    private func errors(_ text: String) throws -> [String] {
        do {
            _ = try Self.load(text)
            return []
        } catch let errors as PolicyErrors {
            return errors.errors.map {
                "\($0.line): \($0.message)" + ($0.suggestion.map { " \($0)" } ?? "")
            }
        }
    }

    private static let head = "schema = 1\nprofile = \"default\"\n"

    @Test("are read with their arguments")
    func reading() throws {
        let found = try Self.load(
            Self.head + """
                [expect.a]
                calls = ["socket", "socketpair"]
                with = { family = "AF_ALG", type = 3 }
                interface = "32-bit"
                answer = "deny"
                [expect.b]
                key = "limits.wall_time"
                at_most = "24h"
                """)
        #expect(found.map(\.name) == ["a", "b"])
        #expect(found.map(\.profiles) == [["default"], ["default"]])
        #expect(
            found[0].claim
                == .answer(
                    PolicyExpectation.CallClaim(
                        calls: ["socket", "socketpair"], arguments: [0: 38, 1: 3],
                        interface: .compatible, answer: .deny)))
        #expect(found[1].claim == .value(key: "limits.wall_time", .atMost, .string("24h")))
        #expect(found[1].origin.line == 8)
    }

    @Test(
        "with mistakes are refused at their place",
        arguments: [
            ("profil = \"x\"", "1: either `profile` or `profiles`"),
            (
                "profiles = [\"default\", \"strikt\"]\n[expect.a]\nexposure_at_most = \"1\"",
                "2: there is no profile `strikt` did you mean `strict`?"
            ),
        ])
    func mistakesAtTheTop(lines: String, expected: String) throws {
        #expect(try errors("schema = 1\n" + lines).contains { $0.hasPrefix(expected) })
    }

    @Test(
        "of one kind take what belongs to it only",
        arguments: [
            (
                "calls = \"mout\"\nanswer = \"deny\"",
                "4: there is no system call `mout` did you mean `mount`?"
            ),
            ("calls = \"mount\"", "3: `expect.a` lacks `answer`"),
            (
                "calls = \"mount\"\nanswer = \"EPREM\"",
                "5: there is no answer \"EPREM\" did you mean `EPERM`?"
            ),
            ("calls = \"mount\"\nanswer = \"deny\"\ninterface = \"x32\"", "6: `interface` must be"),
            ("calls = []\nanswer = \"deny\"", "4: `calls` must be"),
            (
                "calls = \"mount\"\nanswer = \"deny\"\nvalue = 1",
                "6: `value` does not go with `calls`"
            ),
            (
                "calls = \"mount\"\nanswer = \"deny\"\nanswr = 1",
                "6: unknown key `answr` did you mean `answer`?"
            ),
            (
                "calls = \"socket\"\nanswer = \"deny\"\nwith.famly = 1",
                "6: socket has no argument `famly`"
            ),
            (
                "calls = \"socket\"\nanswer = \"deny\"\nwith.family = \"1 || family == 2\"",
                "6: socket cannot have"
            ),
            ("calls = \"chmod\"\nanswer = \"deny\"\nwith.mode = 0x10000", "6: chmod cannot have"),
            (
                "calls = \"mount\"\nkey = \"network.mode\"\nanswer = \"deny\"",
                "3: `expect.a` needs exactly one"
            ),
            (
                "key = \"network.mod\"\nvalue = \"none\"",
                "4: no profile has a key `network.mod` did you mean"
            ),
            ("key = \"network.mode\"", "3: `key` needs exactly one"),
            ("key = \"network.mode\"\nat_most = \"nothing\"", "5: `network.mode` has no order"),
            ("key = \"identity.uid\"\nat_most = 5", "5: `identity.uid` has no order"),
            (
                "key = \"network.mode\"\nvalue = 1.5",
                "5: `value` cannot be a number with a fraction"
            ),
            ("no_looser_than = \"strikt\"", "4: there is no profile `strikt` did you mean"),
            ("exposure_at_most = \"11\"", "4: `exposure_at_most` must be"),
        ])
    func mistakes(lines: String, expected: String) throws {
        let found = try errors(Self.head + "[expect.a]\n" + lines)
        #expect(found.contains { $0.hasPrefix(expected) }, "\(found)")
    }

    @Test("a file without any is a mistake, and so is another schema")
    func empty() throws {
        #expect(
            try errors(Self.head) == [
                "1: there are no expectations in this file an expectation is a table `[expect.NAME]`"
            ])
        #expect(try errors("schema = 2\n") == ["1: `schema` must be 1"])
        #expect(try errors(Self.head + "expect = 1").contains { $0.contains("no expectations") })
    }

    /// What is wrong with `strict` against a claim about keys.
    private func fault(_ lines: String) throws -> String? {
        let profiles = try loadProfiles(ProfileTests.shipped())
        let claim = try Self.load("schema = 1\nprofile = \"strict\"\n[expect.a]\n" + lines)[0].claim
        return try ProfileTests.profile("strict").fault(against: claim, among: profiles)
    }

    @Test("about keys are met by the same value, or by one on the right side")
    func keys() throws {
        let strict = try #require(try ProfileTests.shipped().first { $0.name == "strict" })
        let lines = strict.text.split(separator: "\n", omittingEmptySubsequences: false)
        let line = try #require(lines.firstIndex { $0.hasPrefix("wall_time") }) + 1
        #expect(try fault("key = \"limits.wall_time\"\nvalue = \"4h\"") == nil)
        #expect(
            try fault("key = \"limits.wall_time\"\nvalue = \"5h\"")
                == "limits.wall_time is \"4h\" (strict.toml:\(line)), not \"5h\"")
        for bound in ["4h", "240m", "5h", "unlimited"] {
            #expect(try fault("key = \"limits.wall_time\"\nat_most = \"\(bound)\"") == nil)
        }
        #expect(
            try fault("key = \"limits.wall_time\"\nat_most = \"3h\"")
                == "limits.wall_time is \"4h\" (strict.toml:\(line)), not at most \"3h\"")
        #expect(try fault("key = \"limits.wall_time\"\nat_least = \"3h\"") == nil)
        #expect(try fault("key = \"limits.wall_time\"\nat_least = \"5h\"") != nil)
        #expect(try fault("key = \"network.mode\"\nat_most = \"proxy\"") == nil)
        #expect(try fault("key = \"network.mode\"\nat_least = \"loopback\"") != nil)
        #expect(
            try fault("key = \"env.set.X\"\nvalue = \"1\"") == "env.set.X is not set, not \"1\"")
        #expect(
            try fault("key = \"limits.processes\"\nat_most = 100")
                == "limits.processes is \"unlimited\", not at most 100")
    }

    @Test("about the whole profile compare everything")
    func whole() throws {
        #expect(
            try fault("no_looser_than = \"default\"")
                == "than default, syscalls is different for lsm_set_self_attr")
        #expect(try fault("no_looser_than = \"strict\"") == nil)
        #expect(try fault("exposure_at_most = \"1.0\"") == nil)
        #expect(
            try fault("exposure_at_most = \"0\"")?.hasPrefix(
                "the exposure is 0.08, more than 0.00; most of it: limits") == true)
    }
}
