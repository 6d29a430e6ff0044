import LaunchModel
import Testing

@testable import HostSetup

@Suite("kiln doctor") struct DoctorTests {
    /// A host on which nothing is amiss.
    static let good: [String: String] = {
        var files = [
            "/proc/sys/kernel/seccomp/actions_avail":
                "kill_process trap errno user_notif log allow",
            "/sys/kernel/security/lsm": "capability,landlock,yama",
            "/sys/fs/cgroup/a/cgroup.controllers": "cpu memory pids",
            "/proc/sys/kernel/core_pattern": "core", "/proc/sys/fs/suid_dumpable": "0",
            "/proc/sys/kernel/unprivileged_userns_clone": "1",
        ]
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
            files["/proc/sys/user/max_\(kind)_namespaces"] = "1000"
        }
        return files
    }()

    static func host(
        _ change: [String: String] = [:], kernel: String = "6.18.44", isRoot: Bool = true,
        cgroup: String? = "/sys/fs/cgroup/a/kiln"
    ) -> HostFacts {
        let files = Self.good.merging(change) { _, new in new }
        return HostFacts(kernel: kernel, isRoot: isRoot, cgroup: cgroup) { files[$0] }
    }

    @Test("a host on which nothing is amiss is ok, line for line")
    func fine() {
        #expect(kernelFindings(Self.host()).allSatisfy { $0.state == .ok && $0.repair.isEmpty })
        #expect(kernelFindings(Self.host(isRoot: false)).allSatisfy { $0.state == .ok })
    }

    @Test(
        "what is amiss is named, with its state and the command that repairs it",
        arguments: [
            (
                "/proc/sys/user/max_pid_namespaces", "0", Finding.State.broken,
                "user.max_pid_namespaces"
            ),
            ("/proc/sys/fs/suid_dumpable", "2", .weaker, "sysctl -w fs.suid_dumpable=0"),
            ("/proc/sys/fs/protected_hardlinks", "0", .weaker, "fs.protected_hardlinks=1"),
            ("/proc/sys/kernel/core_pattern", "|/usr/lib/collect %e", .weaker, "core_pattern=core"),
            ("/proc/sys/kernel/seccomp/actions_avail", "kill errno", .broken, "5.0"),
            (
                "/sys/kernel/security/lsm", "capability,yama", .weaker,
                "lsm=landlock,capability,yama"
            ),
            ("/sys/fs/cgroup/a/cgroup.controllers", "hugetlb", .weaker, "unified_cgroup_hierarchy"),
        ])
    func amiss(path: String, text: String, state: Finding.State, repair: String) throws {
        let findings = kernelFindings(Self.host([path: text])).filter { $0.state != .ok }
        try #require(findings.count == 1, "\(findings)")
        #expect(findings[0].state == state && findings[0].repair.contains(repair))
    }

    @Test(
        "kernels are judged by what they lack",
        arguments: [
            ("5.10.0-28", Finding.State.broken), ("5.13.1", .weaker), ("6.1.0", .weaker),
            ("6.12.0+deb", .ok), ("7.0.1", .ok), ("unknown", .weaker),
        ])
    func kernels(release: String, state: Finding.State) throws {
        let finding = try #require(kernelFindings(Self.host(kernel: release)).first)
        #expect(finding.subject == "kernel" && finding.state == state)
    }

    @Test("user namespaces that only root may make are an ordinary user's concern")
    func unprivileged() {
        let change = ["/proc/sys/kernel/unprivileged_userns_clone": "0"]
        #expect(kernelFindings(Self.host(change)).allSatisfy { $0.state == .ok })
        let findings = kernelFindings(Self.host(change, isRoot: false))
        #expect(findings.contains { $0.state == .broken && $0.repair.contains("userns_clone=1") })
    }

    @Test("no cgroup is weaker, and says what of")
    func noCgroup() throws {
        let findings = kernelFindings(Self.host(cgroup: nil)).filter { $0.state != .ok }
        #expect(findings.map(\.subject) == ["cgroups"] && findings[0].text.contains("killed by"))
    }

    @Test("every step that an ordinary user's launch leaves out has its cost told")
    func losses() {
        let profile = CompiledProfile(
            name: [0x78], hostName: [0x78], network: .loopback, hostMounts: [], devices: [],
            rootSize: 1, temporarySize: 1, sharedMemorySize: 1, resourceLimits: [],
            outputs: OutputLimits(bytes: 1, entries: 1, depth: 1), alwaysCopiesOutputs: false,
            filter: [UInt8](repeating: 0, count: 8))
        let all = Set(LaunchStep.steps(for: profile, mode: .privileged, usesCgroup: true))
        let left = all.subtracting(
            LaunchStep.steps(for: profile, mode: .rootless, usesCgroup: true))
        #expect(Set(RootlessLoss.all.compactMap(\.step)) == left)
        #expect(RootlessLoss.all.allSatisfy { !$0.cost.isEmpty })
    }
}
