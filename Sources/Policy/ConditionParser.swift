import Diagnostics

/// Why a condition was refused: the message and the byte of the text where it went wrong.
struct ConditionFault: Error {
    var message: String
    var suggestion: String?
    var offset: Int
}

/// Reads the conditions of system call rules.
///
///     condition  = conjunct { "||" conjunct }
///     conjunct   = atom { "&&" atom }
///     atom       = "(" condition ")" | operand comparison
///     operand    = argument [ "&" unit ]
///     comparison = ( "==" | "!=" | "<" | "<=" ) constant | "in" "{" constant { "," constant } "}"
///     constant   = unit { "|" unit }
///     unit       = "~" unit | number | NAME | "(" constant ")"
struct ConditionParser {
    private static let depthLimit = 32
    private static let sizeLimit = 4096

    private let arguments: [SyscallArgument]
    private let call: String
    private let tokens: [(text: String, offset: Int)]
    private var index = 0
    private let end: Int

    /// The condition that `text` writes for one call.
    static func parse(_ text: String, call: String) throws(ConditionFault) -> Condition {
        var parser = try ConditionParser(text, call: call)
        let condition = try parser.condition(depth: 0)
        guard parser.index == parser.tokens.count else {
            throw parser.fault("`\(parser.peek)` does not belong here")
        }
        return condition
    }

    private init(_ text: String, call: String) throws(ConditionFault) {
        self.call = call
        arguments = SyscallArgument.arguments(of: call)
        tokens = try Self.tokens(of: Array(text.utf8))
        end = text.utf8.count
    }

    private var peek: String { index < tokens.count ? tokens[index].text : "the end" }

    private func fault(_ message: String, suggestion: String? = nil) -> ConditionFault {
        ConditionFault(
            message: message, suggestion: suggestion,
            offset: index < tokens.count ? tokens[index].offset : end)
    }

    private mutating func take(_ text: String) -> Bool {
        guard index < tokens.count, tokens[index].text == text else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ text: String) throws(ConditionFault) {
        guard take(text) else { throw fault("expected `\(text)`, found `\(peek)`") }
    }

    private func check(depth: Int) throws(ConditionFault) {
        guard depth < Self.depthLimit else { throw fault("the condition is nested too deeply") }
    }

    private mutating func condition(depth: Int) throws(ConditionFault) -> Condition {
        try check(depth: depth)
        var parts = [try conjunct(depth: depth)]
        while take("||") { parts.append(try conjunct(depth: depth)) }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private mutating func conjunct(depth: Int) throws(ConditionFault) -> Condition {
        var parts = [try atom(depth: depth)]
        while take("&&") { parts.append(try atom(depth: depth)) }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private mutating func atom(depth: Int) throws(ConditionFault) -> Condition {
        if take("(") {
            let inner = try condition(depth: depth + 1)
            try expect(")")
            return inner
        }
        let argument = try argument()
        var mask = argument.mask
        if take("&") { mask &= try unit(depth: depth + 1) }
        if take("in") {
            try expect("{")
            var values = [try constant(depth: depth + 1)]
            while take(",") { values.append(try constant(depth: depth + 1)) }
            try expect("}")
            return .isOneOf(argument, mask: mask, values)
        }
        let comparison: Condition.Comparison
        if take("==") {
            comparison = .equal
        } else if take("!=") {
            comparison = .notEqual
        } else if take("<=") {
            comparison = .lessOrEqual
        } else if take("<") {
            comparison = .less
        } else {
            throw fault("expected a comparison, found `\(peek)`")
        }
        return .compare(argument, mask: mask, comparison, try constant(depth: depth + 1))
    }

    private mutating func argument() throws(ConditionFault) -> SyscallArgument {
        let name = peek
        guard let argument = arguments.first(where: { $0.name == name }) else {
            let known = arguments.map(\.name)
            if known.isEmpty {
                throw fault("\(call) has no argument that a seccomp program can read")
            }
            throw fault(
                "\(call) has no argument `\(name)` that a seccomp program can read",
                suggestion: "it can read: \(known.joined(separator: ", "))")
        }
        index += 1
        return argument
    }

    private mutating func constant(depth: Int) throws(ConditionFault) -> UInt32 {
        try check(depth: depth)
        var value = try unit(depth: depth)
        while take("|") { value |= try unit(depth: depth) }
        return value
    }

    private mutating func unit(depth: Int) throws(ConditionFault) -> UInt32 {
        try check(depth: depth)
        if take("~") { return ~(try unit(depth: depth + 1)) }
        if take("(") {
            let value = try constant(depth: depth + 1)
            try expect(")")
            return value
        }
        let text = peek
        let value: UInt32
        if text.hasPrefix("0x") {
            guard let number = UInt32(text.dropFirst(2), radix: 16) else {
                throw fault("`\(text)` is not a number of 32 bits")
            }
            value = number
        } else if text.hasPrefix("0o") {
            guard let number = UInt32(text.dropFirst(2), radix: 8) else {
                throw fault("`\(text)` is not a number of 32 bits")
            }
            value = number
        } else if let number = UInt32(text) {
            guard number == 0 || !text.hasPrefix("0") else {
                throw fault("`\(text)` could be octal or decimal", suggestion: "octal is `0o…`")
            }
            value = number
        } else if let number = NamedConstant.all[text] {
            value = number
        } else {
            throw fault(
                "`\(text)` is neither a number nor a constant that Kiln knows",
                suggestion: nearest(text, in: NamedConstant.all.keys).map {
                    "did you mean `\($0)`?"
                })
        }
        index += 1
        return value
    }

    private static func tokens(
        of bytes: [UInt8]
    ) throws(ConditionFault) -> [(text: String, offset: Int)] {
        guard bytes.count <= sizeLimit else {
            throw ConditionFault(message: "the condition is too long", suggestion: nil, offset: 0)
        }
        var tokens: [(text: String, offset: Int)] = []
        var offset = 0
        while offset < bytes.count {
            if bytes[offset] == 0x20 || bytes[offset] == 0x09 || bytes[offset] == 0x0A {
                offset += 1
                continue
            }
            var stop = offset
            while stop < bytes.count, isWord(bytes[stop]) { stop += 1 }
            if stop == offset {
                let pair = String(
                    decoding: bytes[offset..<min(offset + 2, bytes.count)], as: UTF8.self)
                let single = String(decoding: [bytes[offset]], as: UTF8.self)
                if ["==", "!=", "<=", "&&", "||"].contains(pair) {
                    stop += 2
                } else if ["(", ")", "{", "}", ",", "&", "|", "~", "<"].contains(single) {
                    stop += 1
                } else {
                    throw ConditionFault(
                        message: "`\(single)` means nothing in a condition", suggestion: nil,
                        offset: offset)
                }
            }
            tokens.append((String(decoding: bytes[offset..<stop], as: UTF8.self), offset))
            offset = stop
        }
        return tokens
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
