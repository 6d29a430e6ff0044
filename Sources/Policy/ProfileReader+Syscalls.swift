import Diagnostics

extension ProfileReader {
    mutating func syscalls() -> SyscallPolicy? {
        let unknown = required("syscalls.default", "an error name such as \"ENOSYS\", or \"kill\"")
        {
            Self.action($0).flatMap { $0 == .allow ? nil : $0 }
        }
        let foreign = required(
            "syscalls.foreign", "\"allow-listed\", an error name, or \"kill\""
        ) { value -> ForeignCalls? in
            if Self.string(value) == "allow-listed" { return .sameAsNative }
            return Self.action(value).flatMap { $0 == .allow ? nil : .action($0) }
        }
        var groups: [String: SyscallAction] = [:]
        var calls: [String: SyscallAction] = [:]
        for (name, item) in children(of: ["syscalls"]) {
            if name == "default" || name == "foreign" { continue }
            if name == "rule", item.entry.value == .table { continue }
            if name.hasPrefix("@") {
                let group = String(name.dropFirst())
                guard Syscall.groups.contains(group) else {
                    fail(
                        item, "there is no group of system calls `\(name)`",
                        suggestion: guess(group, in: Syscall.groups, prefix: "@"))
                    continue
                }
                if let action = action(item) { groups[group] = action }
            } else {
                guard Syscall.byName[name] != nil else {
                    fail(
                        item, "there is no system call `\(name)`",
                        suggestion: guess(name, in: Syscall.byName.keys, prefix: ""))
                    continue
                }
                if let action = action(item) { calls[name] = action }
            }
        }
        refuseForbidden(groups: groups, calls: calls)
        let rules = rules()
        guard let unknown, let foreign else { return nil }
        return SyscallPolicy(
            unknown: unknown.value, foreign: foreign.value, groups: groups, calls: calls,
            rules: rules)
    }

    private static func action(_ value: PolicyValue) -> SyscallAction? {
        string(value).flatMap { SyscallAction(name: $0) }
    }

    private func guess(_ word: String, in words: some Sequence<String>, prefix: String) -> String? {
        nearest(word, in: words).map { "did you mean `\(prefix)\($0)`?" }
    }

    private mutating func action(_ item: Item) -> SyscallAction? {
        guard case .string(let word) = item.entry.value else {
            fail(item, expected: "the name of an action")
            return nil
        }
        guard let action = SyscallAction(name: word) else {
            fail(
                item, "there is no action \"\(word)\"",
                suggestion: guess(word, in: SyscallAction.names, prefix: "")
                    ?? "actions: \(SyscallAction.names.joined(separator: ", "))")
            return nil
        }
        return action
    }

    private mutating func rules() -> [SyscallRule] {
        var rules: [SyscallRule] = []
        for (name, table) in children(of: ["syscalls", "rule"]) {
            guard table.entry.value == .table else {
                fail(table, expected: "a table")
                continue
            }
            guard isName(name) else {
                fail(table, "`\(name)` is not a name of a-z, 0-9, - and _")
                continue
            }
            if let rule = rule(name, table) { rules.append(rule) }
        }
        if let (rule, other, call) = SyscallRule.conflict(in: rules) {
            for (name, table) in children(of: ["syscalls", "rule"]) where name == other.name {
                fail(
                    table,
                    "rules `\(rule.name)` and `\(other.name)` may both deny \(call), "
                        + "with different answers")
            }
        }
        return rules
    }

    /// Reads one rule, also when it is disabled, so that mistakes do not wait until it is enabled.
    private mutating func rule(_ name: String, _ table: Item) -> SyscallRule? {
        let path = "syscalls.rule.\(name)"
        let enabled = optional("\(path).enabled", "true or false", Self.boolean)
        let reason = optional("\(path).reason", "a string", Self.string)
        let log = optional("\(path).log", "true or false", Self.boolean)
        var isWhole = true
        var action: SyscallAction?
        if let item = item("\(path).action") {
            action = self.action(item)
            if action == .allow {
                fail(item, "a rule denies; its action cannot be \"allow\"")
                isWhole = false
            }
        } else {
            fail(table, "`\(path)` lacks `action`")
        }
        let calls = optional("\(path).calls", "a list of system calls") { value -> [String]? in
            if case .strings(let names) = value { names } else { nil }
        }
        if item("\(path).calls") == nil { fail(table, "`\(path)` lacks `calls`") }
        let deny = item("\(path).deny_when")
        let allow = item("\(path).allow_when")
        guard let question = deny ?? allow, deny == nil || allow == nil else {
            fail(table, "`\(path)` needs either `deny_when` or `allow_when`")
            return nil
        }
        guard case .string(let text) = question.entry.value else {
            fail(question, expected: "a condition in a string")
            return nil
        }
        guard let action, let calls else { return nil }
        if calls.value.isEmpty, let item = item("\(path).calls") {
            fail(item, "`\(path).calls` is empty")
            return nil
        }
        var denials: [SyscallRule.Denial] = []
        for call in calls.value {
            guard Syscall.byName[call] != nil else {
                if let item = item("\(path).calls") {
                    fail(
                        item, "there is no system call `\(call)`",
                        suggestion: guess(call, in: Syscall.byName.keys, prefix: ""))
                }
                isWhole = false
                continue
            }
            do throws(ConditionFault) {
                denials.append(
                    SyscallRule.Denial(
                        call: call, condition: try ConditionParser.parse(text, call: call),
                        deniesWhen: deny != nil, action: action))
            } catch {
                fail(
                    question, "\(error.message), at byte \(error.offset + 1) of the condition",
                    suggestion: error.suggestion)
                isWhole = false
            }
        }
        guard isWhole, enabled?.value != false else { return nil }
        var rule = SyscallRule(
            name: name, denials: denials, reason: reason?.value ?? "", origin: table.entry.origin)
        rule.isTold = log?.value ?? true
        return rule
    }
}
