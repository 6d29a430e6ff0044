/// What the kernel and its settings give to sandboxes.
///
/// Source: `security/hardening.md` §2.
public func kernelFindings(_ host: HostFacts) -> [Finding] {
    [kernelVersion(host)] + namespaces(host) + [cgroups(host), seccomp(host), landlock(host)]
        + settings(host)
}

private func kernelVersion(_ host: HostFacts) -> Finding {
    let parts = host.kernel.split(separator: ".").prefix(2).map { $0.prefix { $0.isNumber } }
    guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]) else {
        return Finding("kernel", .weaker, "'\(host.kernel)' is no version that is known here")
    }
    func isAtLeast(_ wanted: (Int, Int)) -> Bool { (major, minor) >= wanted }
    if !isAtLeast((5, 12)) {
        return Finding(
            "kernel", .broken,
            "Linux \(host.kernel) has no mount_setattr, which makes inputs read-only",
            repair: "run Linux 5.12 or later")
    }
    if !isAtLeast((5, 14)) {
        return Finding(
            "kernel", .weaker,
            "Linux \(host.kernel) has no cgroup.kill: builds are killed by pid namespace and user alone",
            repair: "run Linux 5.14 or later")
    }
    if !isAtLeast((6, 12)) {
        return Finding(
            "kernel", .weaker,
            "Linux \(host.kernel) has no Landlock scopes: builders can signal their own reaper",
            repair: "run Linux 6.12 or later")
    }
    return Finding("kernel", .ok, "Linux \(host.kernel)")
}

private func namespaces(_ host: HostFacts) -> [Finding] {
    var findings: [Finding] = []
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let path = "/proc/sys/user/max_\(kind)_namespaces"
        guard let most = host.number(path) else {
            findings.append(
                Finding(
                    "namespaces", .broken, "the kernel has no \(kind) namespaces",
                    repair: "run a kernel that has them"))
            continue
        }
        if most == 0 {
            findings.append(
                Finding(
                    "namespaces", .broken, "no \(kind) namespace may be made",
                    repair: "sysctl -w user.max_\(kind)_namespaces=65536"))
        }
    }
    if !host.isRoot {
        if host.number("/proc/sys/kernel/unprivileged_userns_clone") == 0 {
            findings.append(
                Finding(
                    "namespaces", .broken, "only root may make user namespaces",
                    repair: "sysctl -w kernel.unprivileged_userns_clone=1"))
        }
        if host.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 {
            findings.append(
                Finding(
                    "namespaces", .broken, "AppArmor keeps ordinary users from user namespaces",
                    repair: "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"))
        }
    }
    return findings.isEmpty ? [Finding("namespaces", .ok, "all kinds may be made")] : findings
}

private func cgroups(_ host: HostFacts) -> Finding {
    guard let place = host.cgroup else {
        return Finding(
            "cgroups", .weaker,
            "no cgroup of version 2 may be made: builds are killed by pid namespace and user alone, "
                + "and have no limits of memory and processor time",
            repair: host.isRoot
                ? "mount -t cgroup2 none /sys/fs/cgroup"
                : "systemd-run --user --scope -p Delegate=yes")
    }
    let parent = place.split(separator: "/").dropLast().joined(separator: "/")
    let controllers = (host.line("/\(parent)/cgroup.controllers") ?? "").split(separator: " ")
    let missing = ["cpu", "memory", "pids"].filter { !controllers.contains(Substring($0)) }
    guard missing.isEmpty else {
        return Finding(
            "cgroups", .weaker,
            "\(place), without the controllers \(missing.joined(separator: ", ")): "
                + "policies cannot limit these",
            repair: "boot with systemd.unified_cgroup_hierarchy=1")
    }
    return Finding("cgroups", .ok, place)
}

private func seccomp(_ host: HostFacts) -> Finding {
    let actions = (host.line("/proc/sys/kernel/seccomp/actions_avail") ?? "").split(separator: " ")
    guard actions.contains("errno") else {
        return Finding(
            "seccomp", .broken, "the kernel cannot filter system calls",
            repair: "run a kernel with CONFIG_SECCOMP_FILTER")
    }
    guard actions.contains("user_notif") else {
        return Finding(
            "seccomp", .broken, "the kernel cannot tell of denied calls (user_notif)",
            repair: "run Linux 5.0 or later")
    }
    return Finding("seccomp", .ok, "filters, and notifications of what they deny")
}

private func landlock(_ host: HostFacts) -> Finding {
    guard let list = host.line("/sys/kernel/security/lsm") else {
        return Finding("security modules", .ok, "their list is not to be read here")
    }
    guard list.split(separator: ",").contains("landlock") else {
        return Finding(
            "security modules", .weaker,
            "\(list): without Landlock, builders can signal their own reaper",
            repair: "boot with lsm=landlock,\(list)")
    }
    return Finding("security modules", .ok, list)
}

/// A setting of the kernel's, and what it costs when it is not as it should be.
private struct Setting {
    var name: String
    var wanted: Set<Int>
    var cost: String
    var repair: Int
}

/// Second fences: Kiln's own come first, and its attack suite runs without these.
private let wantedSettings = [
    Setting(
        name: "fs.protected_symlinks", wanted: [1],
        cost: "links in world-writable places are followed",
        repair: 1),
    Setting(
        name: "fs.protected_hardlinks", wanted: [1], cost: "users can link to files of others",
        repair: 1),
    Setting(
        name: "fs.suid_dumpable", wanted: [0], cost: "programs with more rights leave their memory",
        repair: 0),
    Setting(
        name: "kernel.unprivileged_bpf_disabled", wanted: [1, 2], cost: "users can load BPF",
        repair: 2),
    Setting(
        name: "vm.unprivileged_userfaultfd", wanted: [0], cost: "users can stall the kernel",
        repair: 0),
    Setting(
        name: "dev.tty.legacy_tiocsti", wanted: [0], cost: "programs can type into terminals",
        repair: 0),
    Setting(
        name: "kernel.dmesg_restrict", wanted: [1], cost: "users read the kernel's log", repair: 1),
    Setting(
        name: "kernel.kptr_restrict", wanted: [1, 2], cost: "users read the kernel's addresses",
        repair: 1),
]

private func settings(_ host: HostFacts) -> [Finding] {
    var findings: [Finding] = []
    for setting in wantedSettings {
        let path = "/proc/sys/" + setting.name.split(separator: ".").joined(separator: "/")
        // A kernel without the setting has nothing that it could open.
        guard let value = host.number(path), !setting.wanted.contains(value) else { continue }
        findings.append(
            Finding(
                "settings", .weaker, "\(setting.name) is \(value): \(setting.cost)",
                repair: "sysctl -w \(setting.name)=\(setting.repair)"))
    }
    if let pattern = host.line("/proc/sys/kernel/core_pattern"), pattern.hasPrefix("|") {
        findings.append(
            Finding(
                "settings", .weaker,
                "kernel.core_pattern starts a program as root for every crash, also of builders",
                repair: "sysctl -w kernel.core_pattern=core"))
    }
    return findings.isEmpty
        ? [Finding("settings", .ok, "none is weaker than it could be")] : findings
}
