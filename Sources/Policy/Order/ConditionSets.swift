/// Sets of argument lists, exactly: which of two conditions allows more is a question about all 2^192 of them.
///
/// Each set is a reduced ordered binary decision diagram over the bits of the arguments, the first argument's
/// highest bit on top; equal sets are equal numbers. Conditions compare bits under masks, so their diagrams are
/// about as long as they are.
///
/// Source: R. E. Bryant, Graph-Based Algorithms for Boolean Function Manipulation, 1986.
struct ConditionSets {
    /// A set; equal sets have equal numbers.
    typealias Members = Int

    /// The set of nothing.
    static let empty: Members = 0
    /// The set of everything.
    static let all: Members = 1

    /// A condition whose diagram would be too large to compare.
    struct TooLarge: Error {}

    private struct Node: Hashable {
        var bit: Int
        var clear: Members
        var set: Members
    }

    private struct Pair: Hashable {
        var first: Members
        var second: Members
    }

    /// Far more than any filter that the kernel takes needs.
    private static let nodeLimit = 1 << 18
    /// Below every bit of every argument.
    private static let bottom = Int.max

    private var nodes = [
        Node(bit: bottom, clear: 0, set: 0), Node(bit: bottom, clear: 1, set: 1),
    ]
    private var known: [Node: Members] = [:]
    private var intersections: [Pair: Members] = [:]
    private var complements: [Members: Members] = [:]

    /// The argument lists for which a condition holds.
    mutating func members(of condition: Condition) throws(TooLarge) -> Members {
        switch condition {
        case .compare(let argument, let mask, let comparison, let value):
            let mask = mask & argument.mask
            switch comparison {
            case .equal: return try equal(argument, mask, value)
            case .notEqual: return try complement(try equal(argument, mask, value))
            case .less: return try less(argument, mask, value, than: Self.empty)
            case .lessOrEqual: return try less(argument, mask, value, than: Self.all)
            }
        case .isOneOf(let argument, let mask, let values):
            var result = Self.empty
            for value in values {
                result = try union(result, try equal(argument, mask & argument.mask, value))
            }
            return result
        case .all(let parts):
            var result = Self.all
            for part in parts { result = try intersection(result, try members(of: part)) }
            return result
        case .any(let parts):
            var result = Self.empty
            for part in parts { result = try union(result, try members(of: part)) }
            return result
        }
    }

    /// The argument lists that a rule denies to one call.
    mutating func members(deniedBy denial: SyscallRule.Denial) throws(TooLarge) -> Members {
        let members = try members(of: denial.condition)
        return denial.deniesWhen ? members : try complement(members)
    }

    /// Whether an argument list, of six, is in a set.
    func contains(_ members: Members, _ arguments: [UInt64]) -> Bool {
        var at = members
        while at > 1 {
            let node = nodes[at]
            let isSet = arguments[node.bit / 32] >> UInt64(31 - node.bit % 32) & 1 == 1
            at = isSet ? node.set : node.clear
        }
        return at == Self.all
    }

    /// What is not in a set.
    mutating func complement(_ members: Members) throws(TooLarge) -> Members {
        if members <= 1 { return 1 - members }
        if let known = complements[members] { return known }
        let node = nodes[members]
        let result = try make(
            node.bit, clear: try complement(node.clear), set: try complement(node.set))
        complements[members] = result
        return result
    }

    /// What is in both.
    mutating func intersection(_ first: Members, _ second: Members) throws(TooLarge) -> Members {
        if first == second || second == Self.all { return first }
        if first == Self.all { return second }
        if first == Self.empty || second == Self.empty { return Self.empty }
        let pair = Pair(first: min(first, second), second: max(first, second))
        if let known = intersections[pair] { return known }
        let (left, right) = (nodes[first], nodes[second])
        let bit = min(left.bit, right.bit)
        let clear = try intersection(
            left.bit == bit ? left.clear : first, right.bit == bit ? right.clear : second)
        let set = try intersection(
            left.bit == bit ? left.set : first, right.bit == bit ? right.set : second)
        let result = try make(bit, clear: clear, set: set)
        intersections[pair] = result
        return result
    }

    /// What is in either.
    mutating func union(_ first: Members, _ second: Members) throws(TooLarge) -> Members {
        try complement(try intersection(try complement(first), try complement(second)))
    }

    /// The direction from what one policy allows to what another does.
    mutating func direction(
        fromAllowed old: Members, to new: Members
    ) throws(TooLarge) -> Direction {
        if old == new { return .same }
        if try intersection(new, try complement(old)) == Self.empty { return .stricter }
        return try intersection(old, try complement(new)) == Self.empty ? .looser : .different
    }

    private mutating func make(
        _ bit: Int, clear: Members, set: Members
    ) throws(TooLarge) -> Members {
        if clear == set { return clear }
        let node = Node(bit: bit, clear: clear, set: set)
        if let known = known[node] { return known }
        guard nodes.count < Self.nodeLimit else { throw TooLarge() }
        nodes.append(node)
        known[node] = nodes.count - 1
        return nodes.count - 1
    }

    private static func bit(_ argument: SyscallArgument, _ power: Int) -> Int {
        argument.index * 32 + 31 - power
    }

    /// The lists for which `(argument & mask) == value`.
    private mutating func equal(
        _ argument: SyscallArgument, _ mask: UInt32, _ value: UInt32
    ) throws(TooLarge) -> Members {
        guard value & ~mask == 0 else { return Self.empty }
        var rest = Self.all
        for power in 0..<32 where mask >> power & 1 == 1 {
            let isSet = value >> power & 1 == 1
            rest = try make(
                Self.bit(argument, power), clear: isSet ? Self.empty : rest,
                set: isSet ? rest : Self.empty)
        }
        return rest
    }

    /// The lists for which `(argument & mask) < value`, and `equal` where the two are the same number.
    private mutating func less(
        _ argument: SyscallArgument, _ mask: UInt32, _ value: UInt32, than equal: Members
    ) throws(TooLarge) -> Members {
        var rest = equal
        for power in 0..<32 {
            let isSet = value >> power & 1 == 1
            if mask >> power & 1 == 1 {
                rest = try make(
                    Self.bit(argument, power), clear: isSet ? Self.all : rest,
                    set: isSet ? rest : Self.empty)
            } else if isSet {
                // This bit of the argument counts as clear.
                rest = Self.all
            }
        }
        return rest
    }
}
