import Glibc
import LaunchModel
import Policy
import Testing

@Suite("Profiles") struct ProfileTests {
    static let names = ["default", "fixed-output", "host-toolchain", "strict"]

    static func text(_ name: String) throws -> String {
        let path =
            #filePath.dropLast("Tests/PolicyTests/ProfileTests.swift".utf8.count)
            + "policies/\(name).toml"
        let file = open(String(path), O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        return String(decoding: bytes[..<read(file, &bytes, bytes.count)], as: UTF8.self)
    }

    static func shipped() throws -> [PolicySource] {
        try names.map { PolicySource(name: $0, file: "\($0).toml", text: try text($0)) }
    }

    static func profile(_ name: String) throws -> Profile {
        try #require(try loadProfiles(shipped()).first { $0.name == name })
    }

    /// What is wrong with a profile `mine` that stands beside the shipped ones.
    static func errors(_ text: String) throws -> [PolicyError] {
        let sources = try shipped() + [PolicySource(name: "mine", file: "mine.toml", text: text)]
        do throws(PolicyErrors) {
            _ = try loadProfiles(sources)
            return []
        } catch {
            return error.errors
        }
    }

    @Test("the shipped ones load, and say what they are for")
    func shippedOnes() throws {
        let profiles = try loadProfiles(Self.shipped())
        #expect(profiles.map(\.name).sorted() == Self.names)
        #expect(profiles.allSatisfy { !$0.description.isEmpty })
        #expect(try Self.profile("default").network.value == .loopback)
        #expect(try Self.profile("strict").network.value == .none)
        #expect(try Self.profile("fixed-output").alwaysCopiesOutputs.value)
        #expect(try !Self.profile("default").alwaysCopiesOutputs.value)
    }

    @Test("the host's programs are seen by host-toolchain alone, read-only as every mount is")
    func hostToolchain() throws {
        let usr = [UInt8]("/usr".utf8)
        for name in Self.names {
            let hasUsr = try Self.profile(name).mounts.contains { $0.value.source == usr }
            #expect(hasUsr == (name == "host-toolchain"))
        }
    }

    @Test(
        "no shipped profile answers a call that changes mounts or the kernel with success",
        arguments: names)
    func denied(name: String) throws {
        let policy = try Self.profile(name).syscalls
        for call in [
            "mount", "init_module", "kexec_load", "bpf", "setns", "reboot", "keyctl",
            "io_uring_setup",
        ] {
            let known = try #require(Syscall.byName[call])
            #expect(policy.action(of: known) != .allow, "\(call)")
        }
        #expect(policy.unknown == .notImplemented)
    }

    @Test("a value that a profile does not set comes from the one that it extends, with its place")
    func inheritance() throws {
        let profile = try Self.profile("host-toolchain")
        #expect(profile.ancestors == ["default", "strict"])
        #expect(profile.network.origin.file == "default.toml")
        #expect(profile.hostName.origin.file == "strict.toml")
    }

    @Test("a fixed output has a profile that a request cannot change")
    func choice() {
        #expect(chooseProfile(isFixedOutput: true, requested: "host-toolchain") == "fixed-output")
        #expect(
            chooseProfile(isFixedOutput: false, requested: "host-toolchain") == "host-toolchain")
        #expect(chooseProfile(isFixedOutput: false, requested: nil) == "default")
    }

    @Test("a misspelt key is an error with its place and the key that was meant")
    func misspelt() throws {
        let errors = try Self.errors(
            """
            schema = 1
            extends = "default"
            description = "mine"

            [filesystem]
            tmp_sise = "1G"
            """)
        let error = try #require(errors.first)
        #expect(errors.count == 1)
        #expect(error.file == "mine.toml" && error.line == 6 && error.column == 1)
        #expect(error.suggestion?.contains("tmp_size") == true)
    }

    @Test(
        "what cannot be meant or cannot be kept is an error, never silence",
        arguments: [
            "[network]\nmode = \"host\"", "[network]\nmode = \"pasta\"", "[network]\nmode = 1",
            "[filesystem]\ntmp_size = 16", "[filesystem]\ntmp_size = \"16Q\"",
            "[limits]\nwall_time = \"5\"",
            "[syscalls]\n\"@nonsense\" = \"allow\"", "[syscalls]\nmuont = \"allow\"",
            "[syscalls]\nmount = \"maybe\"", "[nonsense]\nx = 1",
            "[syscalls.rule.x]\ncalls = [\"chmod\"]\ndeny_when = \"mood & 1 == 1\"\naction = \"EPERM\"",
            "[mounts.x]\nfrom = \"relative\"",
        ])
    func refused(lines: String) throws {
        let head = "schema = 1\nextends = \"default\"\ndescription = \"mine\"\n"
        #expect(try !Self.errors(head + lines).isEmpty)
        #expect(try Self.errors(head).isEmpty)
    }

    @Test("every mistake of a file is told at once")
    func allAtOnce() throws {
        let errors = try Self.errors(
            "schema = 1\nextends = \"default\"\ndescription = \"mine\"\n[a]\nx = 1\n[network]\nmode = \"host\"\n"
        )
        #expect(errors.count == 2)
    }

    @Test("extending what is not there, or oneself, is an error")
    func extending() throws {
        #expect(try !Self.errors("schema = 1\nextends = \"none\"\ndescription = \"x\"\n").isEmpty)
        #expect(try !Self.errors("schema = 1\nextends = \"mine\"\ndescription = \"x\"\n").isEmpty)
    }
}
