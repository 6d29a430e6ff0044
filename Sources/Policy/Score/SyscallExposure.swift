// What a profile's answers to system calls expose, asked of the policy itself: what counts is what a builder
// gets, not which key says so.
extension Profile {
    var syscallExposure: [ExposureItem] {
        [
            defaultExposure, foreignExposure, namespaceExposure, setIdExposure, familyExposure,
            groupExposure("kernel", 1500, "modules, kexec, bpf and the like"),
            groupExposure("mount", 500, "mounts"), groupExposure("mount-new", 500, "mounts"),
            groupExposure("io-uring", 1000, "requests that no filter sees"),
            groupExposure("perf", 700, "performance counters"),
            groupExposure("userfault", 700, "stopping the kernel in the middle of a copy"),
            groupExposure("keyring", 700, "keys that are not divided by namespaces"),
            groupExposure("xattr", 500, "attributes that outputs could smuggle"),
            groupExposure("debug", 400, "tracing of a builder's own processes"),
        ]
    }

    /// What a call gets on the host's own interface, with these first arguments and zeros behind them.
    private func answer(_ call: String, _ arguments: UInt64...) -> SyscallAction {
        guard let call = Syscall.byName[call] else { return .allow }
        let all = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
        for denial in syscalls.denials(of: call) where denial.applies(to: all) {
            return denial.action
        }
        return syscalls.action(of: call)
    }

    private var defaultExposure: ExposureItem {
        ExposureItem(
            name: "syscalls.default", weight: 1500, badness: syscalls.unknown == .allow ? 10 : 0,
            reason: "calls that nothing names get \(syscalls.unknown)")
    }

    private var foreignExposure: ExposureItem {
        switch syscalls.foreign {
        case .sameAsNative:
            ExposureItem(
                name: "syscalls.foreign", weight: 1000, badness: 3,
                reason: "the 32-bit interface is open, under the same list")
        case .action(let action):
            ExposureItem(
                name: "syscalls.foreign", weight: 1000, badness: action == .allow ? 10 : 0,
                reason: "32-bit programs get \(action)")
        }
    }

    private var namespaceExposure: ExposureItem {
        let flags: [(String, UInt64)] = [
            ("user", 0x1000_0000), ("mount", 0x2_0000), ("network", 0x4000_0000),
            ("pid", 0x2000_0000),
        ]
        let open = flags.filter {
            answer("clone", $0.1) == .allow || answer("unshare", $0.1) == .allow
        }
        .map(\.0)
        let hidden = answer("clone3") == .allow
        return ExposureItem(
            name: "nested namespaces", weight: 1500, badness: open.isEmpty && !hidden ? 0 : 10,
            reason: hidden
                ? "clone3 is open, whose flags no filter sees"
                : open.isEmpty
                    ? "no namespaces inside the sandbox"
                    : "may make namespaces: \(open.joined(separator: ", "))")
    }

    private var setIdExposure: ExposureItem {
        let open = [
            answer("chmod", 0, 0o4755), answer("fchmod", 0, 0o4755),
            answer("fchmodat", 0, 0, 0o4755), answer("fchmodat2", 0, 0, 0o4755),
            answer("fchmod", 0, 0o2755),
        ].contains(.allow)
        return ExposureItem(
            name: "set-id files", weight: 1500, badness: open ? 10 : 0,
            reason: open
                ? "builders may set set-id bits (outputs with them are still refused)"
                : "set-id bits are refused")
    }

    private var familyExposure: ExposureItem {
        // AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK are divided by the network namespace.
        let ordinary: Set<UInt64> = [0, 1, 2, 10, 16]
        let names: [UInt64: String] = [
            15: "AF_KEY", 17: "AF_PACKET", 21: "AF_RDS", 30: "AF_TIPC", 31: "AF_BLUETOOTH",
            38: "AF_ALG", 40: "AF_VSOCK", 44: "AF_XDP",
        ]
        let open = (UInt64(0)...63).filter {
            !ordinary.contains($0) && answer("socket", $0, 1) == .allow
        }
        let badness = open.reduce(0) { $0 + ($1 == 17 ? 2 : 4) }
        let words = open.prefix(6).map { names[$0] ?? "family \($0)" }.joined(separator: ", ")
        return ExposureItem(
            name: "socket families", weight: 1000, badness: min(10, badness),
            reason: open.isEmpty
                ? "local, IP and netlink sockets only"
                : "\(words)\(open.count > 6 ? " and \(open.count - 6) more" : "") open")
    }

    private func groupExposure(_ group: String, _ weight: Int, _ what: String) -> ExposureItem {
        let calls = Syscall.all.filter { $0.group == group }
        let open = calls.filter { syscalls.action(of: $0) == .allow }.map(\.name)
        // One open call is bad already; all of them are the worst.
        let badness = open.isEmpty ? 0 : max(2, (10 * open.count + calls.count - 1) / calls.count)
        let words = open.prefix(4).joined(separator: ", ")
        return ExposureItem(
            name: "@\(group)", weight: weight, badness: badness,
            reason: open.isEmpty
                ? "closed: \(what)"
                : "open: \(words)\(open.count > 4 ? " and \(open.count - 4) more" : "") (\(what))")
    }
}
