import CLinux
import LaunchModel

/// Answers the calls that the builder's filter denies and tells, and counts them.
///
/// It can only deny: nothing here, nor in what it calls, lets a call through. Without it the kernel answers
/// ENOSYS. It runs in the build's own first process, which has the builder's user and cgroup, so that a
/// flood of denials costs the build that makes it.
struct DenialListener {
    /// The numbers among which it is when the builder is executed: the lowest that was free.
    static let candidates = (FirstProcess.status + 1)..<CInt(64)
    /// The number that it has from then on.
    static let number: CInt = FirstProcess.status + 1

    /// What it was asked so far.
    private(set) var calls = DeniedCalls()
    private let program: FilterProgram?
    private let denials: [CompiledDenial]
    private var total: UInt64 = 0

    /// Takes the listener out of the descriptors that the builder's process left, and closes the others.
    ///
    /// There is none if nothing is told, or if that process did not come so far.
    init(of profile: CompiledProfile) throws(Failure) {
        denials = profile.denials
        var found: Descriptor?
        for candidate in Self.candidates where found == nil {
            // No call has number 0, and nothing but a listener is asked this and says that.
            guard Int64(CLinux_is_denial_pending(candidate, 0)) == -CLinux_ENOENT else { continue }
            found = Descriptor(
                owning: try check(CLinux_dup_from(candidate, Self.candidates.upperBound)))
        }
        let rest = UInt32(Self.candidates.lowerBound)...UInt32(Self.candidates.upperBound - 1)
        try check(CLinux_close_range(rest.lowerBound, rest.upperBound, 0))
        guard let listener = found.take() else {
            program = nil
            return
        }
        try check(CLinux_dup3(listener.number, Self.number, flags(CLinux_O_CLOEXEC)))
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
            // It was killed, and then the answer does not arrive either; or it took this process's last
            // descriptor by prlimit(2), and is told without a name.
            return []
        }
    }
}
