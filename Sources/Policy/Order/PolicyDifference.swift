/// One respect in which two profiles differ.
public struct PolicyDifference: Hashable, Sendable {
    /// The key, the table or the calls that it is about, such as `network.mode` or `syscalls EPERM`.
    public var subject: String
    /// What the first profile says, as TOML; nothing if it says nothing.
    public var old: String?
    /// What the second profile says.
    public var new: String?
    /// The direction from the first to the second.
    public var direction: Direction
    /// The system calls that it concerns, sorted; empty for a difference of another kind.
    public var calls: [String]
}

/// Everything in which two profiles differ, and in which direction.
///
/// Keys are compared by the order of their kind, system calls by what is answered to them: a rule that is
/// written differently and allows the same is no difference. Files, descriptions and reasons are for people
/// and do not count. The second profile allows nothing that the first does not exactly if every difference is
/// ``Direction/stricter``.
///
/// - Parameters:
///   - old: The first profile.
///   - new: The second profile.
/// - Returns: The differences: keys and tables sorted by name, then system calls.
public func differences(from old: Profile, to new: Profile) -> [PolicyDifference] {
    keyDifferences(from: old, to: new) + tableDifferences(from: old, to: new)
        + syscallDifferences(from: old, to: new)
}

/// Tables whose names are the profile's own choice and that are compared as wholes.
private let namedTables = ["mounts"]

private func keyDifferences(from old: Profile, to new: Profile) -> [PolicyDifference] {
    func counts(_ key: String) -> Bool {
        if key == "description" || namedTables.contains(where: { key.hasPrefix($0 + ".") }) {
            return false
        }
        return !key.hasPrefix("syscalls.")
            || ["syscalls.default", "syscalls.foreign"].contains(key)
    }
    let keys = Set((old.shown + new.shown).map(\.key)).filter(counts)
    return keys.sorted().compactMap { key in
        let first = old.value(of: key)
        let second = new.value(of: key)
        let direction =
            ["syscalls.default", "syscalls.foreign"].contains(key)
            ? actionDirection(from: first, to: second)
            : KeyOrder.of(key).direction(from: first, to: second)
        guard direction != .same else { return nil }
        return PolicyDifference(
            subject: key, old: first?.text, new: second?.text, direction: direction, calls: [])
    }
}

/// The direction between two answers to many calls at once, one of which may be `allow-listed`.
private func actionDirection(from old: PolicyValue?, to new: PolicyValue?) -> Direction {
    func rank(_ value: PolicyValue?) -> Int? {
        guard case .string(let word) = value else { return nil }
        if word == "allow-listed" { return 2 }
        return SyscallAction(name: word).map { $0 == .kill ? 0 : 1 }
    }
    if old == new { return .same }
    guard let first = rank(old), let second = rank(new), first != second else { return .different }
    return .from(first, to: second)
}

private func tableDifferences(from old: Profile, to new: Profile) -> [PolicyDifference] {
    namedTables.flatMap { prefix -> [PolicyDifference] in
        let first = old.tables(below: prefix)
        let second = new.tables(below: prefix)
        return Set(first.keys).union(second.keys).sorted().compactMap { name in
            guard first[name] != second[name] else { return nil }
            // Showing a builder something more is looser; something else is not comparable.
            let direction: Direction =
                first[name] == nil ? .looser : second[name] == nil ? .stricter : .different
            return PolicyDifference(
                subject: "\(prefix).\(name)", old: first[name].map(tableText),
                new: second[name].map(tableText), direction: direction, calls: [])
        }
    }
}

private func tableText(_ table: [String: PolicyValue]) -> String {
    let parts = table.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value.text)" }
    return "{ " + parts.joined(separator: ", ") + " }"
}
