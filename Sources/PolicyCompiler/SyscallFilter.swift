import LaunchModel
import Policy

/// The seccomp program of one profile.
///
/// It is a prologue and a program that libseccomp made. The prologue looks at the architecture and then
/// answers for the numbers that libseccomp cannot be trusted with: those that it does not know, those that
/// it would turn into a rule for another call as well (`socket` into `socketcall`), and all whose answer
/// depends on arguments. Every other number falls through to libseccomp's table.
struct SyscallFilter {
    private let profile: String
    private let policy: SyscallPolicy
    /// The denials that are told, by the numbers in the program's answers.
    let told: ToldDenials
    private let native: Architecture
    private let compatible: Architecture

    /// Offsets in `struct seccomp_data`.
    ///
    /// Source: `linux/seccomp.h`.
    private enum Offset {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4
        /// The half of an argument that holds its low bits, on little-endian machines.
        static func argument(_ index: Int) -> UInt32 { 16 + 8 * UInt32(index) }
    }

    /// Numbers from here on are x32's when the architecture says x86_64.
    private static let x32Start: UInt32 = 0x4000_0000

    /// Prepares the filter of `profile` for a kernel.
    init(of profile: Profile, for native: Architecture) throws(PolicyCompileError) {
        guard let compatible = native.compatible else { throw .notNative(profile: profile.name) }
        self.profile = profile.name
        policy = profile.syscalls
        told = profile.toldDenials
        self.native = native
        self.compatible = compatible
    }

    /// The program, at most as long as the kernel takes.
    func program() throws(PolicyCompileError) -> [FilterInstruction] {
        let own = SyscallRouting(policy, told, on: native)
        let foreign: SyscallRouting?
        let foreignAnswer: SyscallAction
        switch policy.foreign {
        case .sameAsNative:
            foreign = SyscallRouting(policy, told, on: compatible)
            foreignAnswer = .kill
        case .action(let action):
            foreign = nil
            foreignAnswer = action
        }
        var assembler = FilterAssembler(
            endingWith: try exportTable(
                of: own, and: foreign, unknown: policy.unknown, profile: profile))
        let table = assembler.start

        if let foreign {
            _ = prologue(of: foreign, before: table, &assembler)
            assembler.prepend(.load(at: Offset.number))
        } else {
            assembler.prepend(.answer(foreignAnswer.returnValue))
        }
        let foreignStart = assembler.start

        let ownNumbers = prologue(of: own, before: table, &assembler)
        if native == .x86_64 {
            assembler.prepend(.answer(SyscallAction.notImplemented.returnValue))
            assembler.prepend(
                .greaterOrEqual, Self.x32Start, then: assembler.start, otherwise: ownNumbers)
        }
        assembler.prepend(.load(at: Offset.number))
        let ownStart = assembler.start

        assembler.prepend(.answer(SyscallAction.kill.returnValue))
        assembler.prepend(
            .equal, compatible.auditValue, then: foreignStart, otherwise: assembler.start)
        assembler.prepend(.equal, native.auditValue, then: ownStart, otherwise: assembler.start)
        assembler.prepend(.load(at: Offset.architecture))

        guard assembler.count <= CompiledProfile.filterLimit else {
            throw .tooLong(
                profile: profile, instructions: assembler.count, limit: CompiledProfile.filterLimit)
        }
        return assembler.program
    }

    /// Writes the search for one interface's special numbers, for a number that is already loaded.
    ///
    /// It is the first instruction of the program when this returns.
    private func prologue(
        of routing: SyscallRouting, before table: FilterAssembler.Place,
        _ assembler: inout FilterAssembler
    ) -> FilterAssembler.Place {
        var leaves: [SyscallRouting.Treatment: FilterAssembler.Place] = [.table: table]
        for range in routing.ranges where leaves[range.treatment] == nil {
            switch range.treatment {
            case .table: break
            case .answer(let value): assembler.prepend(.answer(value))
            case .questions(let all): questions(all, &assembler)
            }
            leaves[range.treatment] = assembler.start
        }
        return search(routing.ranges[...], leaves, &assembler)
    }

    /// Writes a binary search; as deep as the logarithm of the number of ranges.
    private func search(
        _ ranges: ArraySlice<SyscallRouting.Range>,
        _ leaves: [SyscallRouting.Treatment: FilterAssembler.Place],
        _ assembler: inout FilterAssembler
    ) -> FilterAssembler.Place {
        if ranges.count == 1 {
            guard let leaf = leaves[ranges[ranges.startIndex].treatment] else {
                fatalError("a leaf was written for every treatment")
            }
            return leaf
        }
        let middle = ranges.startIndex + ranges.count / 2
        let upper = search(ranges[middle...], leaves, &assembler)
        let lower = search(ranges[..<middle], leaves, &assembler)
        assembler.prepend(
            .greaterOrEqual, ranges[middle].start, then: upper, otherwise: lower)
        return assembler.start
    }

    /// Writes the questions about the arguments of an allowed call: every denial that applies denies.
    private func questions(
        _ questions: [SyscallRouting.Question], _ assembler: inout FilterAssembler
    ) {
        assembler.prepend(.answer(SyscallAction.allow.returnValue))
        for asked in questions.reversed() {
            let next = assembler.start
            assembler.prepend(.answer(asked.value))
            let denied = assembler.start
            _ = question(
                asked.condition, then: asked.deniesWhen ? denied : next,
                otherwise: asked.deniesWhen ? next : denied, &assembler)
        }
    }

    /// Writes one question; as deep as the condition, which its parser bounds.
    private func question(
        _ condition: Condition, then yes: FilterAssembler.Place,
        otherwise no: FilterAssembler.Place, _ assembler: inout FilterAssembler
    ) -> FilterAssembler.Place {
        switch condition {
        case .compare(let argument, let mask, let comparison, let value):
            switch comparison {
            case .equal: assembler.prepend(.equal, value, then: yes, otherwise: no)
            case .notEqual: assembler.prepend(.equal, value, then: no, otherwise: yes)
            case .less: assembler.prepend(.greaterOrEqual, value, then: no, otherwise: yes)
            case .lessOrEqual: assembler.prepend(.greater, value, then: no, otherwise: yes)
            }
            load(argument, mask, &assembler)
        case .isOneOf(let argument, let mask, let values):
            var otherwise = no
            for value in values.reversed() {
                assembler.prepend(.equal, value, then: yes, otherwise: otherwise)
                otherwise = assembler.start
            }
            load(argument, mask, &assembler)
        case .all(let conditions):
            var yes = yes
            for condition in conditions.reversed() {
                yes = question(condition, then: yes, otherwise: no, &assembler)
            }
        case .any(let conditions):
            var no = no
            for condition in conditions.reversed() {
                no = question(condition, then: yes, otherwise: no, &assembler)
            }
        }
        return assembler.start
    }

    private func load(
        _ argument: SyscallArgument, _ mask: UInt32, _ assembler: inout FilterAssembler
    ) {
        let bits = mask & argument.mask
        if bits != .max { assembler.prepend(.mask(bits)) }
        assembler.prepend(.load(at: Offset.argument(argument.index)))
    }
}
