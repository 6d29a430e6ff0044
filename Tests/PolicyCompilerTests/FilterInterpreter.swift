/// What the kernel does with a seccomp program, in the words of its documentation.
///
/// It refuses what the kernel's checker refuses, so a program that runs here also loads. It shares no code
/// with the compiler. Source: `Documentation/networking/filter.rst`, `seccomp_check_filter`.
struct FilterInterpreter {
    enum Fault: Error {
        case length(Int)
        case instruction(UInt16, at: Int)
        case load(UInt32, at: Int)
        case end(at: Int)
    }

    private let program: [(code: UInt16, yes: Int, no: Int, operand: UInt32)]

    init(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty, bytes.count % 8 == 0, bytes.count <= 4096 * 8 else {
            throw Fault.length(bytes.count)
        }
        program = stride(from: 0, to: bytes.count, by: 8).map { at in
            let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            var operand: UInt32 = 0
            for index in 0..<4 { operand |= UInt32(bytes[at + 4 + index]) << UInt32(8 * index) }
            return (code, Int(bytes[at + 2]), Int(bytes[at + 3]), operand)
        }
        guard program.last?.code == 0x06 else { throw Fault.end(at: program.count - 1) }
        for (at, step) in program.enumerated() {
            switch step.code {
            case 0x20:
                guard step.operand % 4 == 0, step.operand < 64 else {
                    throw Fault.load(step.operand, at: at)
                }
            case 0x05:
                guard at + 1 + Int(step.operand) < program.count else { throw Fault.end(at: at) }
            case 0x15, 0x25, 0x35, 0x45:
                guard at + 1 + max(step.yes, step.no) < program.count else {
                    throw Fault.end(at: at)
                }
            case 0x06, 0x54: break
            default: throw Fault.instruction(step.code, at: at)
            }
        }
    }

    var count: Int { program.count }

    /// What the program returns for a call.
    ///
    /// It ends, because no jump goes backwards.
    func run(number: UInt32, architecture: UInt32, arguments: [UInt64]) -> UInt32 {
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
}
