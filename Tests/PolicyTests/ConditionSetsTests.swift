import Testing

@testable import Policy

@Suite("Sets of arguments") struct ConditionSetsTests {
    /// Conditions of every form, about the first arguments of `socket` and the mode of `chmod`.
    static let conditions: [(call: String, text: String)] = [
        ("chmod", "mode == 0o4755"), ("chmod", "mode != 0o644"), ("chmod", "mode < 0o100"),
        ("chmod", "mode <= 0o100"), ("chmod", "mode & 0o111 == 0"), ("chmod", "mode & 0o7 < 5"),
        ("chmod", "mode & 0o70 <= 0o20"), ("chmod", "mode & 0o100 == 1"),
        ("chmod", "mode in {1, 2, 0x10001}"), ("chmod", "mode & ~1 == 0o4000 || mode < 3"),
        ("chmod", "mode & 0 < 1"), ("chmod", "mode & 0 < 0"),
        ("socket", "family == 1 && type == 2"), ("socket", "family < 3 || protocol != 7"),
        ("socket", "(family in {1, 2} || type & 0xf == 3) && protocol <= 0x80000000"),
        ("socket", "family == AF_NETLINK && protocol in {NETLINK_ROUTE, 15}"),
    ]

    /// Argument lists at which one of the conditions may change its mind, and others.
    static let lists: [[UInt64]] = {
        var generator = SystemRandomNumberGenerator()
        let edges: [UInt64] = [
            0, 1, 2, 3, 4, 5, 7, 8, 0o20, 0o21, 0o70, 0o77, 0o100, 0o101, 0o111, 0o644, 0o4000,
            0o4001, 0o4755, 0x10001, 0x8000_0000, 0x8000_0001, 15, 16, 0xffff_ffff,
        ]
        return (0..<20_000).map { index in
            (0..<6).map { _ in
                index % 3 == 0
                    ? UInt64.random(in: 0...UInt64.max, using: &generator)
                    : edges.randomElement(using: &generator).map {
                        $0 | UInt64.random(in: 0...1, using: &generator) << 40
                    } ?? 0
            }
        }
    }()

    @Test("hold exactly the argument lists for which the condition holds", arguments: conditions)
    func membership(call: String, text: String) throws {
        let condition = try ConditionParser.parse(text, call: call)
        var sets = ConditionSets()
        let members = try sets.members(of: condition)
        let rest = try sets.complement(members)
        for list in Self.lists {
            #expect(sets.contains(members, list) == condition.holds(list), "\(list)")
            #expect(sets.contains(rest, list) != condition.holds(list), "\(list)")
        }
    }

    @Test(
        "are the same number when they are written differently",
        arguments: [
            ("mode < 4", "mode in {0, 1, 2, 3}"), ("mode <= 3", "mode < 4"),
            ("mode & 0o111 == 0", "mode & 0o100 == 0 && mode & 0o11 == 0"),
            ("mode == 1 || mode == 1 && mode == 2", "mode == 1"),
            ("mode != 0", "mode < 0xffffffff && mode != 0"),
        ])
    func equality(first: String, second: String) throws {
        let one = try ConditionParser.parse(first, call: "chmod")
        let other = try ConditionParser.parse(second, call: "chmod")
        var sets = ConditionSets()
        #expect(try sets.members(of: one) == sets.members(of: other))
    }

    private func direction(_ old: String?, _ new: String?) throws -> Direction {
        func denials(_ text: String?) throws -> [SyscallRule.Denial] {
            guard let text else { return [] }
            return [
                SyscallRule.Denial(
                    call: "chmod", condition: try ConditionParser.parse(text, call: "chmod"),
                    deniesWhen: true, action: .errno(1))
            ]
        }
        return argumentDirection(from: try denials(old), to: try denials(new))
    }

    @Test("tell which of two rules denies more")
    func directions() throws {
        #expect(try direction("mode == 1", "mode == 1") == .same)
        #expect(try direction("mode < 4", "mode in {0, 1, 2, 3}") == .same)
        #expect(try direction("mode == 1", "mode in {1, 2}") == .stricter)
        #expect(try direction("mode in {1, 2}", "mode == 1") == .looser)
        #expect(try direction("mode == 1", "mode == 2") == .different)
        #expect(try direction(nil, "mode == 1") == .stricter)
        #expect(try direction("mode & 0o6000 != 0", nil) == .looser)
        #expect(try direction("mode & 0o6000 != 0", "mode & 0o4000 != 0") == .looser)
        // No mode has these bits, so nothing is denied.
        #expect(try direction(nil, "mode & 0xff0000 != 0") == .same)
    }

    @Test("a rule that answers otherwise is different, even if it denies the same")
    func answers() throws {
        let condition = try ConditionParser.parse("mode == 1", call: "chmod")
        let one = SyscallRule.Denial(
            call: "chmod", condition: condition, deniesWhen: true, action: .errno(1))
        var other = one
        other.action = .errno(13)
        #expect(argumentDirection(from: [one], to: [other]) == .different)
    }
}
