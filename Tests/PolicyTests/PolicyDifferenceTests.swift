import Testing

@testable import Policy

@Suite("What differs between profiles") struct PolicyDifferenceTests {
    /// A profile `mine` that extends a shipped one with these lines.
    static func mine(_ lines: String, extending parent: String = "strict") throws -> Profile {
        let text = "schema = 1\nextends = \"\(parent)\"\n" + lines
        let sources =
            try ProfileTests.shipped() + [PolicySource(name: "mine", file: "mine.toml", text: text)]
        return try #require(try loadProfiles(sources).first { $0.name == "mine" })
    }

    /// The directions in which `mine` differs from what it extends, by subject.
    static func found(
        _ lines: String, extending parent: String = "strict"
    ) throws -> [String: Direction] {
        let all = differences(
            from: try ProfileTests.profile(parent), to: try mine(lines, extending: parent))
        return Dictionary(uniqueKeysWithValues: all.map { ($0.subject, $0.direction) })
    }

    @Test("nothing, where only people can tell")
    func nothing() throws {
        #expect(try Self.found("description = \"mine\"") == [:])
        #expect(
            try Self.found(
                """
                [syscalls.rule.no-setid-bits]
                reason = "other words"
                deny_when = "mode & 0o4000 != 0 || mode & 0o2000 == 0o2000"
                [syscalls.rule.nothing]
                calls = ["chmod"]
                deny_when = "mode & 0xff0000 != 0"
                action = "EPERM"
                """) == [:])
    }

    @Test(
        "each key by the order of its kind",
        arguments: [
            ("[network]\nmode = \"loopback\"", "network.mode", Direction.looser),
            ("[filesystem]\nroot_size = \"65536K\"", "filesystem.root_size", .same),
            ("[filesystem]\ntmp_size = \"1G\"", "filesystem.tmp_size", .stricter),
            ("[limits]\nwall_time = \"3h\"", "limits.wall_time", .stricter),
            ("[limits]\nwall_time = \"unlimited\"", "limits.wall_time", .looser),
            ("[limits]\nprocesses = 100", "limits.processes", .stricter),
            ("[limits]\nopen_files = 100000", "limits.open_files", .looser),
            ("[devices]\nkvm = true", "devices.kvm", .looser),
            ("[devices]\ntty = false", "devices.tty", .stricter),
            ("[outputs]\nalways_copy = true", "outputs.always_copy", .stricter),
            ("[identity]\nuid = 1001", "identity.uid", .different),
            ("[env.set]\nX = \"1\"", "env.set.X", .different),
            ("[syscalls]\nforeign = \"EPERM\"", "syscalls.foreign", .looser),
            ("[syscalls]\nforeign = \"allow-listed\"", "syscalls.foreign", .looser),
            ("[mounts.m]\nfrom = \"/opt\"", "mounts.m", .looser),
        ])
    func keys(lines: String, subject: String, direction: Direction) throws {
        #expect(try Self.found(lines)[subject, default: .same] == direction)
        #expect(try Self.found(lines).count <= 1)
    }

    @Test("a value that says the same in other units is no difference")
    func units() throws {
        #expect(try Self.found("[limits]\nwall_time = \"240m\"") == [:])
    }

    @Test("a mount is one thing, and is gone when it is taken away")
    func mounts() throws {
        #expect(
            try Self.found("[mounts.usr]\nenabled = false", extending: "host-toolchain")
                == ["mounts.usr": .stricter])
        #expect(
            try Self.found("[mounts.usr]\nfrom = \"/opt\"", extending: "host-toolchain")
                == ["mounts.usr": .different])
    }

    @Test("calls by what they get, and rules by what they let through")
    func calls() throws {
        #expect(try Self.found("[syscalls]\n\"@debug\" = \"allow\"") == ["syscalls": .looser])
        #expect(try Self.found("[syscalls]\n\"@io-uring\" = \"kill\"") == ["syscalls": .stricter])
        #expect(try Self.found("[syscalls]\n\"@io-uring\" = \"EPERM\"") == ["syscalls": .different])
        #expect(
            try Self.found("[syscalls.rule.no-setid-bits]\nenabled = false")
                == ["syscalls.rule.no-setid-bits": .looser])
        #expect(
            try Self.found("[syscalls.rule.no-setid-bits]\ndeny_when = \"mode & 0o7000 != 0\"")
                == ["syscalls.rule.no-setid-bits": .stricter])
        #expect(
            try Self.found("[syscalls.rule.no-setid-bits]\naction = \"EACCES\"")
                == ["syscalls.rule.no-setid-bits": .different])
        let all = differences(
            from: try ProfileTests.profile("strict"), to: try ProfileTests.profile("default"))
        #expect(
            all.first { $0.old == "EPERM" && $0.new == "allow" }?.calls == [
                "adjtimex", "clock_adjtime", "clock_adjtime64", "process_mrelease",
                "process_vm_readv", "process_vm_writev", "ptrace",
            ])
    }

    @Test("each direction turns around with its sides")
    func antisymmetry() throws {
        let profiles = try ProfileTests.names.map { try ProfileTests.profile($0) }
        let turned: [Direction: Direction] = [
            .looser: .stricter, .stricter: .looser, .different: .different,
        ]
        for first in profiles {
            for second in profiles {
                let forth = differences(from: first, to: second)
                let back = differences(from: second, to: first)
                #expect(forth.isEmpty == (first.name == second.name))
                #expect(
                    Set(
                        forth.map {
                            "\($0.subject) \($0.calls) \(turned[$0.direction]?.rawValue ?? "")"
                        })
                        == Set(back.map { "\($0.subject) \($0.calls) \($0.direction.rawValue)" }))
            }
        }
    }

    @Test("every key that a profile may leave out has a default that is shown, or is optional")
    func defaults() throws {
        let shown = Set(try ProfileTests.profile("strict").shown.map(\.key))
        let optional: Set = ["schema", "extends", "description"]
        for key in PolicySchema.keys where !key.contains("*") {
            let name = PolicySchema.spell(key)
            #expect(shown.contains(name) || optional.contains(name), "\(name)")
        }
        // What is shown as a default is not what a file sets.
        let strict = try ProfileTests.profile("strict")
        #expect(strict.shown.filter { $0.origin == nil }.map(\.key).contains("devices.kvm"))
        #expect(strict.shown.first { $0.key == "network.mode" }?.place == "strict.toml:12")
    }
}
