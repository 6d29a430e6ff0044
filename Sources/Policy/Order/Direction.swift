/// How a second policy compares with a first one.
///
/// Source: `reference/sandbox-runtimes.md` §2.9.6: a partial order for each respect, and a policy is stricter
/// than another if it is so, or the same, in every respect.
public enum Direction: String, Hashable, Sendable {
    /// It allows the same.
    case same
    /// It allows less.
    case stricter
    /// It allows more.
    case looser
    /// It allows something else, or nobody can say which of the two allows more.
    case different

    /// Both together: of one thing that changed in this direction, and one that changed in another.
    public func joined(with other: Direction) -> Direction {
        if self == .same { return other }
        if other == .same || other == self { return self }
        return .different
    }

    /// The direction in which something went whose `old` value was less, the same or more than the `new` one.
    static func from<Value: Comparable>(_ old: Value, to new: Value) -> Direction {
        old == new ? .same : new < old ? .stricter : .looser
    }

    /// The direction from one set of what is allowed to another.
    static func from<Member>(_ old: Set<Member>, to new: Set<Member>) -> Direction {
        if old == new { return .same }
        if new.isSubset(of: old) { return .stricter }
        return old.isSubset(of: new) ? .looser : .different
    }
}
