public import LaunchModel

/// A denial of a profile that builds are told of, with the words that made it.
public struct ToldDenial: Hashable, Sendable {
    /// What in the profile denies.
    public enum Cause: Hashable, Sendable {
        /// The key with the call's own name.
        case call(String)
        /// The key of the call's group, without the `@`.
        case group(String)
        /// Nothing names the call or its group, so it gets what `syscalls.default` says.
        case unlisted
        /// A rule about arguments, by its name.
        case rule(String)
    }

    /// What denies.
    public var cause: Cause
    /// The error that the call fails with.
    public var errno: UInt16
    /// The bits of arguments that decide.
    public var arguments: [CompiledDenial.ArgumentBits]
    /// Where it is written.
    public var origin: Origin
    /// Why the rule is there, if it is one that says so.
    public var reason = ""
    /// The key of a rule's condition, and the condition inside of its quotes, as TOML.
    var question: Question?

    /// What a rule asks.
    struct Question: Hashable, Sendable {
        var key: String
        var condition: String
    }
}

/// The denials of one profile that are told, in the order in which its filter numbers them.
///
/// Not told are calls that programs make by the thousand or only try before they do without: extended
/// attributes, `clone3`, io_uring, whatever is newer than Kiln. What is told may explain why a build failed.
public struct ToldDenials: Hashable, Sendable {
    /// The profile's name.
    public var profile: String
    /// The file that the profile is in.
    public var file: String
    /// The denials.
    public private(set) var all: [ToldDenial] = []
    private var causes: [ToldDenial.Cause: Int] = [:]
    private var rules: [SyscallRule.Denial: Int] = [:]
    let policy: SyscallPolicy

    /// Calls that are told when they are denied as such: by these groups.
    private static let groups: Set<String> = [
        "aio", "clock-set", "debug", "fanotify", "file-handle", "kernel", "keyring", "memory-odd",
        "mount", "mount-new", "namespace", "perf", "socketcall", "userfault",
    ]
    /// And these, whose groups hold calls that are made all the time.
    private static let calls: Set<String> = ["mknod", "mknodat", "personality", "unshare"]

    /// Numbers the denials of a profile.
    init(of profile: Profile) {
        self.profile = profile.name
        file = profile.file
        policy = profile.syscalls
        for call in Syscall.all {
            guard let (cause, errno) = denial(of: call), causes[cause] == nil else { continue }
            causes[cause] = all.count
            all.append(
                ToldDenial(
                    cause: cause, errno: errno, arguments: [],
                    origin: Self.origin(of: cause, in: profile)))
        }
        for rule in policy.rules where rule.isTold {
            for denial in rule.denials {
                guard rules[denial] == nil, case .errno(let errno) = denial.action else { continue }
                let told = ToldDenial(
                    cause: .rule(rule.name), errno: errno,
                    arguments: denial.condition.argumentBits, origin: rule.origin,
                    reason: rule.reason, question: Self.question(of: rule.name, in: profile))
                // The calls of a rule that have the argument at the same place share a number.
                if let index = all.firstIndex(of: told) {
                    rules[denial] = index
                } else {
                    rules[denial] = all.count
                    all.append(told)
                }
            }
        }
    }

    /// What the launcher needs of it.
    public var compiled: [CompiledDenial] {
        all.map { CompiledDenial(errno: $0.errno, arguments: $0.arguments) }
    }

    /// The number of the denial of a call that is denied whatever its arguments; nothing if it is not told.
    public func number(of call: Syscall) -> UInt16? {
        denial(of: call).flatMap { causes[$0.cause] }.map { UInt16($0) }
    }

    /// The number of a rule's denial of one call; nothing if it is not told.
    public func number(of denial: SyscallRule.Denial) -> UInt16? {
        rules[denial].map { UInt16($0) }
    }

    private func denial(of call: Syscall) -> (cause: ToldDenial.Cause, errno: UInt16)? {
        // What no profile may allow is nothing to tell an administrator, and the launcher's filter answers first.
        guard !call.isForbidden, case .errno(let errno) = policy.action(of: call),
            Self.groups.contains(call.group) || Self.calls.contains(call.name)
        else { return nil }
        if policy.calls[call.name] != nil { return (.call(call.name), errno) }
        if policy.groups[call.group] != nil { return (.group(call.group), errno) }
        return (.unlisted, errno)
    }

    private static func question(
        of rule: String, in profile: Profile
    ) -> ToldDenial.Question? {
        for key in ["allow_when", "deny_when"] {
            let path = PolicySchema.spell(["syscalls", "rule", rule, key])
            if let found = profile.effective.first(where: { $0.key == path }) {
                return .init(key: key, condition: String(found.value.dropFirst().dropLast()))
            }
        }
        return nil
    }

    private static func origin(of cause: ToldDenial.Cause, in profile: Profile) -> Origin {
        let name =
            switch cause {
            case .call(let name): name
            case .group(let name): "@\(name)"
            case .unlisted, .rule: "default"
            }
        let key = PolicySchema.spell(["syscalls", name])
        return profile.effective.first { $0.key == key }?.origin
            ?? Origin(file: profile.file, line: 1, column: 1)
    }
}

extension Profile {
    /// The denials of this profile that builds are told of.
    public var toldDenials: ToldDenials { ToldDenials(of: self) }
}

extension Condition {
    /// The bits of arguments that this looks at, by position.
    var argumentBits: [CompiledDenial.ArgumentBits] {
        var masks: [Int: UInt32] = [:]
        collect(&masks)
        return masks.sorted { $0.key < $1.key }.map {
            CompiledDenial.ArgumentBits(index: UInt8($0.key), mask: $0.value)
        }
    }

    private func collect(_ masks: inout [Int: UInt32]) {
        switch self {
        case .compare(let argument, let mask, _, _), .isOneOf(let argument, let mask, _):
            masks[argument.index, default: 0] |= mask & argument.mask
        case .all(let conditions), .any(let conditions):
            for condition in conditions { condition.collect(&masks) }
        }
    }
}
