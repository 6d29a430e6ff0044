import Glibc
public import LaunchModel
public import LocalStore
import StoreModel
import SystemCalls

/// What an engine is started with.
public struct EngineStart: Sendable {
    /// Where the store is.
    public var layout: StoreLayout
    /// Which users builds run as; an ordinary user's builds run as that user.
    public var users: BuildUserChoice
    /// The most builds at once.
    public var jobs: UInt16
    /// The compiled policies.
    public var profiles: [CompiledProfile]
    /// Their digest.
    public var generation: Generation

    /// Puts a start together.
    public init(
        layout: StoreLayout, users: BuildUserChoice, jobs: UInt16, profiles: [CompiledProfile],
        generation: Generation
    ) {
        self.layout = layout
        self.users = users
        self.jobs = jobs
        self.profiles = profiles
        self.generation = generation
    }

    /// Makes the store's directories, starts a launcher, and drops every privilege.
    ///
    /// Only files of root's (or the caller's) are read before the drop. After it this process is the
    /// engine's user for good; the launcher is its child.
    ///
    /// - Returns: The launcher, whose first event says whether it can work.
    public func callAsFunction() throws(HostSetupError) -> LauncherProcess {
        let isRoot = getuid() == 0
        let identity = isRoot ? EngineIdentity.forRoot() : .caller()
        let trusted: Set<UInt32> = [getuid()]
        // The root of a store may be new.
        try makeDirectories(layout.root, trusted: trusted)
        try StoreDirectories(layout: layout, engine: identity, trusted: trusted).make()
        let pool = isRoot ? try users.users() : .caller
        try checkDirectory(layout.store, trusted: trusted, isStore: true)
        try checkDirectory(layout.kiln, trusted: trusted)
        var buildGroup: UInt32?
        if case .group(let group, _) = pool { buildGroup = group.rawValue }
        try checkStore(layout.store, owner: getuid(), buildGroup: buildGroup)
        let userPool = try isRoot ? makeUserPool(pool, trusted: trusted) : layout.kiln
        let configuration = LauncherConfiguration(
            generation: generation, mode: isRoot ? .privileged : .rootless,
            directories: .init(
                store: bytes(layout.store), logicalStore: layout.logicalStore.bytes,
                state: bytes(layout.kiln), incoming: bytes(layout.incoming),
                userPool: bytes(userPool), cgroup: try makeCgroupPlace().map { bytes($0) }),
            // In its own user namespace an ordinary user is user 0.
            engineUser: isRoot ? identity.user : .root,
            engineGroup: isRoot ? identity.group : .root, pool: pool, maximumBuilds: jobs,
            profiles: profiles)
        let launcher = try LauncherProcess.start(
            try LauncherProcess.find(trusted: trusted), configuration,
            control: try ControlDirectory(of: layout).listen())
        try identity.become()
        return launcher
    }

    /// The host's lock files of build users, whatever the store's root is.
    private func makeUserPool(
        _ pool: BuildUsers, trusted: Set<UInt32>
    ) throws(HostSetupError) -> String {
        let last: String
        if case .group = pool { last = "userpool" } else { last = "userpool2" }
        let path = "/nix/var/nix/" + last
        try makeDirectories(path, trusted: trusted)
        return path
    }

    private func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }
}
