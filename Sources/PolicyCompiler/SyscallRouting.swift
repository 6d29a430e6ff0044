import CSeccomp
import LaunchModel
import Policy

/// Which part of a filter answers for which number of one system call interface.
struct SyscallRouting {
    /// How a range of numbers is answered.
    enum Treatment: Hashable {
        /// By libseccomp's table.
        case table
        /// By the prologue, always with the same value.
        case answer(UInt32)
        /// By the prologue, after a look at the arguments.
        case questions([Question])
    }

    /// A question about arguments, and the value for those that it denies.
    struct Question: Hashable {
        var condition: Condition
        var deniesWhen: Bool
        var value: UInt32
    }

    /// Numbers from ``start`` to the next range.
    struct Range {
        var start: UInt32
        var treatment: Treatment
    }

    /// One call that libseccomp's table answers, by the number that libseccomp has for its name.
    struct TableEntry {
        var number: CInt
        var action: SyscallAction
    }

    /// The interface.
    let architecture: Architecture
    /// What the table answers other than with its default.
    private(set) var table: [TableEntry] = []
    /// How the prologue divides the numbers: sorted, the first from zero, neighbours different.
    private(set) var ranges = [Range(start: 0, treatment: .table)]

    /// Divides the numbers of an interface.
    ///
    /// - Parameters:
    ///   - policy: What the numbers get.
    ///   - told: The numbers of its denials that are told.
    ///   - architecture: The interface.
    init(_ policy: SyscallPolicy, _ told: ToldDenials, on architecture: Architecture) {
        self.architecture = architecture
        let calls = Syscall.byNumber(on: architecture).sorted { $0.key < $1.key }
        for (number, call) in calls {
            let action = policy.action(of: call)
            let denials = policy.denials(of: call)
            let treatment: Treatment
            if !denials.isEmpty {
                treatment = .questions(
                    denials.map { denial in
                        Question(
                            condition: denial.condition, deniesWhen: denial.deniesWhen,
                            value: Self.value(of: told.number(of: denial), denial.action))
                    })
            } else if let denial = told.number(of: call) {
                // Libseccomp has no room for the number.
                treatment = .answer(Self.value(of: denial, action))
            } else if action == policy.unknown {
                treatment = .table
            } else if let known = Self.tableNumber(of: call, number, on: architecture) {
                table.append(TableEntry(number: known, action: action))
                treatment = .table
            } else {
                treatment = .answer(action.returnValue)
            }
            append(Range(start: number, treatment: treatment))
            append(Range(start: number + 1, treatment: .table))
        }
    }

    /// What the program returns for an action, or to have the denial of this number told.
    private static func value(of denial: UInt16?, _ action: SyscallAction) -> UInt32 {
        denial.map { FilterProgram.toldAction | UInt32($0) } ?? action.returnValue
    }

    private mutating func append(_ range: Range) {
        if let last = ranges.last, last.start == range.start { ranges.removeLast() }
        if let last = ranges.last, last.treatment == range.treatment { return }
        ranges.append(range)
    }

    /// The number that libseccomp takes for a call, if what it then writes is exactly that call.
    ///
    /// A call that it multiplexes has a negative number on the architecture that does so.
    private static func tableNumber(
        of call: Syscall, _ number: UInt32, on architecture: Architecture
    ) -> CInt? {
        let own = seccomp_syscall_resolve_name_arch(architecture.auditValue, call.name)
        guard own == CInt(number) else { return nil }
        let known = seccomp_syscall_resolve_name(call.name)
        return known == -1 ? nil : known
    }
}
