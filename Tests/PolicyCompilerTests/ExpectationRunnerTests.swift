import Foundation
import Policy
import Testing

@testable import PolicyCompiler

@Suite("Expectations of filters") struct ExpectationRunnerTests {
    /// What comes of expectations when `mine` is a profile with these lines.
    private func report(
        _ lines: String, expecting expectation: String
    ) throws -> ExpectationReport {
        let sources =
            try Profiles.shipped() + [
                PolicySource(
                    name: "mine", file: "mine.toml",
                    text: "schema = 1\nextends = \"strict\"\n" + lines)
            ]
        let profiles = try loadProfiles(sources)
        let expectations = try loadExpectations(
            [
                PolicySource(
                    name: "tests", file: "tests.toml",
                    text: "schema = 1\nprofile = \"mine\"\n[expect.it]\n" + expectation)
            ], of: profiles)
        return try check(expectations, of: profiles)
    }

    @Test("those that are shipped are met by the shipped profiles")
    func shipped() throws {
        let directory = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(
                path: "policies/tests")
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .filter { $0.hasSuffix(".toml") }
        let profiles = try loadProfiles(Profiles.shipped())
        let sources = try names.sorted().map { name in
            PolicySource(
                name: name, file: name,
                text: try String(contentsOf: directory.appending(path: name), encoding: .utf8))
        }
        let expectations = try loadExpectations(sources, of: profiles)
        let report = try check(expectations, of: profiles)
        #expect(report.failures.map(\.description) == [])
        #expect(report.checked > 90)
        // Every profile has some.
        #expect(Set(expectations.flatMap(\.profiles)) == Set(Profiles.names))
    }

    @Test(
        "fail when a profile answers otherwise, and name the line that makes it so",
        arguments: [
            (
                "", "calls = \"mount\"\nanswer = \"allow\"",
                "gets EPERM by syscalls.\"@mount\" (strict.toml:"
            ),
            (
                "[syscalls]\nmount = \"allow\"", "calls = \"mount\"\nanswer = \"deny\"",
                "gets allow by syscalls.mount (mine.toml:4), not deny"
            ),
            ("", "calls = \"mount\"\nanswer = \"ENOSYS\"", "gets EPERM"),
            (
                "[syscalls.rule.socket-families]\nenabled = false",
                "calls = \"socket\"\nwith.family = \"AF_ALG\"\nanswer = \"deny\"",
                "gets allow by syscalls.\"@socket\""
            ),
            (
                "", "calls = \"socket\"\nwith.family = \"AF_ALG\"\nanswer = \"allow\"",
                "gets EAFNOSUPPORT by syscalls.rule.socket-families (strict.toml:"
            ),
            // Some netlink protocols are allowed, others are not: which, the claim must say.
            (
                "", "calls = \"socket\"\nwith.family = \"AF_NETLINK\"\nanswer = \"deny\"",
                "gets allow"
            ),
            (
                "", "calls = \"socket\"\nwith.family = \"AF_NETLINK\"\nanswer = \"allow\"",
                "gets EAFNOSUPPORT"
            ),
            (
                "", "calls = \"read\"\ninterface = \"32-bit\"\nanswer = \"allow\"",
                "gets kill by syscalls.foreign"
            ),
            (
                "[network]\nmode = \"loopback\"", "key = \"network.mode\"\nvalue = \"none\"",
                "network.mode is \"loopback\" (mine.toml:4)"
            ),
        ])
    func failures(lines: String, expectation: String, words: String) throws {
        let report = try report(lines, expecting: expectation)
        #expect(report.checked == 1)
        #expect(report.failures.count == 1)
        let text = report.failures.first?.description ?? ""
        #expect(text.hasPrefix("tests.toml:3:1: failed: it, profile mine: "), "\(text)")
        #expect(text.contains(words), "\(text)")
    }

    @Test(
        "hold for every value of the arguments that they leave open",
        arguments: [
            "calls = \"socket\"\nwith.family = \"AF_ALG\"\nanswer = \"EAFNOSUPPORT\"",
            "calls = \"socket\"\nwith = { family = \"AF_NETLINK\", protocol = 0 }\nanswer = \"allow\"",
            "calls = [\"chmod\", \"fchmodat2\"]\nwith.mode = 0o6755\nanswer = \"EPERM\"",
            "calls = \"unshare\"\nwith.flags = \"CLONE_NEWUSER | CLONE_NEWNS\"\nanswer = \"deny\"",
        ])
    func met(expectation: String) throws {
        #expect(try report("", expecting: expectation).failures == [])
    }

    @Test("a program is listed with what each instruction does")
    func listing() throws {
        let lines = try Profiles.filter(try Profiles.profile("strict")).listing
        #expect(lines[0].hasSuffix("A = architecture"))
        #expect(lines.contains { $0.hasSuffix("return error 38") })
        #expect(lines.contains { $0.hasSuffix("return allow") })
        #expect(lines.contains { $0.contains("A = argument 1, low half") })
        #expect(lines.contains { $0.contains("if A >= 0x40000000 goto ") })
        // Every jump leads to a line that is there.
        for line in lines {
            let words = line.split(separator: " ")
            for (word, next) in zip(words, words.dropFirst()) where ["goto", "else"].contains(word)
            {
                let target = try #require(Int(next))
                #expect(target < lines.count)
            }
        }
    }
}
