import CLinux
import LaunchModel

/// Answers the calls that the builder's filter denies and tells, and counts them.
///
/// It can only deny: nothing here, nor in what it calls, lets a call through. Without it the kernel answers
/// ENOSYS. It runs in the build's own first process, which has the builder's user and cgroup, so that a
/// flood of denials costs the build that makes it.
struct DenialListener {
    /// The number that the listener has in the first process.
    static let number: CInt = FirstProcess.status + 1

    /// What it was asked so far.
    private(set) var calls = DeniedCalls()
    private let program: FilterProgram?
    private let denials: [CompiledDenial]
    private var total: UInt64 = 0

    /// Prepares to answer for the filter of a profile.
    init(of profile: CompiledProfile) {
        denials = profile.denials
        guard !denials.isEmpty else {
            program = nil
            return
        }
        do {
            program = try FilterProgram(profile.filter)
        } catch {
            preconditionFailure("the configuration was read with this filter")
        }
    }

    /// Whether there is anything to listen to.
    var isOpen: Bool { program != nil }

    /// Takes one call that waits and answers it; waits itself if none does.
    ///
    /// - Returns: Whether the calls are worth telling: one of a new kind, or twice as many as before.
    mutating func answerOne() -> Bool {
        var denial = CLinux_denial()
        var call = [UInt32](repeating: 0, count: FilterProgram.callWords)
        // Who waited may have been killed meanwhile.
        guard CLinux_receive_denial(Self.number, &denial, &call) >= 0 else { return false }
        var kind = kind(of: call)
        // Before the answer: while its call waits, the thread's number cannot be another's.
        kind?.program = Self.program(ofThread: denial.thread)
        let error = kind.map { denials[Int($0.denial)].errno } ?? UInt16(CLinux_EPERM)
        guard CLinux_deny(Self.number, denial.id, error) >= 0 else { return false }
        total &+= 1
        let isNew: Bool
        if let kind {
            isNew = calls.count(kind)
        } else {
            calls.others &+= 1
            isNew = false
        }
        return isNew || total & (total - 1) == 0
    }

    /// The denial that applies to a call, by the program that denied it.
    private func kind(of call: [UInt32]) -> DeniedCall? {
        guard let answer = program?.answer(to: call),
            answer & FilterProgram.actionMask == FilterProgram.toldAction
        else { return nil }
        let denial = Int(answer & ~FilterProgram.actionMask)
        guard denial < denials.count else { return nil }
        var arguments: [UInt32] = []
        for bits in denials[denial].arguments {
            // Each argument is two words, behind number, interface and address; the low one is first.
            arguments.append(call[4 + 2 * Int(bits.index)] & bits.mask)
        }
        return DeniedCall(
            denial: UInt16(denial), architecture: call[1], number: call[0], arguments: arguments,
            program: [], count: 0)
    }

    /// The name of a thread, of the kernel's memory alone: reading it never waits for its owner's.
    private static func program(ofThread thread: CInt) -> [UInt8] {
        let path = bytes("/proc/") + decimal(UInt64(thread)) + bytes("/comm")
        do throws(Failure) {
            let file = try open(workingDirectory, path, CLinux_O_RDONLY)
            var name = [UInt8](repeating: 0, count: DeniedCall.programLimit)
            let count = try check(
                name.withUnsafeMutableBytes { CLinux_read(file.number, $0.baseAddress, $0.count) })
            name.removeLast(name.count - count)
            if name.last == UInt8(ascii: "\n") { name.removeLast() }
            return name
        } catch {
            // It was killed; then the answer does not arrive either.
            return []
        }
    }
}
