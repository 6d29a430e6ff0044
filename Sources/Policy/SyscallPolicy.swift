public import LaunchModel

/// What a profile says about system calls; the order of its parts never matters.
public struct SyscallPolicy: Hashable, Sendable {
    /// What numbers that nothing else names get; never `allow`.
    public var unknown: SyscallAction
    /// What 32-bit programs get.
    public var foreign: ForeignCalls
    /// Actions of groups, by name without the `@`.
    public var groups: [String: SyscallAction]
    /// Actions of single calls, stronger than their group's.
    public var calls: [String: SyscallAction]
    /// Narrower answers for calls that are otherwise allowed.
    public var rules: [SyscallRule]

    /// Puts a policy together.
    public init(
        unknown: SyscallAction, foreign: ForeignCalls, groups: [String: SyscallAction],
        calls: [String: SyscallAction], rules: [SyscallRule]
    ) {
        self.unknown = unknown
        self.foreign = foreign
        self.groups = groups
        self.calls = calls
        self.rules = rules
    }

    /// The action of a call before rules look at its arguments.
    public func action(of call: Syscall) -> SyscallAction {
        calls[call.name] ?? groups[call.group] ?? unknown
    }

    /// The denials that apply to an allowed call: every one that matches denies.
    public func denials(of call: Syscall) -> [SyscallRule.Denial] {
        guard action(of: call) == .allow else { return [] }
        return rules.flatMap { $0.denials }.filter { $0.call == call.name }
    }

    /// What this policy answers to one call, evaluated from its words.
    ///
    /// This is the meaning that a compiled program is compared with.
    public func answer(
        to number: UInt32, on architecture: Architecture, from kernel: Architecture,
        arguments: [UInt64], table: [UInt32: Syscall]
    ) -> SyscallAction {
        if architecture != kernel {
            guard architecture == kernel.compatible else { return .kill }
            if case .action(let action) = foreign { return action }
        }
        // Numbers from 2^30 are x32's on x86_64 and nobody's elsewhere.
        if architecture == .x86_64, number >= 0x4000_0000 { return .notImplemented }
        guard let call = table[number] else { return unknown }
        for denial in denials(of: call) where denial.applies(to: arguments) { return denial.action }
        return action(of: call)
    }
}

/// One named rule of a profile about the arguments of some calls.
public struct SyscallRule: Hashable, Sendable {
    /// The rule for one of its calls.
    public struct Denial: Hashable, Sendable {
        /// The call's name.
        public var call: String
        /// The question about the arguments.
        public var condition: Condition
        /// The answer that means "denied".
        public var deniesWhen: Bool
        /// What a denied call gets.
        public var action: SyscallAction

        /// Puts a denial together.
        public init(call: String, condition: Condition, deniesWhen: Bool, action: SyscallAction) {
            self.call = call
            self.condition = condition
            self.deniesWhen = deniesWhen
            self.action = action
        }

        /// Whether a call with these arguments is denied.
        public func applies(to arguments: [UInt64]) -> Bool {
            condition.holds(arguments) == deniesWhen
        }
    }

    /// The rule's name.
    public var name: String
    /// What it means for each of its calls.
    public var denials: [Denial]
    /// Why the rule is there.
    public var reason: String
    /// Where it is written.
    public var origin: Origin
    /// Whether its denials are told in the build's log.
    public var isTold = true

    /// Puts a rule together.
    public init(name: String, denials: [Denial], reason: String, origin: Origin) {
        self.name = name
        self.denials = denials
        self.reason = reason
        self.origin = origin
    }

    /// Two denials of the same call that could answer differently, which order would have to decide.
    static func conflict(in rules: [SyscallRule]) -> (SyscallRule, SyscallRule, call: String)? {
        for (index, rule) in rules.enumerated() {
            for other in rules[(index + 1)...] {
                for denial in rule.denials {
                    for second in other.denials
                    where second.call == denial.call && second.action != denial.action {
                        let provenApart =
                            denial.deniesWhen && second.deniesWhen
                            && denial.condition.isDisjoint(from: second.condition)
                        if !provenApart { return (rule, other, denial.call) }
                    }
                }
            }
        }
        return nil
    }
}
