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
            "[[[", "[ =]", "[network]\nmode = \"host\"", "[network]\nmode = \"pasta\"",
            "[network]\nmode = 1",
            "[filesystem]\ntmp_size = 16", "[filesystem]\ntmp_size = \"16Q\"",
            "[limits]\nwall_time = \"5\"",
            "[syscalls]\n\"@nonsense\" = \"allow\"", "[syscalls]\nmuont = \"allow\"",
            "[syscalls]\nmount = \"maybe\"", "[nonsense]\nx = 1",
            "[syscalls.rule.x]\ncalls = [\"chmod\"]\ndeny_when = \"mood & 1 == 1\"\naction = \"EPERM\"",
            "[mounts.x]\nfrom = \"relative\"",
            // The host's store, and what the sandbox itself makes.
            "[mounts.x]\nfrom = \"/nix\"\nto = \"/opt\"",
            "[mounts.x]\nfrom = \"/nix/store/x\"\nto = \"/opt\"",
            "[mounts.x]\nfrom = \"/opt\"\nto = \"/nix\"",
            "[mounts.x]\nfrom = \"/etc\"", "[mounts.x]\nfrom = \"/etc/passwd\"",
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

    @Test("only the sockets that builds need can be made, however they are asked for")
    func sockets() throws {
        func answer(_ name: String, _ family: UInt64, _ type: UInt64, _ protocol: UInt64) throws
            -> SyscallAction
        {
            try Self.profile(name).syscalls.answer(
                to: 41, on: .x86_64, from: .x86_64,
                arguments: [family, type, `protocol`, 0, 0, 0],
                table: Syscall.byNumber(on: .x86_64))
        }
        let refused = SyscallAction.errno(97)
        for name in ["strict", "default"] {
            #expect(try answer(name, 1, 1, 0) == .allow)
            #expect(try answer(name, 2, 0o2000001, 6) == .allow)
            #expect(try answer(name, 16, 3, 0) == .allow, "routes, which getaddrinfo asks for")
            #expect(try answer(name, 16, 3, 12) == refused, "the packet filter")
            #expect(try answer(name, 16, 3, 1 << 32 | 12) == refused)
            #expect(try answer(name, 38, 5, 0) == refused)
        }
        #expect(try answer("strict", 2, 10, 0) == refused, "AF_PACKET by its old name")
        #expect(try answer("strict", 2, 0o2000012, 0) == refused)
        #expect(try answer("strict", 16, 3, 15) == refused)
        #expect(try answer("default", 16, 3, 15) == .allow, "device events")
    }

    @Test("a chain of sources is the profile and what it extends, and names what is missing")
    func chain() throws {
        let shipped = try Self.shipped()
        let whole = chainOfSources(from: "host-toolchain", in: shipped)
        #expect(whole.chain.map(\.name) == ["host-toolchain", "default", "strict"])
        #expect(whole.missing == nil)
        let part = chainOfSources(
            from: "host-toolchain", in: shipped.filter { $0.name != "default" })
        #expect(part.chain.map(\.name) == ["host-toolchain"] && part.missing == "default")
        let ring = PolicySource(name: "x", file: "x.toml", text: "extends = \"x\"")
        #expect(chainOfSources(from: "x", in: [ring]).chain == [ring])
    }

    @Test("extending what is not there, or oneself, is an error")
    func extending() throws {
        #expect(try !Self.errors("schema = 1\nextends = \"none\"\ndescription = \"x\"\n").isEmpty)
        #expect(try !Self.errors("schema = 1\nextends = \"mine\"\ndescription = \"x\"\n").isEmpty)
    }
}
