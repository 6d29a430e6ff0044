public import LaunchModel

/// Denied calls of one kind in the words of a policy.
public struct DenialExplanation: Hashable, Sendable {
    /// The call's name.
    public var call: String
    /// The interface, if it is not the kernel's own.
    public var interface: String?
    /// What decided about the arguments, such as `family=AF_ALG`; empty if none did.
    public var arguments: [String]
    /// The name of the calling thread, which it may have given itself: printable ASCII, the rest escaped.
    public var program: String
    /// How many calls there were.
    public var count: UInt64
    /// The error that they failed with.
    public var answer: String
    /// The profile's name.
    public var policy: String
    /// The place that denies, perhaps in a profile that this one extends.
    public var origin: Origin
    /// Why the rule is there; empty for what is no rule, or gives no reason.
    public var reason: String
    /// The setting that would allow these calls and no others, as a table and a key of ``policyFile``.
    public var allowWith: String
    /// The profile's file.
    public var policyFile: String

    /// Puts an explanation together.
    public init(
        call: String, interface: String?, arguments: [String], program: String, count: UInt64,
        answer: String, policy: String, origin: Origin, reason: String, allowWith: String,
        policyFile: String
    ) {
        self.call = call
        self.interface = interface
        self.arguments = arguments
        self.program = program
        self.count = count
        self.answer = answer
        self.policy = policy
        self.origin = origin
        self.reason = reason
        self.allowWith = allowWith
        self.policyFile = policyFile
    }

    /// The call with what decided about it, such as `socket(2) with family=AF_ALG, protocol=0`.
    public var spelledCall: String {
        var text = "\(call)(2)"
        if let interface { text += " of \(interface)" }
        if !arguments.isEmpty { text += " with \(arguments.joined(separator: ", "))" }
        return text
    }
}

extension ToldDenials {
    /// Explains what the launcher told of a build.
    ///
    /// - Parameters:
    ///   - call: The calls; nothing in it is believed.
    ///   - kernel: The kernel's own interface.
    /// - Returns: The explanation; nothing for what this profile's filter cannot have said.
    public func explanation(
        of call: DeniedCall, from kernel: Architecture = .host
    ) -> DenialExplanation? {
        guard all.indices.contains(Int(call.denial)),
            let architecture = Architecture.allCases.first(where: {
                $0.auditValue == call.architecture
            }), let syscall = Syscall.byNumber(on: architecture)[call.number]
        else { return nil }
        let denial = all[Int(call.denial)]
        guard denial.arguments.count == call.arguments.count else { return nil }
        let known = SyscallArgument.arguments(of: syscall.name)
        let values = zip(denial.arguments, call.arguments).compactMap { bits, value in
            known.first { $0.index == Int(bits.index) }.map {
                ArgumentValue(argument: $0, mask: bits.mask, value: value, call: syscall.name)
            }
        }
        guard values.count == call.arguments.count else { return nil }
        return DenialExplanation(
            call: syscall.name, interface: architecture == kernel ? nil : "\(architecture)",
            arguments: values.map(\.description), program: escaped(call.program),
            count: call.count, answer: "\(SyscallAction.errno(denial.errno))", policy: profile,
            origin: denial.origin, reason: denial.reason,
            allowWith: setting(that: denial, allows: syscall.name, with: values),
            policyFile: file)
    }

    /// The smallest change of a file that allows a call; the ceiling may forbid it.
    private func setting(
        that denial: ToldDenial, allows call: String, with values: [ArgumentValue]
    ) -> String {
        guard case .rule(let name) = denial.cause else { return "[syscalls] \(call) = \"allow\"" }
        let table = "[\(PolicySchema.spell(["syscalls", "rule", name]))]"
        // A condition of no arguments is none that the parser takes.
        guard let question = denial.question, !values.isEmpty else {
            return "\(table) enabled = false"
        }
        let old = "(\(question.condition))"
        if question.key == "allow_when" {
            let these = values.map { $0.condition("==") }.joined(separator: " && ")
            return "\(table) allow_when = \"\(old) || \(these)\""
        }
        let others = values.map { $0.condition("!=") }.joined(separator: " || ")
        return "\(table) deny_when = \"\(old) && \(values.count > 1 ? "(\(others))" : others)\""
    }
}

/// The bits of an argument that decided.
private struct ArgumentValue: CustomStringConvertible {
    let argument: SyscallArgument
    let mask: UInt32
    let value: UInt32
    let call: String

    private var spelling: String { argument.spelling(of: value, in: call) }

    var description: String { "\(argument.name)=\(spelling)" }

    /// A comparison with the value, as conditions have it.
    func condition(_ comparison: String) -> String {
        let isWord = spelling.utf8.allSatisfy { $0 != UInt8(ascii: "|") }
        let masked =
            mask == argument.mask
            ? argument.name : "\(argument.name) & \(hexadecimal(mask))"
        return "\(masked) \(comparison) \(isWord ? spelling : hexadecimal(value))"
    }
}

/// The name of a program without anything that could be taken for more than a name.
private func escaped(_ name: [UInt8]) -> String {
    var text = name.isEmpty ? "?" : ""
    for byte in name {
        switch byte {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: ","), ..<0x21, 0x7f...:
            let digits = String(byte, radix: 16)
            text += "\\x" + (digits.utf8.count == 1 ? "0" : "") + digits
        default: text.unicodeScalars.append(Unicode.Scalar(byte))
        }
    }
    return text
}

extension SyscallArgument {
    /// A value of the argument in the words of conditions, as far as they have any.
    func spelling(of value: UInt32, in call: String) -> String {
        switch (name, call) {
        case ("mode", _): return "0o" + String(value, radix: 8)
        case ("family", _): return Self.constant(value, "AF_") ?? String(value)
        case ("cmd", "ioctl"):
            return Self.constant(value, "TIOC") ?? Self.constant(value, "FS_IOC")
                ?? hexadecimal(value)
        case ("flags", "clone"), ("flags", "unshare"): return Self.flags(value, "CLONE_NEW")
        case ("persona", _): return hexadecimal(value)
        default: return value < 0x1_0000 ? String(value) : hexadecimal(value)
        }
    }

    private static func constant(_ value: UInt32, _ prefix: String) -> String? {
        NamedConstant.all.filter { $0.value == value && $0.key.hasPrefix(prefix) }.map(\.key).min()
    }

    private static func flags(_ value: UInt32, _ prefix: String) -> String {
        var rest = value
        var names: [String] = []
        for (name, bit) in NamedConstant.all.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(prefix) && bit.nonzeroBitCount == 1 && rest & bit != 0 {
            names.append(name)
            rest &= ~bit
        }
        if rest != 0 || names.isEmpty { names.append(hexadecimal(rest)) }
        return names.joined(separator: "|")
    }
}

private func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
