import Hashing
public import LaunchModel
public import Policy

/// All profiles of a host, compiled, and the digest that names exactly this set.
public struct CompiledPolicies: Hashable, Sendable {
    /// The profiles, sorted by name; a request names one by its position.
    public let profiles: [CompiledProfile]
    /// The SHA-256 over ``encoded``.
    public let generation: Generation

    /// The canonical encodings of all profiles, one after the other, in order.
    public var encoded: [UInt8] { profiles.flatMap(\.encoded) }

    /// Takes compiled profiles and computes their digest.
    init(profiles: [CompiledProfile]) {
        self.profiles = profiles
        generation = Generation(
            bytes: Digest.of(.sha256, profiles.flatMap(\.encoded)).bytes)
    }

    /// The position of the profile with this name; nothing if there is none.
    public func number(named name: String) -> ProfileNumber? {
        profiles.firstIndex { $0.name == Array(name.utf8) }.map {
            ProfileNumber(rawValue: UInt16($0))
        }
    }
}

/// The most profiles that a launcher's configuration holds.
private let countLimit = 1024

/// Compiles a set of profiles; their order does not matter.
///
/// - Throws: ``PolicyCompileError`` for the first profile that cannot be compiled.
public func compile(
    _ profiles: [Profile], for architecture: Architecture = .host
) throws(PolicyCompileError) -> CompiledPolicies {
    guard profiles.count <= countLimit else {
        throw .tooMany(count: profiles.count, limit: countLimit)
    }
    let sorted = profiles.sorted { $0.name < $1.name }
    for (profile, next) in zip(sorted, sorted.dropFirst()) where profile.name == next.name {
        throw .duplicate(profile: profile.name)
    }
    var compiled: [CompiledProfile] = []
    for profile in sorted { compiled.append(try compile(profile, for: architecture)) }
    return CompiledPolicies(profiles: compiled)
}

/// Compiles one profile to what a launcher knows: numbers, places of the host and a seccomp program.
///
/// Looks at the host for the file that becomes `/bin/sh`. The limits that the engine keeps, and the
/// environment, are not in the result.
public func compile(
    _ profile: Profile, for architecture: Architecture = .host
) throws(PolicyCompileError) -> CompiledProfile {
    var mounts = profile.mounts.map(\.value)
    if let shell = try shellMount(of: profile, for: architecture) { mounts.append(shell) }
    // An outer mount comes before one inside it and does not cover it.
    mounts.sort { $0.target.lexicographicallyPrecedes($1.target) }
    let filter = try SyscallFilter(of: profile, for: architecture)
    let program = try filter.program()
    var compiled = CompiledProfile(
        name: Array(profile.name.utf8), hostName: Array(profile.hostName.value.utf8),
        network: profile.network.value, hostMounts: mounts, devices: profile.devices.map(\.value),
        rootSize: profile.rootSize.value, temporarySize: profile.temporarySize.value,
        sharedMemorySize: profile.sharedMemorySize.value,
        resourceLimits: profile.resourceLimits.map(\.value), outputs: profile.outputs,
        alwaysCopiesOutputs: profile.alwaysCopiesOutputs.value,
        filter: program.flatMap(\.bytes))
    compiled.denials = filter.told.compiled
    compiled.sandboxUser = profile.user.value
    compiled.sandboxGroup = profile.group.value
    return compiled
}
