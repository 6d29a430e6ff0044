/// What `kiln doctor` says of one property of the host.
public struct Finding: Hashable, Sendable {
    /// How good it is.
    public enum State: String, Hashable, Sendable, CaseIterable {
        /// As it should be.
        case ok
        /// Builds work, with less protection or comfort than the host could give.
        case weaker
        /// Builds do not work.
        case broken
    }

    /// What was looked at, such as `cgroups`.
    public var subject: String
    /// How good it is.
    public var state: State
    /// What was found, and, unless it is as it should be, what that costs.
    public var text: String
    /// The command or act that repairs it; empty where there is nothing to repair.
    public var repair: String

    /// Puts a finding together.
    public init(_ subject: String, _ state: State, _ text: String, repair: String = "") {
        self.subject = subject
        self.state = state
        self.text = text
        self.repair = repair
    }
}

/// What can be read of a host, so that tests can describe one.
public struct HostFacts: Sendable {
    /// The text of a file of the kernel's; nothing where it is missing or may not be read.
    public var read: @Sendable (String) -> String?
    /// The release of the kernel, such as `6.18.44`.
    public var kernel: String
    /// Whether root asks.
    public var isRoot: Bool
    /// The directory of cgroups that builds would get, if any.
    public var cgroup: String?

    /// Puts facts together.
    public init(
        kernel: String, isRoot: Bool, cgroup: String?,
        read: @escaping @Sendable (String) -> String?
    ) {
        self.kernel = kernel
        self.isRoot = isRoot
        self.cgroup = cgroup
        self.read = read
    }

    /// The first line of a file.
    func line(_ path: String) -> String? {
        read(path)?.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init)
    }

    /// A number that is a whole file.
    func number(_ path: String) -> Int? { line(path).flatMap { Int($0) } }
}
