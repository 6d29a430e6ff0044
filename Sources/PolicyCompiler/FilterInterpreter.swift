/// What the kernel does with a seccomp program, in the words of its documentation.
///
/// It refuses what the kernel's checker refuses, so a program that runs here also loads. It shares no code
/// with the compiler, which is measured with it. Source: `Documentation/networking/filter.rst`,
/// `seccomp_check_filter`.
public struct FilterInterpreter: Sendable {
    /// Why the kernel would not take a program.
    public enum Fault: Error, Hashable, Sendable {
        /// The program has no instruction, too many, or not a whole number; the length in bytes.
        case length(Int)
        /// No seccomp program may have this instruction.
        case instruction(UInt16, at: Int)
        /// It reads outside of `struct seccomp_data`, or not at a multiple of four.
        case load(UInt32, at: Int)
        /// It can run past its end.
        case end(at: Int)
    }

    private let program: [(code: UInt16, yes: Int, no: Int, operand: UInt32)]

    /// Checks a program: the kernel's `struct sock_filter`, one after the other, little-endian.
    public init(_ bytes: [UInt8]) throws(Fault) {
        guard !bytes.isEmpty, bytes.count % 8 == 0, bytes.count <= 4096 * 8 else {
            throw .length(bytes.count)
        }
        program = stride(from: 0, to: bytes.count, by: 8).map { at in
            let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            var operand: UInt32 = 0
            for index in 0..<4 { operand |= UInt32(bytes[at + 4 + index]) << UInt32(8 * index) }
            return (code, Int(bytes[at + 2]), Int(bytes[at + 3]), operand)
        }
        guard program.last?.code == 0x06 else { throw .end(at: program.count - 1) }
        for (at, step) in program.enumerated() {
            switch step.code {
            case 0x20:
                guard step.operand % 4 == 0, step.operand < 64 else {
                    throw .load(step.operand, at: at)
                }
            case 0x05:
                guard at + 1 + Int(step.operand) < program.count else { throw .end(at: at) }
            case 0x15, 0x25, 0x35, 0x45:
                guard at + 1 + max(step.yes, step.no) < program.count else { throw .end(at: at) }
            case 0x06, 0x54: break
            default: throw .instruction(step.code, at: at)
            }
        }
    }

    /// How many instructions there are.
    public var count: Int { program.count }

    /// What the program returns for a call; `arguments` are six.
    ///
    /// It ends, because no jump goes backwards.
    public func run(number: UInt32, architecture: UInt32, arguments: [UInt64]) -> UInt32 {
        var data = [number, architecture, 0x1234_5678, 0x9abc_def0]
        for argument in arguments {
            data.append(UInt32(truncatingIfNeeded: argument))
            data.append(UInt32(truncatingIfNeeded: argument >> 32))
        }
        var accumulator: UInt32 = 0
        var at = 0
        while true {
            let step = program[at]
            at += 1
            switch step.code {
            case 0x20: accumulator = data[Int(step.operand) / 4]
            case 0x54: accumulator &= step.operand
            case 0x05: at += Int(step.operand)
            case 0x15: at += accumulator == step.operand ? step.yes : step.no
            case 0x25: at += accumulator > step.operand ? step.yes : step.no
            case 0x35: at += accumulator >= step.operand ? step.yes : step.no
            case 0x45: at += accumulator & step.operand != 0 ? step.yes : step.no
            default: return step.operand
            }
        }
    }

    /// The program as text, one instruction a line: its number, what it does, and where it goes.
    public var listing: [String] {
        let width = String(program.count).count
        return program.enumerated().map { at, step in
            let label = String(repeating: " ", count: width - String(at).count) + String(at)
            return "\(label)  \(Self.text(step, at: at))"
        }
    }

    private static func text(
        _ step: (code: UInt16, yes: Int, no: Int, operand: UInt32), at: Int
    ) -> String {
        let operand = "0x" + String(step.operand, radix: 16)
        func jump(_ comparison: String) -> String {
            "if A \(comparison) \(operand) goto \(at + 1 + step.yes) else \(at + 1 + step.no)"
        }
        switch step.code {
        case 0x20: return "A = \(field(step.operand))"
        case 0x54: return "A = A & \(operand)"
        case 0x05: return "goto \(at + 1 + Int(step.operand))"
        case 0x15: return jump("==")
        case 0x25: return jump(">")
        case 0x35: return jump(">=")
        case 0x45: return jump("&")
        default: return "return \(answer(step.operand))"
        }
    }

    /// What four bytes of `struct seccomp_data` hold.
    private static func field(_ offset: UInt32) -> String {
        switch offset {
        case 0: "number"
        case 4: "architecture"
        case 8, 12: "instruction pointer, \(offset == 8 ? "low" : "high") half"
        default: "argument \((offset - 16) / 8), \(offset % 8 == 0 ? "low" : "high") half"
        }
    }

    /// What a return value means.
    ///
    /// Source: `linux/seccomp.h`.
    private static func answer(_ value: UInt32) -> String {
        let data = value & 0xffff
        switch value & 0xffff_0000 {
        case 0x8000_0000: return "kill the process"
        case 0x0000_0000: return "kill the thread"
        case 0x0003_0000: return "trap \(data)"
        case 0x0005_0000: return "error \(data)"
        case 0x7fc0_0000: return "ask the listener"
        case 0x7ff0_0000: return "trace \(data)"
        case 0x7ffc_0000: return "allow and log"
        case 0x7fff_0000: return "allow"
        default: return "0x" + String(value, radix: 16)
        }
    }
}
