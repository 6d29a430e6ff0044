import LaunchModel
import Testing

@Suite("The steps of a launch and of a hand-over") struct LaunchStepTests {
    static let profile = CompiledProfile(
        name: [0x78], hostName: [0x78], network: .loopback,
        hostMounts: [
            HostMount(
                source: [UInt8]("/usr".utf8), target: [UInt8]("/usr".utf8), presence: .required,
                followsLink: false)
        ], devices: [.null], rootSize: 1, temporarySize: 1, sharedMemorySize: 1,
        resourceLimits: [], outputs: OutputLimits(bytes: 1, entries: 1, depth: 1),
        alwaysCopiesOutputs: false, filter: [UInt8](repeating: 0, count: 8))

    @Test(
        "what must come before something else does",
        arguments: [
            (LaunchStep.writeFiles, LaunchStep.giveDirectories), (.mountRoot, .makeRootReadOnly),
            (.mountProc, .verifyMounts), (.changeRoot, .verifyMounts),
            (.clearGroups, .enterUserNamespace), (.enterUserNamespace, .forbidNamespaces),
            (.forbidNamespaces, .dropCapabilities), (.dropBoundingSet, .setGroup),
            (.setGroup, .setUser), (.setUser, .dropCapabilities), (.setUser, .dieWithLauncherStill),
            (.closeDescriptors, .startBuilder), (.startBuilder, .limitResources),
            (.startBuilder, .limitScope), (.limitScope, .verifyDrops), (.verifyDrops, .loadFilter),
            (.loadFilter, .execute),
        ])
    func order(first: LaunchStep, then second: LaunchStep) throws {
        let steps = LaunchStep.steps(for: Self.profile, mode: .privileged, usesCgroup: true)
        #expect(steps == LaunchStep.allCases)
        let one = try #require(steps.firstIndex(of: first))
        let other = try #require(steps.firstIndex(of: second))
        #expect(one < other)
    }

    @Test("an ordinary user's launch leaves out what needs root, and nothing else")
    func rootless() {
        let all = Set(LaunchStep.steps(for: Self.profile, mode: .privileged, usesCgroup: true))
        let rootless = Set(LaunchStep.steps(for: Self.profile, mode: .rootless, usesCgroup: false))
        #expect(
            all.subtracting(rootless) == [.lendUser, .proveUserClean, .clearGroups, .makeCgroup])
    }

    @Test("outputs are read, published and registered only after the proof and the change of owner")
    func handOver() throws {
        let steps = HandOverStep.steps(mode: .privileged, usesCgroup: true)
        #expect(steps == HandOverStep.allCases)
        let rootless = HandOverStep.steps(mode: .rootless, usesCgroup: false)
        #expect(Set(steps).subtracting(rootless) == [.killCgroup, .removeCgroup, .scanProcesses])
        let order: [HandOverStep] = [
            .scanProcesses, .verifyOutputs, .takeOwnership, .proveNoWriter, .scanOutputs,
            .checkOutputs, .publish, .syncObjects, .register,
        ]
        #expect(steps.filter(order.contains) == order)
    }
}
