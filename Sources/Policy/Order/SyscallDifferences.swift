/// What differs in the answers to system calls: first calls whose answer differs whatever their arguments, by
/// the pair of answers; then those that rules about arguments treat differently, by rule.
func syscallDifferences(from old: Profile, to new: Profile) -> [PolicyDifference] {
    struct Change: Hashable {
        var old: SyscallAction
        var new: SyscallAction
    }
    struct RuleChange: Hashable {
        var rules: [String]
        var direction: Direction
    }
    var changes: [Change: [String]] = [:]
    var ruleChanges: [RuleChange: [String]] = [:]
    for call in Syscall.all {
        let change = Change(
            old: old.syscalls.action(of: call), new: new.syscalls.action(of: call))
        if change.old != change.new {
            changes[change, default: []].append(call.name)
            continue
        }
        let direction = argumentDirection(
            from: old.syscalls.denials(of: call), to: new.syscalls.denials(of: call))
        guard direction != .same else { continue }
        let rules = changedRules(from: old.syscalls, to: new.syscalls, about: call.name)
        ruleChanges[RuleChange(rules: rules, direction: direction), default: []].append(call.name)
    }
    let byAnswer = changes.map { change, calls in
        PolicyDifference(
            subject: "syscalls", old: change.old.description, new: change.new.description,
            direction: change.old.direction(to: change.new), calls: calls.sorted())
    }
    let byRule = ruleChanges.map { change, calls in
        PolicyDifference(
            subject: change.rules.map { "syscalls.rule.\($0)" }.joined(separator: ", "),
            old: condition(of: change.rules, in: old), new: condition(of: change.rules, in: new),
            direction: change.direction, calls: calls.sorted())
    }
    return (byAnswer + byRule).sorted {
        ($0.subject, $0.old ?? "", $0.new ?? "") < ($1.subject, $1.old ?? "", $1.new ?? "")
    }
}

/// The direction from what one list of denials lets through to what another does, for one call.
func argumentDirection(
    from old: [SyscallRule.Denial], to new: [SyscallRule.Denial]
) -> Direction {
    if old == new { return .same }
    var sets = ConditionSets()
    do throws(ConditionSets.TooLarge) {
        let direction = try sets.direction(
            fromAllowed: try sets.members(passing: old), to: try sets.members(passing: new))
        guard direction == .same else { return direction }
        // The same calls pass; what the others are told may still differ.
        return try sets.answersAreEqual(old, new) ? .same : .different
    } catch {
        return .different
    }
}

extension ConditionSets {
    /// The argument lists that no denial applies to.
    mutating func members(passing denials: [SyscallRule.Denial]) throws(TooLarge) -> Members {
        var passing = Self.all
        for denial in denials {
            passing = try intersection(
                passing, try complement(try members(deniedBy: denial)))
        }
        return passing
    }

    /// Whether two lists that deny the same calls also answer them with the same errors.
    fileprivate mutating func answersAreEqual(
        _ first: [SyscallRule.Denial], _ second: [SyscallRule.Denial]
    ) throws(TooLarge) -> Bool {
        for action in Set((first + second).map(\.action)) {
            let one = try members(passing: first.filter { $0.action == action })
            let other = try members(passing: second.filter { $0.action == action })
            if one != other { return false }
        }
        return true
    }
}

extension SyscallAction {
    /// The direction from this answer to another: a kill is stricter than an error, an error than success.
    func direction(to other: SyscallAction) -> Direction {
        if self == other { return .same }
        return rank == other.rank ? .different : .from(rank, to: other.rank)
    }

    private var rank: Int {
        switch self {
        case .kill: 0
        case .errno: 1
        case .allow: 2
        }
    }
}

/// The names of the rules whose part about a call is not the same in both policies, sorted.
private func changedRules(
    from old: SyscallPolicy, to new: SyscallPolicy, about call: String
) -> [String] {
    func parts(_ policy: SyscallPolicy) -> [String: [SyscallRule.Denial]] {
        var parts: [String: [SyscallRule.Denial]] = [:]
        for rule in policy.rules {
            let denials = rule.denials.filter { $0.call == call }
            if !denials.isEmpty { parts[rule.name] = denials }
        }
        return parts
    }
    let first = parts(old)
    let second = parts(new)
    return Set(first.keys).union(second.keys).filter { first[$0] != second[$0] }.sorted()
}

/// What the profile writes for a rule that is enabled; nothing for several, or where it is not.
private func condition(of rules: [String], in profile: Profile) -> String? {
    guard rules.count == 1, profile.syscalls.rules.contains(where: { $0.name == rules[0] }) else {
        return nil
    }
    for word in ["deny_when", "allow_when"] {
        if let value = profile.value(of: "syscalls.rule.\(rules[0]).\(word)") {
            return "\(word) \(value.text)"
        }
    }
    return nil
}
