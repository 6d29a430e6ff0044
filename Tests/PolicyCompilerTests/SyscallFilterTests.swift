import CSeccomp
import Glibc
import LaunchModel
import Testing

@testable import Policy
@testable import PolicyCompiler

@Suite("Compiled filters") struct SyscallFilterTests {
    static let kernels: [Architecture] = [.x86_64, .aarch64]

    /// Numbers to ask about: everything near the table, the bits of x32, and the far ends.
    static let numbers: [UInt32] =
        Array(0...600) + (0...600).map { 0x4000_0000 | $0 } + (983_000...983_060)
        + [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

    /// Values of an argument at which a condition may change its mind, with every other bit pattern of
    /// the half that it must not see.
    static func interesting(_ condition: Condition, _ values: inout [Int: Set<UInt64>]) {
        func add(_ argument: SyscallArgument, _ mask: UInt32, _ value: UInt32) {
            for near in [value, value &+ 1, value &- 1, value | ~mask, ~value, value & mask, mask] {
                for high: UInt64 in [0, 1, 0xffff_ffff] {
                    values[argument.index, default: []].insert(high << 32 | UInt64(near))
                }
            }
            // Every bit that the mask has, alone and in company.
            for bit in 0..<32 {
                values[argument.index, default: []].insert(1 << bit)
                values[argument.index, default: []].insert(UInt64(value) ^ 1 << bit)
                values[argument.index, default: []].insert(1 << 40 | 1 << bit)
            }
        }
        switch condition {
        case .compare(let argument, let mask, _, let value): add(argument, mask, value)
        case .isOneOf(let argument, let mask, let members):
            for value in members { add(argument, mask, value) }
        case .all(let parts), .any(let parts): for part in parts { interesting(part, &values) }
        }
    }

    /// Argument lists that reach every side of every question about a call.
    static func argumentLists(_ call: Syscall?, _ denials: [SyscallRule.Denial]) -> [[UInt64]] {
        let zero = [UInt64](repeating: 0, count: 6)
        var lists = [zero, [UInt64](repeating: .max, count: 6)]
        if let call, ["socketcall", "ipc"].contains(call.name) {
            // What these two do is their first argument's choice, and libseccomp has rules for that.
            for choice: UInt64 in 1...25 { lists.append([choice, 0, 0, 0, 0, 0]) }
        }
        var values: [Int: Set<UInt64>] = [:]
        for denial in denials { interesting(denial.condition, &values) }
        for (index, candidates) in values {
            for value in candidates {
                for list in [zero, [UInt64](repeating: .max, count: 6)] {
                    var list = list
                    list[index] = value
                    lists.append(list)
                }
            }
        }
        // Pairs, for conditions on two arguments.
        let indices = values.keys.sorted()
        for (position, first) in indices.enumerated() {
            for second in indices[(position + 1)...] {
                for one in (values[first] ?? []).sorted().prefix(64) {
                    for other in (values[second] ?? []).sorted().prefix(64) {
                        var list = zero
                        list[first] = one
                        list[second] = other
                        lists.append(list)
                    }
                }
            }
        }
        return lists
    }

    /// A call as the words of `struct seccomp_data`.
    static func words(number: UInt32, architecture: UInt32, arguments: [UInt64]) -> [UInt32] {
        [number, architecture, 0, 0]
            + arguments.flatMap {
                [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)]
            }
    }

    /// Whether what a filter returns is what the policy says, itself or by what the listener answers.
    static func means(
        _ answer: UInt32, _ expected: SyscallAction, _ compiled: CompiledProfile,
        _ told: ToldDenials, _ call: Syscall?, _ arguments: [UInt64]
    ) -> Bool {
        guard answer & 0xffff_0000 == 0x7fc0_0000 else { return answer == expected.returnValue }
        let index = Int(answer & 0xffff)
        guard compiled.denials.indices.contains(index), let call,
            expected == .errno(compiled.denials[index].errno)
        else { return false }
        // It names the words that deny this very call.
        switch told.all[index].cause {
        case .call(let name): return name == call.name
        case .group(let name): return name == call.group
        case .unlisted: return true
        case .rule(let name):
            return told.policy.rules.first { $0.name == name }?.denials.contains {
                $0.call == call.name && $0.applies(to: arguments)
            } ?? false
        }
    }

    /// Compares a compiled filter with the policy's words for every number, interface and argument class.
    ///
    /// Returns how many answers were compared.
    static func compare(_ profile: Profile, kernel: Architecture) throws -> Int {
        let compiled = try compile(profile, for: kernel)
        let filter = try FilterInterpreter(compiled.filter)
        // What the first process of a sandbox answers by; it must agree with the kernel's reading.
        let program = try FilterProgram(compiled.filter)
        let told = profile.toldDenials
        var compared = 0
        for architecture in Architecture.allCases {
            let table = Syscall.byNumber(on: architecture)
            for number in numbers {
                let denials = table[number].map { profile.syscalls.denials(of: $0) } ?? []
                for arguments in argumentLists(table[number], denials) {
                    let expected = profile.syscalls.answer(
                        to: number, on: architecture, from: kernel, arguments: arguments,
                        table: table)
                    let answer = filter.run(
                        number: number, architecture: architecture.auditValue, arguments: arguments)
                    compared += 1
                    let words = words(
                        number: number, architecture: architecture.auditValue, arguments: arguments)
                    if program.answer(to: words) != answer
                        || !means(answer, expected, compiled, told, table[number], arguments)
                    {
                        Issue.record(
                            "\(profile.name) for \(kernel): \(table[number]?.name ?? "unknown") \(number) on \(architecture) with \(arguments): \(String(answer, radix: 16)), not \(expected)"
                        )
                        return compared
                    }
                }
            }
        }
        // Interfaces that no kernel of ours has: riscv64, nothing, everything.
        for stranger: UInt32 in [0xC000_00F3, 0, .max] {
            for number in numbers {
                let answer = filter.run(
                    number: number, architecture: stranger,
                    arguments: [UInt64](repeating: 0, count: 6))
                compared += 1
                #expect(answer == SyscallAction.kill.returnValue)
            }
        }
        return compared
    }

    @Test(
        "the filter of a shipped profile answers every call as the policy says, on every interface",
        arguments: Profiles.names, kernels)
    func shipped(name: String, kernel: Architecture) throws {
        let profile = try Profiles.profile(name)
        #expect(try Self.compare(profile, kernel: kernel) > 5000)
    }

    @Test(
        "every form of condition means in the filter what it means in the policy",
        arguments: [
            "deny_when = \"mode == 0o4755\"", "deny_when = \"mode != 0o644\"",
            "deny_when = \"mode < 0o100\"", "deny_when = \"mode <= 0o100\"",
            "allow_when = \"mode < 0o100\"", "allow_when = \"mode & 0o111 == 0\"",
            "allow_when = \"mode & 0o111 != 0o111 && mode & 0o222 != 0\"",
            "deny_when = \"mode & 0o100 == 1\"", "deny_when = \"mode in {1, 2, 0x10001}\"",
            "allow_when = \"(mode == 1 || mode == 2) && (mode & 1 == 1 || mode & 4 == 4)\"",
            "deny_when = \"mode == 1 && mode == 2 || mode & ~1 == 0o4000\"",
        ])
    func conditions(question: String) throws {
        let profile = try Profiles.mine(
            """
            [syscalls.rule.no-setid-bits]
            enabled = false
            [syscalls.rule.question]
            calls = ["chmod", "fchmodat2", "mkdirat"]
            action = "EACCES"
            \(question)
            """)
        for kernel in Self.kernels { #expect(try Self.compare(profile, kernel: kernel) > 5000) }
    }

    @Test("several rules about one call, and questions about several arguments, all count")
    func several() throws {
        let profile = try Profiles.mine(
            """
            [syscalls.rule.one]
            calls = ["fcntl", "fcntl64"]
            action = "EACCES"
            deny_when = "fd == 3 && cmd in {7, 9, 11}"
            [syscalls.rule.two]
            calls = ["fcntl", "fcntl64"]
            action = "EACCES"
            allow_when = "fd < 1000 || cmd != 2"
            [syscalls.rule.options]
            calls = ["setsockopt"]
            action = "EPERM"
            deny_when = "level == 1 && optname & 0xff00 != 0 || level == 0xffffffff"
            """)
        for kernel in Self.kernels { #expect(try Self.compare(profile, kernel: kernel) > 5000) }
    }

    @Test("a condition with hundreds of values still finds its way over long jumps")
    func longJumps() throws {
        let values = (0..<400).map { String($0 * 3) }.joined(separator: ", ")
        let profile = try Profiles.mine(
            """
            [syscalls.rule.long]
            calls = ["prctl", "personality"]
            action = "EPERM"
            deny_when = "%ARGUMENT% in {\(values)}"
            """.replacing("[\"prctl\", \"personality\"]", with: "[\"prctl\"]")
                .replacing("%ARGUMENT%", with: "option"))
        for kernel in Self.kernels { #expect(try Self.compare(profile, kernel: kernel) > 5000) }
    }

    @Test(
        "32-bit programs and unknown numbers get what the profile says, whatever it is",
        arguments: ["kill", "EPERM", "allow-listed", "ENOSYS"], ["kill", "EPERM"])
    func foreign(foreign: String, unknown: String) throws {
        let profile = try Profiles.mine(
            "[syscalls]\nforeign = \"\(foreign)\"\ndefault = \"\(unknown)\"\n")
        for kernel in Self.kernels { #expect(try Self.compare(profile, kernel: kernel) > 5000) }
    }

    @Test("a filter that the kernel would not take is an error, not a shorter filter")
    func tooLong() throws {
        let values = (0..<560).map { String($0 * 3) }.joined(separator: ",")
        let rules = (0..<9).map {
            """
            [syscalls.rule.long\($0)]
            calls = ["prctl"]
            action = "EPERM"
            deny_when = "option in {\(values)}"

            """
        }
        let profile = try Profiles.mine(rules.joined())
        #expect {
            _ = try compile(profile)
        } throws: { error in
            if case PolicyCompileError.tooLong = error { true } else { false }
        }
    }

    @Test("no two calls of an interface share a number, and libseccomp has no other name for one")
    func table() {
        for architecture in Architecture.allCases {
            let numbers = Syscall.all.compactMap { $0.number(on: architecture) }
            #expect(Set(numbers).count == numbers.count)
            let table = Syscall.byNumber(on: architecture)
            for number in Int32(0)...600 {
                guard let name = seccomp_syscall_resolve_num_arch(architecture.auditValue, number)
                else { continue }
                defer { free(name) }
                #expect(table[UInt32(number)]?.name == String(cString: name), "\(architecture)")
            }
        }
    }

    @Test("libseccomp answers for most numbers, and the prologue for those it would get wrong")
    func division() throws {
        let profile = try Profiles.profile("default")
        let policy = profile.syscalls
        let routing = SyscallRouting(policy, profile.toldDenials, on: .x86)
        // `socket` would become a rule for `socketcall` too.
        let socket = try #require(Syscall.byName["connect"]?.number(on: .x86))
        let range = try #require(routing.ranges.last { $0.start <= socket })
        #expect(range.treatment == .answer(SyscallAction.allow.returnValue))
        #expect(routing.table.count > 200)
        #expect(!routing.table.contains { $0.action == policy.unknown })
    }
}
