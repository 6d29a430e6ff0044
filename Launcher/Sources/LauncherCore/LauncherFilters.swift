import CLinux
import LaunchModel

/// The seccomp programs of the launcher's own processes, written here because it links no library.
enum LauncherFilters {
    /// What every process of the launcher's has: denies ``ForbiddenCalls`` and allows all others.
    ///
    /// - Parameter kernel: The interface of the kernel, whose 32-bit interface is answered for as well; any
    ///   other one kills.
    /// - Returns: `struct sock_filter`, 8 bytes each.
    static func inherited(on kernel: Architecture) -> [UInt8] {
        let own = denials(on: kernel)
        var program: [FilterInstruction] = [
            .load(at: Offset.architecture),
            .ask(.equal, kernel.auditValue, skipTrue: 1, skipFalse: 0),
            .skip(UInt32(own.count)),
        ]
        program += own
        if let compatible = kernel.compatible {
            let foreign = denials(on: compatible)
            program += [
                .ask(.equal, compatible.auditValue, skipTrue: 1, skipFalse: 0),
                .skip(UInt32(foreign.count)),
            ]
            program += foreign
        }
        program.append(.answer(Answer.kill))
        return encode(program)
    }

    /// What a worker has in addition: allows ``workerCalls`` and kills at any other call.
    ///
    /// A worker that calls anything else does not run our code any more. Its death is an answer that the
    /// launcher knows, and an errno would let it try the next thing.
    ///
    /// - Parameter kernel: The only interface that may be used.
    /// - Returns: `struct sock_filter`, 8 bytes each.
    static func worker(on kernel: Architecture) -> [UInt8] {
        var program: [FilterInstruction] = [
            .load(at: Offset.architecture),
            .ask(.equal, kernel.auditValue, skipTrue: 1, skipFalse: 0),
            .answer(Answer.kill),
            .load(at: Offset.number),
        ]
        for allowed in workerCalls {
            guard let number = allowed.call.number(on: kernel) else { continue }
            // What follows loads arguments over the number, so it ends in an answer either way.
            var block: [FilterInstruction] = []
            for (index, test) in allowed.tests.enumerated() {
                let rest = 3 * (allowed.tests.count - index - 1)
                block += [
                    .load(at: Offset.argument(test.argument)), .mask(test.mask),
                    .ask(.equal, test.value, skipTrue: 0, skipFalse: UInt8(rest + 1)),
                ]
            }
            block.append(.answer(Answer.allow))
            if !allowed.tests.isEmpty { block.append(.answer(Answer.kill)) }
            program.append(
                .ask(.equal, number, skipTrue: 0, skipFalse: UInt8(block.count)))
            program += block
        }
        program.append(.answer(Answer.kill))
        return encode(program)
    }

    /// What one interface's calls get; ends in an answer.
    private static func denials(on architecture: Architecture) -> [FilterInstruction] {
        var block: [FilterInstruction] = [.load(at: Offset.number)]
        if architecture == .x86_64 {
            // No profile lets x32 in, so none of its numbers need be listed.
            block += [
                .ask(.greaterOrEqual, 0x4000_0000, skipTrue: 0, skipFalse: 1),
                .answer(Answer.notImplemented),
            ]
        }
        for (calls, answer) in [
            (ForbiddenCalls.denied, Answer.notPermitted),
            (ForbiddenCalls.absent, Answer.notImplemented),
        ] {
            for call in calls {
                guard let number = call.number(on: architecture) else { continue }
                block += [
                    .ask(.equal, number, skipTrue: 0, skipFalse: 1), .answer(answer),
                ]
            }
        }
        if let number = ForbiddenCalls.keyControl.number(on: architecture) {
            block += [
                .ask(.equal, number, skipTrue: 0, skipFalse: 3), .load(at: Offset.argument(0)),
                .ask(
                    .equal, ForbiddenCalls.joinSessionKeyring, skipTrue: 1, skipFalse: 0),
                .answer(Answer.notImplemented),
            ]
        }
        block.append(.answer(Answer.allow))
        return block
    }

    private static func encode(_ program: [FilterInstruction]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(program.count * FilterInstruction.size)
        for instruction in program { bytes += instruction.bytes }
        return bytes
    }

    /// Offsets in `struct seccomp_data`; of an argument, its low half on little-endian machines.
    private enum Offset {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4
        static func argument(_ index: Int) -> UInt32 { 16 + 8 * UInt32(index) }
    }

    /// What a program returns.
    private enum Answer {
        static let allow: UInt32 = 0x7fff_0000
        static let notPermitted: UInt32 = 0x0005_0000 | 1
        static let notImplemented: UInt32 = 0x0005_0000 | 38
        static let kill: UInt32 = 0x8000_0000
    }
}

/// A call that a worker may make, if every test of its arguments holds.
struct AllowedCall {
    /// A question about the low half of an argument.
    struct ArgumentTest {
        let argument: Int
        let mask: UInt32
        let value: UInt32

        /// The argument is this value.
        static func equals(_ argument: Int, _ value: UInt32) -> ArgumentTest {
            ArgumentTest(argument: argument, mask: .max, value: value)
        }

        /// The argument has none of these bits.
        static func lacks(_ argument: Int, _ bits: UInt32) -> ArgumentTest {
            ArgumentTest(argument: argument, mask: bits, value: 0)
        }
    }

    let call: ListedCall
    let tests: [ArgumentTest]

    init(_ call: ListedCall, _ tests: ArgumentTest...) {
        self.call = call
        self.tests = tests
    }
}

extension LauncherFilters {
    /// The calls of workers, which is what walking, taking, copying and deleting trees needs.
    ///
    /// Nothing is executed, mapped executable, signalled, connected or mounted, no file becomes anybody's
    /// but root's, and no mode gets a set-id bit. At most 40, by `design.md` §2.
    static let workerCalls: [AllowedCall] = [
        // Name, then the numbers on x86_64, aarch64, x86 and arm; the last two are never used.
        AllowedCall(ListedCall("brk", 12, 214, -1, -1)),
        AllowedCall(ListedCall("close", 3, 57, -1, -1)),
        AllowedCall(ListedCall("copy_file_range", 326, 285, -1, -1)),
        AllowedCall(ListedCall("exit_group", 231, 94, -1, -1)),
        AllowedCall(ListedCall("fchmod", 91, 52, -1, -1), .lacks(1, 0o6000)),
        AllowedCall(ListedCall("fchownat", 260, 54, -1, -1), .equals(2, 0), .equals(3, 0)),
        // F_SETLEASE.
        AllowedCall(ListedCall("fcntl", 72, 25, -1, -1), .equals(1, 1024)),
        AllowedCall(ListedCall("flistxattr", 196, 13, -1, -1)),
        AllowedCall(ListedCall("fremovexattr", 199, 16, -1, -1)),
        AllowedCall(ListedCall("getdents64", 217, 61, -1, -1)),
        AllowedCall(ListedCall("getrandom", 318, 278, -1, -1)),
        // FICLONE.
        AllowedCall(ListedCall("ioctl", 16, 29, -1, -1), .equals(1, 0x4004_9409)),
        AllowedCall(ListedCall("lseek", 8, 62, -1, -1)),
        AllowedCall(ListedCall("madvise", 28, 233, -1, -1)),
        AllowedCall(ListedCall("mkdirat", 258, 34, -1, -1)),
        // PROT_EXEC.
        AllowedCall(ListedCall("mmap", 9, 222, -1, -1), .lacks(2, 4)),
        AllowedCall(ListedCall("mremap", 25, 216, -1, -1)),
        AllowedCall(ListedCall("munmap", 11, 215, -1, -1)),
        AllowedCall(ListedCall("newfstatat", 262, 79, -1, -1)),
        AllowedCall(ListedCall("openat", 257, 56, -1, -1)),
        AllowedCall(ListedCall("openat2", 437, 437, -1, -1)),
        AllowedCall(ListedCall("read", 0, 63, -1, -1)),
        AllowedCall(ListedCall("readlinkat", 267, 78, -1, -1)),
        AllowedCall(ListedCall("renameat2", 316, 276, -1, -1)),
        AllowedCall(ListedCall("statx", 332, 291, -1, -1)),
        AllowedCall(ListedCall("symlinkat", 266, 36, -1, -1)),
        AllowedCall(ListedCall("unlinkat", 263, 35, -1, -1)),
        AllowedCall(ListedCall("utimensat", 280, 88, -1, -1)),
        AllowedCall(ListedCall("write", 1, 64, -1, -1)),
    ]
}

/// Loads a seccomp program for this process and its children; it cannot be taken off again.
func load(filter: [UInt8]) throws(Failure) {
    try check(
        filter.withUnsafeBytes {
            CLinux_load_filter(
                $0.baseAddress, UInt16($0.count / FilterInstruction.size))
        })
}

/// Loads a seccomp program whose told denials wait for an answer.
///
/// - Returns: The number of the listener that answers, which does not survive an exec; whoever keeps it
///   past that owns it.
func loadListening(filter: [UInt8]) throws(Failure) -> CInt {
    CInt(
        try check(
            filter.withUnsafeBytes {
                CLinux_load_listening_filter(
                    $0.baseAddress, UInt16($0.count / FilterInstruction.size))
            }))
}
