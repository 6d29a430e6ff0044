import Foundation
import Testing

@testable import LauncherCore

@Suite("What a process is confined to, as the kernel lists it") struct ProcessStatusTests {
    static let rights = ProcessRights(
        user: 1000, group: 100, groups: .none, capabilities: 0, filters: 2)

    static let lines: KeyValuePairs = [
        "Name": "kiln-sandbox", "Uid": "1000\t1000\t1000\t1000", "Gid": "100\t100\t100\t100",
        "Groups": " ", "CapInh": "0000000000000000", "CapPrm": "0000000000000000",
        "CapEff": "0000000000000000", "CapBnd": "0000000000000000",
        "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "2",
        "Speculation_Store_Bypass": "thread vulnerable",
    ]

    /// The lines, with one of them changed.
    static func text(_ key: String = "", _ value: String = "") -> [UInt8] {
        [UInt8](lines.map { "\($0.0):\t\($0.0 == key ? value : $0.1)\n" }.joined().utf8)
    }

    static func objection(_ text: [UInt8], _ rights: ProcessRights = rights) throws -> String? {
        rights.objection(to: try ProcessStatus(parsing: text)).map { "\($0)" }
    }

    @Test(
        "each line that is more than it must be is named",
        arguments: [
            ("Uid", "0\t1000\t1000\t1000", "user ids"), ("Uid", "1000\t0\t1000\t1000", "user ids"),
            ("Uid", "1000\t1000\t0\t1000", "user ids"), ("Uid", "1000\t1000\t1000\t0", "user ids"),
            ("Gid", "0\t100\t100\t100", "group ids"), ("Gid", "100\t100\t100\t0", "group ids"),
            ("Groups", "27 ", "supplementary groups"),
            ("CapInh", "0000000000000001", "inheritable capabilities"),
            ("CapPrm", "0000000000200000", "capabilities"),
            ("CapEff", "0000000000200000", "capabilities"),
            ("CapBnd", "8000000000000000", "the bounding set"),
            ("CapAmb", "0000000000000001", "ambient capabilities"),
            ("NoNewPrivs", "0", "no new privileges"), ("Seccomp", "0", "seccomp filters"),
            ("Seccomp", "1", "seccomp filters"), ("Seccomp_filters", "1", "seccomp filters"),
            ("Seccomp_filters", "3", "seccomp filters"),
        ])
    func objections(key: String, value: String, objection: String) throws {
        #expect(try Self.objection(Self.text()) == nil)
        #expect(try Self.objection(Self.text(key, value)) == objection)
    }

    @Test("what may be kept is kept, and nothing beside it")
    func kept() throws {
        let rights = ProcessRights(
            user: 1000, group: 100, groups: .whatever, capabilities: 0b1011, filters: 2)
        #expect(try Self.objection(Self.text("CapPrm", "000000000000000b"), rights) == nil)
        #expect(try Self.objection(Self.text("CapBnd", "000000000000000b"), rights) == nil)
        #expect(try Self.objection(Self.text("Groups", "27 1000 "), rights) == nil)
        #expect(
            try Self.objection(Self.text("CapEff", "000000000000000f"), rights) == "capabilities")
        #expect(
            try Self.objection(Self.text("CapInh", "0000000000000001"), rights)
                == "inheritable capabilities")
    }

    @Test(
        "a line that is missing, or that nobody understands, is not taken for good",
        arguments: [
            ("Uid", "1000\t1000\t1000"), ("Uid", "1000\t1000\t1000\t-1"), ("Gid", ""),
            ("Groups", "x"), ("CapPrm", "0"), ("CapBnd", "000000000000000G"), ("NoNewPrivs", ""),
            ("Seccomp_filters", "4294967296"),
        ])
    func nonsense(key: String, value: String) throws {
        #expect(throws: Failure.self) { try ProcessStatus(parsing: Self.text(key, value)) }
        let without = Self.lines.filter { $0.0 != key }.map { "\($0.0):\t\($0.1)\n" }.joined()
        #expect(throws: Failure.self) { try ProcessStatus(parsing: [UInt8](without.utf8)) }
    }

    @Test("the kernel's own text is understood, and this process is no builder")
    func own() throws {
        let proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(proc >= 0)
        defer { close(proc) }
        let file = try ProcessStatus.open(in: proc)
        let status = try ProcessStatus(reading: file.number)
        #expect(status.users == [getuid(), geteuid(), geteuid(), geteuid()])
        #expect(Self.rights.objection(to: status) != nil)
        // Nothing but a proc is asked.
        let root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(root >= 0)
        defer { close(root) }
        var isRefused = false
        do throws(Failure) { _ = try ProcessStatus.open(in: root) } catch { isRefused = true }
        #expect(isRefused)
    }
}
