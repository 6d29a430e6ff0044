public import LaunchModel

/// Denied calls of one kind in the words of a policy.
public struct DenialExplanation: Hashable, Sendable {
    /// The call's name.
    public var call: String
    /// The interface, if it is not the kernel's own.
    public var interface: String?
    /// What decided about the arguments, such as `family=AF_ALG`; empty if none did.
    public var arguments: [String]
    /// The name of the calling thread, as it gave it to itself: any characters.
    public var program: String
    /// How many calls there were.
    public var count: UInt64
    /// The error that they failed with.
    public var answer: String
    /// The profile's name.
    public var policy: String
    /// The place that denies.
    public var origin: Origin
    /// The setting that would allow them, as a table and a key of the profile's file.
    public var allowWith: String
    /// The profile's file.
    public var policyFile: String
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
        return DenialExplanation(
            call: syscall.name, interface: architecture == kernel ? nil : "\(architecture)",
            arguments: zip(denial.arguments, call.arguments).map { bits, value in
                text(of: value, bits, of: syscall.name)
            }, program: String(decoding: call.program, as: UTF8.self), count: call.count,
            answer: "\(SyscallAction.errno(denial.errno))", policy: profile,
            origin: denial.origin, allowWith: Self.setting(that: denial, allows: syscall.name),
            policyFile: file)
    }

    /// The smallest change of a file that allows a call; the ceiling may forbid it.
    private static func setting(that denial: ToldDenial, allows call: String) -> String {
        switch denial.cause {
        case .call, .group, .unlisted: "[syscalls] \(call) = \"allow\""
        case .rule(let name): "[syscalls.rule.\(name)] enabled = false"
        }
    }

    private func text(
        of value: UInt32, _ bits: CompiledDenial.ArgumentBits, of call: String
    ) -> String {
        guard
            let argument = SyscallArgument.arguments(of: call).first(where: {
                $0.index == Int(bits.index)
            })
        else { return "\(bits.index)=\(hexadecimal(value))" }
        return "\(argument.name)=\(argument.spelling(of: value, in: call))"
    }
}

extension SyscallArgument {
    /// A value of the argument in the words of conditions, as far as they have any.
    func spelling(of value: UInt32, in call: String) -> String {
        switch (name, call) {
        case ("mode", _): return "0" + String(value, radix: 8)
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
