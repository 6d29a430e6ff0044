import LaunchModel
import Testing

@Suite("Policies for a launcher that runs") struct PolicySetTests {
    static let generation = Generation(bytes: [UInt8](0..<32))

    @Test("a set is read as it was written, and no prefix of one is")
    func sets() throws {
        let profile = CompiledProfile(
            name: [0x61], hostName: [0x62], network: .none, hostMounts: [], devices: [.null],
            rootSize: 1, temporarySize: 2, sharedMemorySize: 3, resourceLimits: [],
            outputs: OutputLimits(bytes: 1, entries: 2, depth: 3), alwaysCopiesOutputs: true,
            filter: [6, 0, 0, 0, 0, 0, 0, 0x80])
        for profiles in [[], [profile], [profile, profile]] {
            let set = PolicySet(generation: Self.generation, profiles: profiles)
            let bytes = set.encoded
            #expect(try PolicySet(decoding: bytes) == set)
            for count in bytes.indices {
                #expect(throws: CodingFault.self) {
                    try PolicySet(decoding: [UInt8](bytes[..<count]))
                }
            }
            #expect(throws: CodingFault.trailing(at: bytes.count)) {
                try PolicySet(decoding: bytes + [0])
            }
        }
    }

    @Test("a whole configuration is no set of policies, nor the other way round")
    func configuration() {
        let configuration = LauncherConfiguration(
            generation: Self.generation, mode: .privileged,
            directories: .init(
                store: [0x2f, 0x61], logicalStore: [0x2f, 0x61], state: [0x2f, 0x62],
                incoming: [0x2f, 0x63], userPool: [0x2f, 0x64], cgroup: nil),
            engineUser: UserID(rawValue: 5), engineGroup: GroupID(rawValue: 5), pool: .caller,
            maximumBuilds: 1, profiles: [])
        #expect(throws: CodingFault.self) { try PolicySet(decoding: configuration.encoded) }
        let set = PolicySet(generation: Self.generation, profiles: [])
        #expect(throws: CodingFault.self) { try LauncherConfiguration(decoding: set.encoded) }
    }

    @Test("answers are read as they were written, and no prefix of one is")
    func replies() throws {
        let refusal = Refusal(
            .malformedRequest, errno: 7, subject: [UInt8](repeating: 0x61, count: 1024))
        for reply in [
            ControlReply.reloaded(previous: Self.generation, running: 3), .refused(refusal),
        ] {
            let bytes = reply.encoded
            #expect(bytes.count <= ControlReply.encodingLimit)
            #expect(try ControlReply(decoding: bytes) == reply)
            for count in bytes.indices {
                #expect(throws: CodingFault.self) {
                    try ControlReply(decoding: [UInt8](bytes[..<count]))
                }
            }
        }
        #expect(throws: CodingFault.self) { try ControlReply(decoding: [3]) }
    }
}
