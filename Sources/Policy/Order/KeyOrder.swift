/// What makes one value of a key stricter than another.
enum KeyOrder: Hashable, Sendable {
    /// Words, the strictest first.
    case ladder([String])
    /// A number, a size or a time: less is stricter, and `"unlimited"` is more than any.
    case amount
    /// Whether something is there.
    case flag(stricter: Bool)
    /// A list: fewer members are stricter.
    case members
    /// Neither of two values is stricter.
    case unordered

    /// The order of a key; a key that nobody has thought about has none.
    static func of(_ key: String) -> KeyOrder {
        let path = key.split(separator: ".", omittingEmptySubsequences: false)
        let found = table.first { pattern, _ in
            let parts = pattern.split(separator: ".")
            return parts.count == path.count
                && zip(parts, path).allSatisfy { $0 == $1 || $0 == "*" }
        }
        return found?.order ?? .unordered
    }

    private static let table: [(pattern: String, order: KeyOrder)] = [
        ("network.mode", .ladder(["none", "loopback", "proxy", "pasta", "host"])),
        ("namespaces.nested", .ladder(["deny", "allow"])),
        ("capabilities.keep", .members),
        ("capabilities.no_new_privileges", .flag(stricter: true)),
        ("filesystem.root_size", .amount), ("filesystem.tmp_size", .amount),
        ("filesystem.shm", .amount),
        ("filesystem.store_view", .ladder(["closure", "template", "whole"])),
        ("filesystem.proc", .ladder(["none", "own-pids", "full"])),
        ("filesystem.landlock", .ladder(["full", "scope", "off"])),
        ("devices.*", .flag(stricter: false)),
        ("limits.missing_controller", .ladder(["error", "warn", "ignore"])),
        ("limits.*", .amount),
        ("env.clear", .flag(stricter: true)),
        ("outputs.max_size", .amount), ("outputs.max_entries", .amount),
        ("outputs.max_depth", .amount), ("outputs.always_copy", .flag(stricter: true)),
        ("outputs.types", .members), ("outputs.set_id", .ladder(["reject", "strip"])),
        ("audit.level", .ladder(["full", "denials", "summary", "off"])),
        ("audit.notify", .flag(stricter: true)),
    ]

    /// The direction from one value to another; nothing on either side is a key that is not set.
    func direction(from old: PolicyValue?, to new: PolicyValue?) -> Direction {
        if old == new { return .same }
        guard let old, let new else { return .different }
        switch (self, old, new) {
        case (.ladder(let words), .string(let old), .string(let new)):
            guard let first = words.firstIndex(of: old), let second = words.firstIndex(of: new)
            else { return .different }
            return .from(first, to: second)
        case (.amount, _, _):
            guard let first = Self.amount(old), let second = Self.amount(new) else {
                return .different
            }
            return .from(first, to: second)
        case (.flag(let stricter), .boolean(let old), .boolean(let new)):
            return .from(old != stricter ? 1 : 0, to: new != stricter ? 1 : 0)
        case (.members, .strings(let old), .strings(let new)):
            return .from(Set(old), to: Set(new))
        case (.ladder, _, _), (.flag, _, _), (.members, _, _), (.unordered, _, _):
            return .different
        }
    }

    /// How much a value is, in units, bytes or seconds; nothing if it is no amount.
    static func amount(_ value: PolicyValue) -> UInt64? {
        switch value {
        case .integer(let number): UInt64(exactly: number)
        case .string("unlimited"): .max
        case .string(let text): parseSize(text) ?? parseDuration(text)
        case .boolean, .strings, .table, .other: nil
        }
    }
}

extension KeyOrder {
    /// Whether a value has a place in this order.
    func orders(_ value: PolicyValue) -> Bool {
        switch (self, value) {
        case (.ladder(let words), .string(let word)): words.contains(word)
        case (.amount, _): Self.amount(value) != nil
        case (.flag, .boolean), (.members, .strings): true
        case (.ladder, _), (.flag, _), (.members, _), (.unordered, _): false
        }
    }
}
