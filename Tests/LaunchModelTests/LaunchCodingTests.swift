import LaunchModel
import Testing

@Suite("Launch encoding") struct LaunchCodingTests {
    static func name(_ name: String) throws -> StoreObjectName {
        try StoreObjectName(parsing: [UInt8](("0123456789abcdfghijklmnpqrsvwxyz-" + name).utf8))
    }

    static func request() throws -> LaunchRequest {
        LaunchRequest(
            inputs: [try name("in")], outputs: [try name("out"), try name("out-dev")],
            builder: [UInt8]("/bin/sh".utf8), arguments: [[UInt8]("sh".utf8), []],
            environment: [[UInt8]("A=b".utf8)],
            files: [.init(name: [UInt8](".attr-0".utf8), contents: [0, 1, 2])],
            buildDirectory: [UInt8]("/build".utf8), personality: .linux32, keepsFailed: true)
    }

    static func configuration() -> LauncherConfiguration {
        var profile = CompiledProfile(
            name: [UInt8]("default".utf8), hostName: [UInt8]("localhost".utf8), network: .loopback,
            hostMounts: [
                HostMount(
                    source: [UInt8]("/usr".utf8), target: [UInt8]("/usr".utf8), presence: .optional,
                    followsLink: true)
            ], devices: Device.allCases, rootSize: 1, temporarySize: 2, sharedMemorySize: 3,
            resourceLimits: [ResourceLimit(resource: 7, soft: 1024, hard: .max)],
            outputs: OutputLimits(bytes: 4, entries: 5, depth: 6), alwaysCopiesOutputs: true,
            // Tells denial 1 of everything.
            filter: [6, 0, 0, 0, 1, 0, 0xc0, 0x7f])
        profile.denials = [
            CompiledDenial(errno: 1, arguments: []),
            CompiledDenial(
                errno: 4095,
                arguments: [.init(index: 0, mask: 0x7e02_0000), .init(index: 5, mask: .max)]),
        ]
        return LauncherConfiguration(
            generation: Generation(bytes: [UInt8](0..<32)), mode: .privileged,
            directories: .init(
                store: [UInt8]("/nix/store".utf8), logicalStore: [UInt8]("/nix/store".utf8),
                state: [UInt8]("/nix/var/kiln".utf8),
                incoming: [UInt8]("/nix/var/kiln/incoming".utf8),
                userPool: [UInt8]("/nix/var/nix/userpool".utf8), cgroup: nil),
            engineUser: UserID(rawValue: 9), engineGroup: GroupID(rawValue: 10),
            pool: .group(
                GroupID(rawValue: 30000), [UserID(rawValue: 30001), UserID(rawValue: 30002)]),
            maximumBuilds: 4, profiles: [profile])
    }

    @Test("a request and a configuration are read as they were written")
    func roundTrips() throws {
        let request = try Self.request()
        #expect(try LaunchRequest(decoding: request.encoded) == request)
        var configuration = Self.configuration()
        #expect(try LauncherConfiguration(decoding: configuration.encoded) == configuration)
        configuration.directories.cgroup = [UInt8]("/sys/fs/cgroup/kiln".utf8)
        configuration.pool = .automatic(first: UserID(rawValue: 872_415_232), count: 128)
        #expect(try LauncherConfiguration(decoding: configuration.encoded) == configuration)
        configuration.pool = .caller
        configuration.mode = .rootless
        #expect(try LauncherConfiguration(decoding: configuration.encoded) == configuration)
    }

    @Test("a filter that asks for an answer that is not there is refused")
    func denials() throws {
        func refusal(_ change: (inout CompiledProfile) -> Void) -> CodingFault? {
            var configuration = Self.configuration()
            change(&configuration.profiles[0])
            do {
                _ = try LauncherConfiguration(decoding: configuration.encoded)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.denials.removeLast() } != nil)
        #expect(refusal { $0.denials = [] } != nil)
        #expect(refusal { $0.denials[0].errno = 0 } != nil)
        #expect(refusal { $0.denials[0].errno = 4096 } != nil)
        #expect(refusal { $0.denials[1].arguments[1].index = 6 } != nil)
        #expect(refusal { $0.filter = [UInt8](repeating: 6, count: 8) } != nil)
        // Allowing everything needs no answers, and may have some.
        #expect(refusal { $0.filter = [6, 0, 0, 0, 0, 0, 0xff, 0x7f] } == nil)
    }

    @Test("every truncation is refused, and so is a byte too many")
    func truncations() throws {
        let request = try Self.request().encoded
        for count in request.indices {
            #expect(throws: CodingFault.self) {
                try LaunchRequest(decoding: [UInt8](request[..<count]))
            }
        }
        #expect(throws: CodingFault.trailing(at: request.count)) {
            try LaunchRequest(decoding: request + [0])
        }
        let configuration = Self.configuration().encoded
        for count in configuration.indices {
            #expect(throws: CodingFault.self) {
                try LauncherConfiguration(decoding: [UInt8](configuration[..<count]))
            }
        }
    }

    @Test("a change of any byte is refused or gives another value that is written the same way")
    func mutations() throws {
        let bytes = try Self.request().encoded
        for index in bytes.indices {
            for flip in [UInt8(1), 0x80, 0xff] {
                var changed = bytes
                changed[index] ^= flip
                do {
                    #expect(try LaunchRequest(decoding: changed).encoded == changed)
                } catch {
                    // Refused, and typed: no other error can come out.
                    continue
                }
            }
        }
    }

    @Test("an object cannot be input and output, or stand twice")
    func distinctNames() throws {
        var request = try Self.request()
        request.inputs.append(request.outputs[0])
        #expect(throws: CodingFault.self) { try LaunchRequest(decoding: request.encoded) }
        request = try Self.request()
        request.outputs.append(request.outputs[0])
        #expect(throws: CodingFault.self) { try LaunchRequest(decoding: request.encoded) }
        request.outputs = []
        #expect(throws: CodingFault.self) { try LaunchRequest(decoding: request.encoded) }
    }

    @Test(
        "files in the build directory have one component, strings no NUL",
        arguments: ["", ".", "..", "a/b", "a\0"])
    func fileNames(name: String) throws {
        var request = try Self.request()
        request.files[0].name = [UInt8](name.utf8)
        #expect(throws: CodingFault.self) { try LaunchRequest(decoding: request.encoded) }
        request = try Self.request()
        request.environment = [[0]]
        #expect(throws: CodingFault.self) { try LaunchRequest(decoding: request.encoded) }
    }

    @Test(
        "configured places are absolute and clean",
        arguments: ["", "store", "/nix/../etc", "/nix//store", "/nix/./store", "/nix/store/"])
    func paths(path: String) {
        var configuration = Self.configuration()
        configuration.directories.store = [UInt8](path.utf8)
        #expect(throws: CodingFault.self) {
            try LauncherConfiguration(decoding: configuration.encoded)
        }
    }

    @Test("a profile without a filter, or with half an instruction, is refused")
    func filters() {
        var configuration = Self.configuration()
        configuration.profiles[0].filter = []
        #expect(throws: CodingFault.self) {
            try LauncherConfiguration(decoding: configuration.encoded)
        }
        configuration.profiles[0].filter = [1, 2, 3]
        #expect(throws: CodingFault.self) {
            try LauncherConfiguration(decoding: configuration.encoded)
        }
    }
}
