extension Profile {
    /// Why this profile does not meet a claim about its keys or about the whole; nothing if it does.
    ///
    /// - Parameters:
    ///   - claim: The claim; one about calls is none of this function's.
    ///   - profiles: All profiles, for comparisons.
    /// - Returns: What is so instead, with the line that makes it so.
    public func fault(
        against claim: PolicyExpectation.Claim, among profiles: [Profile]
    ) -> String? {
        switch claim {
        case .answer: return nil
        case .value(let key, let relation, let bound):
            return fault(key, relation, bound)
        case .noLooser(let name):
            guard let other = profiles.first(where: { $0.name == name }) else {
                return "there is no profile \(name)"
            }
            let looser = differences(from: other, to: self).filter { $0.direction != .stricter }
            guard !looser.isEmpty else { return nil }
            let words = looser.prefix(3).map {
                "\($0.subject) is \($0.direction)"
                    + ($0.calls.isEmpty ? place(of: $0.subject) : " for \($0.calls[0])")
            }
            let rest = looser.count > 3 ? " and \(looser.count - 3) more" : ""
            return "than \(name), \(words.joined(separator: ", "))\(rest)"
        case .exposure(let bound):
            let exposure = exposure
            guard exposure.total > bound else { return nil }
            let worst = exposure.items.first.map { "; most of it: \($0.name), \($0.reason)" } ?? ""
            return "the exposure is \(exposure.total), more than \(bound)\(worst)"
        }
    }

    private func fault(
        _ key: String, _ relation: PolicyExpectation.Relation, _ bound: PolicyValue
    ) -> String? {
        let found = value(of: key)
        let words: String
        switch (relation, KeyOrder.of(key).direction(from: bound, to: found)) {
        case (_, .same), (.atMost, .stricter), (.atLeast, .looser): return nil
        case (.equal, _): words = "not"
        case (.atMost, _): words = "not at most"
        case (.atLeast, _): words = "not at least"
        }
        return "\(key) is \(found?.text ?? "not set")\(place(of: key)), \(words) \(bound.text)"
    }

    private func place(of key: String) -> String {
        effective.first { $0.key == key }.map { " (\($0.origin))" } ?? ""
    }

    /// Which part of the profile decides what a call with these arguments gets, with its place.
    public func decision(about call: Syscall, arguments: [UInt64]) -> String {
        for rule in syscalls.rules where syscalls.action(of: call) == .allow {
            let denies = rule.denials.contains {
                $0.call == call.name && $0.applies(to: arguments)
            }
            if denies { return "syscalls.rule.\(rule.name) (\(rule.origin))" }
        }
        for part in [call.name, "@\(call.group)"] {
            let key = PolicySchema.spell(["syscalls", part])
            if effective.contains(where: { $0.key == key }) { return key + place(of: key) }
        }
        return "syscalls.default" + place(of: "syscalls.default")
    }
}
