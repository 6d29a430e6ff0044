import LaunchModel
import Testing

@testable import LauncherCore

@Suite("The mounts of a sandbox") struct MountListTests {
    static func name(_ text: String) throws -> StoreObjectName {
        try StoreObjectName(parsing: [UInt8]((String(repeating: "1", count: 32) + "-" + text).utf8))
    }

    static func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

    static func expected() throws -> ExpectedMounts {
        ExpectedMounts(
            writable: ["/nix/store", "/my build", "/tmp", "/dev/null", "/dev/pts", "/proc"].map(
                bytes),
            store: bytes("/nix/store"), inputs: [try name("a"), try name("b")],
            trees: [bytes("/usr"), bytes("/proc")])
    }

    static let object = "/nix/store/" + String(repeating: "1", count: 32)
    static let good: [(point: String, options: String)] = [
        ("/", "ro,nosuid,nodev,relatime"), ("/nix/store", "rw,nosuid,nodev,relatime"),
        (object + "-a", "ro,nosuid,nodev"), ("/my\\040build", "rw,nosuid,nodev"),
        ("/tmp", "rw,nosuid,nodev"), ("/usr", "ro,nosuid,nodev"), ("/usr/share", "ro,nosuid,nodev"),
        ("/dev/null", "rw,nosuid,noexec"), ("/dev/pts", "rw,nosuid,noexec"),
        ("/proc", "rw,nosuid,nodev,noexec"), ("/proc/sys", "ro,nosuid,nodev,noexec"),
    ]

    static func list(_ mounts: [(point: String, options: String)], tag: String = "") -> [UInt8] {
        bytes(
            mounts.enumerated().map {
                "\($0 + 20) 19 0:\($0) / \($1.point) \($1.options) \(tag)- tmpfs none rw\n"
            }.joined())
    }

    @Test("are as they must be")
    func accepted() throws {
        try Self.expected().verify(Self.list(Self.good))
        // An input that is a link is no mount, and the host's places may have mounts or not.
        try Self.expected().verify(
            Self.list(
                Self.good.filter { !$0.point.hasPrefix(Self.object) && $0.point != "/usr/share" }))
        try Self.expected().verify(
            Self.list(Self.good + [(Self.object + "-b", "ro,nosuid,nodev")]))
    }

    @Test(
        "that are not all there are refused",
        arguments: ["/", "/nix/store", "/my\\040build", "/proc"])
    func missing(point: String) throws {
        #expect(throws: StepFailure.self) {
            try Self.expected().verify(Self.list(Self.good.filter { $0.point != point }))
        }
    }

    @Test(
        "that nobody asked for are refused, and so is a second one at the same place",
        arguments: [
            "/old", "/nix/store/.store", "/usrlocal", "/nix", object + "-c", object + "-a", "/",
            "/tmp",
            "/home",
        ])
    func unexpected(point: String) throws {
        let failure = #expect(throws: StepFailure.self) {
            try Self.expected().verify(Self.list(Self.good + [(point, "ro,nosuid,nodev,noexec")]))
        }
        #expect(failure?.subject.starts(with: Self.bytes("31 19")) == true)
    }

    @Test("that lack an attribute are refused", arguments: good.indices)
    func attributes(index: Int) throws {
        let (point, options) = Self.good[index]
        var spoilt = [options.replacing("nosuid", with: "suid")]
        if !point.hasPrefix("/dev/") { spoilt.append(options.replacing("nodev", with: "dev")) }
        if options.hasPrefix("ro") { spoilt.append("rw" + options.dropFirst(2)) }
        for options in spoilt {
            var mounts = Self.good
            mounts[index].options = options
            #expect(throws: StepFailure.self, "\(point) \(options)") {
                try Self.expected().verify(Self.list(mounts))
            }
        }
    }

    @Test("that share events with another one are refused", arguments: ["shared:1 ", "master:2 "])
    func shared(tag: String) throws {
        #expect(throws: StepFailure.self) {
            try Self.expected().verify(Self.list(Self.good, tag: tag))
        }
    }
}
