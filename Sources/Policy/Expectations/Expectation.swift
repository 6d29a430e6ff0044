/// Something that an administrator expects of profiles.
public struct PolicyExpectation: Hashable, Sendable {
    /// Its name in its file.
    public var name: String
    /// Where it is written.
    public var origin: Origin
    /// The profiles that it is about.
    public var profiles: [String]
    /// What is expected of each.
    public var claim: Claim

    /// What is expected.
    public enum Claim: Hashable, Sendable {
        /// Calls get an answer.
        case answer(CallClaim)
        /// A key has a value that stands so to this one.
        case value(key: String, Relation, PolicyValue)
        /// The profile allows nothing that another does not.
        case noLooser(than: String)
        /// The profile's exposure is at most this.
        case exposure(atMost: Hundredths)
    }

    /// How a value is expected to stand to another.
    public enum Relation: String, Hashable, Sendable, CaseIterable {
        /// It is the same.
        case equal = "value"
        /// It is the same or stricter.
        case atMost = "at_most"
        /// It is the same or looser.
        case atLeast = "at_least"
    }

    /// What some calls are expected to get.
    public struct CallClaim: Hashable, Sendable {
        /// The calls' names.
        public var calls: [String]
        /// The arguments that the claim fixes, by position; it is about every value of the others.
        public var arguments: [Int: UInt32]
        /// The interface that the calls come through.
        public var interface: Interface
        /// What they get.
        public var answer: Answer
    }

    /// Through which of a kernel's interfaces a call comes.
    public enum Interface: String, Hashable, Sendable, CaseIterable {
        /// The 64-bit one.
        case native
        /// The 32-bit one of the same kernel.
        case compatible = "32-bit"
    }

    /// An expected answer.
    public enum Answer: Hashable, Sendable, CustomStringConvertible {
        /// The call does not succeed, whatever it gets instead.
        case deny
        /// Exactly this.
        case action(SyscallAction)

        /// Whether an answer is the expected one.
        public func isMet(by action: SyscallAction) -> Bool {
            switch self {
            case .deny: action != .allow
            case .action(let expected): action == expected
            }
        }

        /// The word that a file uses.
        public var description: String {
            switch self {
            case .deny: "deny"
            case .action(let action): action.description
            }
        }
    }
}

/// An expectation that was not met by one profile.
public struct ExpectationFailure: Hashable, Sendable, CustomStringConvertible {
    /// The expectation's name.
    public var name: String
    /// Where the expectation is written.
    public var origin: Origin
    /// The profile that does not meet it.
    public var profile: String
    /// What is so instead, and which line of the policy makes it so.
    public var message: String

    /// Puts a failure together.
    public init(_ expectation: PolicyExpectation, profile: String, message: String) {
        name = expectation.name
        origin = expectation.origin
        self.profile = profile
        self.message = message
    }

    /// The failure with its place.
    public var description: String {
        "\(origin.file):\(origin.line):\(origin.column): failed: \(name), profile \(profile): \(message)"
    }
}
