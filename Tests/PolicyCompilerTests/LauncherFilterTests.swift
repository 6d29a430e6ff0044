import Foundation
import LaunchModel
import Policy
import Testing

@testable import LauncherCore
@testable import PolicyCompiler

@Suite("The filters of the launcher's own processes") struct LauncherFilterTests {
    static let kernels: [Architecture] = [.x86_64, .aarch64]
    /// Every number that any interface has, those of x32, and the far ends.
    static let numbers: [UInt32] =
        Array(0...1023) + (0...1023).map { 0x4000_0000 | $0 } + (983_000...983_060)
        + [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
    static let zero = [UInt64](repeating: 0, count: 6)
    static let allow = SyscallAction.allow.returnValue
    static let kill = SyscallAction.kill.returnValue
    static let notPermitted = SyscallAction.errno(1).returnValue
    static let notImplemented = SyscallAction.notImplemented.returnValue

    static func name(_ call: ListedCall) -> String { "\(call.name)" }

    @Test("their tables have the numbers that the policy compiler has, and no call twice")
    func tables() throws {
        for call in ForbiddenCalls.all {
            let known = try #require(Syscall.byName[Self.name(call)])
            for architecture in Architecture.allCases {
                #expect(
                    call.number(on: architecture) == known.number(on: architecture),
                    "\(call.name) on \(architecture)")
            }
        }
        for allowed in LauncherFilters.workerCalls {
            let known = try #require(Syscall.byName[Self.name(allowed.call)])
            for kernel in Self.kernels {
                #expect(
                    allowed.call.number(on: kernel) == known.number(on: kernel),
                    "\(allowed.call.name) on \(kernel)")
            }
        }
        let workers = LauncherFilters.workerCalls.map { Self.name($0.call) }
        for names in [ForbiddenCalls.all.map(Self.name), workers] {
            #expect(Set(names).count == names.count)
        }
        #expect(workers.count <= 40)
        #expect(Set(workers).isDisjoint(with: ForbiddenCalls.all.map(Self.name)))
    }

    @Test(
        "what no profile may allow is denied on every interface, and everything else let through",
        arguments: kernels)
    func inherited(kernel: Architecture) throws {
        let filter = try FilterInterpreter(LauncherFilters.inherited(on: kernel))
        let denied = Set(ForbiddenCalls.denied.map(Self.name))
        let absent = Set(ForbiddenCalls.absent.map(Self.name))
        var found: Set<String> = []
        for architecture in Architecture.allCases {
            let table = Syscall.byNumber(on: architecture)
            for number in Self.numbers {
                let name = table[number]?.name
                let answer = filter.run(
                    number: number, architecture: architecture.auditValue, arguments: Self.zero)
                let expected: UInt32
                if architecture != kernel, architecture != kernel.compatible {
                    expected = Self.kill
                } else if architecture == .x86_64, number >= 0x4000_0000 {
                    expected = Self.notImplemented
                } else if let name, denied.contains(name) {
                    expected = Self.notPermitted
                } else if let name, absent.contains(name) || name == "keyctl" {
                    expected = Self.notImplemented
                } else {
                    expected = Self.allow
                }
                #expect(answer == expected, "\(name ?? "-") \(number) on \(architecture)")
                if let name, answer != Self.allow, answer != Self.kill { found.insert(name) }
            }
            for stranger: UInt32 in [0xC000_00F3, 0, .max] {
                #expect(
                    filter.run(number: 0, architecture: stranger, arguments: Self.zero)
                        == Self.kill)
            }
        }
        let pci = ["pciconfig_iobase", "pciconfig_read", "pciconfig_write"]
        let x86Only = Set(ForbiddenCalls.all.map(Self.name)).subtracting(found)
        // What no interface of this kernel has cannot be denied on it.
        #expect(
            x86Only.allSatisfy { name in
                kernel == .x86_64
                    ? pci.contains(name)
                    : Syscall.byName[name]?.number(on: .aarch64) == nil
                        && Syscall.byName[name]?.number(on: .arm) == nil
            })
    }

    @Test("keyctl does one thing, and its upper half does not matter", arguments: kernels)
    func keyControl(kernel: Architecture) throws {
        let filter = try FilterInterpreter(LauncherFilters.inherited(on: kernel))
        let number = try #require(ForbiddenCalls.keyControl.number(on: kernel))
        for operation: UInt64 in Array(0...64) + [1 << 31, 0xffff_ffff] {
            for high: UInt64 in [0, 1, 0xffff_ffff] {
                let answer = filter.run(
                    number: number, architecture: kernel.auditValue,
                    arguments: [high << 32 | operation, 0, 0, 0, 0, 0])
                #expect(answer == (operation == 1 ? Self.allow : Self.notImplemented))
            }
        }
    }

    @Test(
        "a worker gets its calls, with the arguments it needs, and dies of others",
        arguments: kernels)
    func worker(kernel: Architecture) throws {
        let filter = try FilterInterpreter(LauncherFilters.worker(on: kernel))
        var rules: [UInt32: AllowedCall] = [:]
        for allowed in LauncherFilters.workerCalls {
            rules[try #require(allowed.call.number(on: kernel))] = allowed
        }
        for architecture in Architecture.allCases {
            for number in Self.numbers {
                let rule = architecture == kernel ? rules[number] : nil
                var fitting = Self.zero
                for test in rule?.tests ?? [] { fitting[test.argument] = UInt64(test.value) }
                #expect(
                    filter.run(
                        number: number, architecture: architecture.auditValue, arguments: fitting)
                        == (rule == nil ? Self.kill : Self.allow), "\(number) on \(architecture)")
                for test in rule?.tests ?? [] {
                    for bit in 0..<32 where test.mask & 1 << UInt32(bit) != 0 {
                        var other = fitting
                        other[test.argument] ^= 1 << UInt64(bit)
                        #expect(
                            filter.run(
                                number: number, architecture: architecture.auditValue,
                                arguments: other) == Self.kill, "\(number), bit \(bit)")
                    }
                    var high = fitting
                    high[test.argument] |= 1 << 40
                    #expect(
                        filter.run(
                            number: number, architecture: architecture.auditValue, arguments: high)
                            == Self.allow)
                }
            }
        }
    }

    @Test("a worker cannot make a set-id file, give one away, map a program or open a socket")
    func workerArguments() throws {
        let filter = try FilterInterpreter(LauncherFilters.worker(on: .host))
        func answer(_ name: String, _ arguments: [UInt64]) throws -> UInt32 {
            let number = try #require(Syscall.byName[name]?.number(on: .host))
            return filter.run(
                number: number, architecture: Architecture.host.auditValue,
                arguments: arguments + [UInt64](repeating: 0, count: 6 - arguments.count))
        }
        #expect(try answer("fchmod", [3, 0o555]) == Self.allow)
        #expect(try answer("fchmod", [3, 0o4555]) == Self.kill)
        #expect(try answer("fchmod", [3, 0o2555]) == Self.kill)
        #expect(try answer("fchownat", [3, 0, 0, 0]) == Self.allow)
        #expect(try answer("fchownat", [3, 0, 1000, 0]) == Self.kill)
        #expect(try answer("fchownat", [3, 0, 0, 1000]) == Self.kill)
        #expect(try answer("fcntl", [3, 1024, 0]) == Self.allow)
        #expect(try answer("fcntl", [3, 4, 0]) == Self.kill)
        #expect(try answer("mmap", [0, 4096, 3]) == Self.allow)
        #expect(try answer("mmap", [0, 4096, 5]) == Self.kill)
        #expect(try answer("ioctl", [3, 0x4004_9409]) == Self.allow)
        #expect(try answer("ioctl", [3, 0x4008_6602]) == Self.kill)
        for name in [
            "socket", "execve", "execveat", "kill", "mount", "ptrace", "setresuid", "prctl",
        ] {
            #expect(try answer(name, []) == Self.kill, "\(name)")
        }
    }

    @Test("the kernel takes both, and answers as they say")
    func loaded() throws {
        func call(_ filter: [UInt8]?, _ name: String, _ arguments: [UInt64] = []) throws -> String {
            let number = try #require(Syscall.byName[name]?.number(on: .host))
            let outcome = try LoadedFilterTests.run(
                filter: filter, ["call", String(number)] + arguments.map { String($0) })
            return outcome.status == 0 ? outcome.output : "status \(outcome.status)"
        }
        let inherited = LauncherFilters.inherited(on: .host)
        // Without it the kernel answers otherwise, so the filter is what is measured.
        for name in ["io_uring_setup", "add_key", "request_key"] {
            #expect(try call(nil, name) != "-38")
            #expect(try call(inherited, name) == "-38")
        }
        #expect(try call(nil, "quotactl", [0, 0, 0, 0]) != "-1")
        #expect(try call(inherited, "quotactl", [0, 0, 0, 0]) == "-1")
        #expect(try call(nil, "keyctl", [0, 0]) != "-38")
        #expect(try call(inherited, "keyctl", [0, 0]) == "-38")
        #expect(try call(inherited, "keyctl", [1, 0]) != "-38")
        #expect(try call(inherited, "getppid") != "-38")
        let worker = LauncherFilters.worker(on: .host)
        // The helper itself makes calls that a worker does not.
        #expect(try call(nil, "getppid") != "status -31")
        #expect(try call(worker, "getppid") == "status -31")
    }

    @Test("the calls that a trace of the launcher's tests found are all a worker's filter's")
    func traced() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let list = try String(
            contentsOf: root.appending(path: "Launcher/syscalls.txt"), encoding: .utf8)
        let calls = list.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(
            Set(calls.map { $0[0] }).isSuperset(of: ["builder", "launcher", "sandbox", "worker"]))
        let workers = Set(LauncherFilters.workerCalls.map { Self.name($0.call) })
        for call in calls where call[0] == "worker" {
            #expect(workers.contains(call[1]), "\(call[1])")
        }
        for call in calls where call[1] != "keyctl" {
            #expect(!Syscall.forbidden.contains(call[1]), "\(call[1])")
        }
    }

    @Test("no shipped profile allows what no profile may allow", arguments: Profiles.names)
    func shipped(name: String) throws {
        let policy = try Profiles.profile(name).syscalls
        for call in Syscall.all where call.isForbidden {
            #expect(policy.action(of: call) != .allow, "\(call.name)")
        }
    }
}
