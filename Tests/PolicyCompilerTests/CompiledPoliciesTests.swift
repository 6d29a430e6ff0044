import Hashing
import LaunchModel
import Policy
import Testing

@testable import PolicyCompiler

@Suite("Compiled policies") struct CompiledPoliciesTests {
    static func shipped() throws -> [Profile] { try Profiles.names.map(Profiles.profile) }

    @Test("a compiled profile says in numbers what the profile says in words")
    func values() throws {
        let profile = try Profiles.mine(
            """
            tmp_size = "2G"
            [identity]
            uid = 30001
            gid = 30002
            hostname = "there"
            [mounts.b]
            from = "/usr/lib"
            to = "/opt/b"
            optional = true
            [mounts.a]
            from = "/usr/share"
            to = "/opt/a"
            follow = true
            [limits]
            processes = 100
            """)
        let compiled = try compile(profile)
        #expect(compiled.name == Array("mine".utf8))
        #expect(compiled.sandboxUser == 30001 && compiled.sandboxGroup == 30002)
        #expect(compiled.hostName == Array("there".utf8))
        #expect(compiled.network == .none)
        #expect(compiled.temporarySize == 2 << 30)
        #expect(
            compiled.hostMounts.map { String(decoding: $0.target, as: UTF8.self) } == [
                "/opt/a", "/opt/b",
            ])
        #expect(compiled.hostMounts.map(\.followsLink) == [true, false])
        #expect(compiled.hostMounts.map(\.presence) == [.required, .optional])
        #expect(compiled.resourceLimits.contains(ResourceLimit(resource: 6, soft: 100, hard: 100)))
        #expect(compiled.devices.contains(.null) && !compiled.devices.contains(.kvm))
    }

    @Test("profiles are numbered by name, whatever order they come in")
    func order() throws {
        let policies = try compile(Self.shipped())
        #expect(policies.number(named: "default")?.rawValue == 0)
        #expect(policies.number(named: "strict")?.rawValue == 3)
        #expect(policies.number(named: "absent") == nil)
        #expect(try compile(Self.shipped().reversed()) == policies)
    }

    @Test("the generation is the digest of the encoding, and any change of any profile changes it")
    func generation() throws {
        let profiles = try Self.shipped()
        let policies = try compile(profiles)
        #expect(policies.generation.bytes == Digest.of(.sha256, policies.encoded).bytes)
        var seen: Set<Generation> = [policies.generation]
        for index in profiles.indices {
            var changed = profiles
            changed[index].temporarySize.value += 1
            #expect(seen.insert(try compile(changed).generation).inserted)
            changed = profiles
            changed[index].syscalls.calls["fork"] = .errno(1)
            #expect(seen.insert(try compile(changed).generation).inserted)
            changed = profiles
            changed.remove(at: index)
            #expect(seen.insert(try compile(changed).generation).inserted)
        }
    }

    @Test("two profiles of one name, and an architecture without a kernel of its own, are refused")
    func refused() throws {
        let strict = try Profiles.profile("strict")
        #expect(throws: PolicyCompileError.duplicate(profile: "strict")) {
            _ = try compile([strict, strict])
        }
        #expect(throws: PolicyCompileError.notNative(profile: "strict")) {
            _ = try compile(strict, for: .x86)
        }
    }

    @Test("a launcher reads compiled profiles back as they were")
    func encoding() throws {
        let policies = try compile(Self.shipped())
        let path = [UInt8]("/x".utf8)
        let configuration = LauncherConfiguration(
            generation: policies.generation, mode: .rootless,
            directories: .init(
                store: path, logicalStore: path, state: path, incoming: path, userPool: path,
                cgroup: nil),
            engineUser: .root, engineGroup: .root, pool: .caller, maximumBuilds: 1,
            profiles: policies.profiles)
        #expect(try LauncherConfiguration(decoding: configuration.encoded) == configuration)
    }
}
