/// A seccomp program that can be run outside of the kernel.
///
/// The first process of a sandbox asks the very program that denied a call how it is to be answered, so
/// that no second table can say something else.
///
/// Source: `linux/filter.h`, `linux/bpf_common.h`, and the checks of the kernel's `seccomp_check_filter`.
public struct FilterProgram: Sendable {
    private enum Instruction {
        /// Loads a word of the call.
        case load(Int)
        case mask(UInt32)
        case jump(Int)
        /// Compares what was loaded, and goes on at one place or the other.
        case compare(Comparison, UInt32, yes: Int, no: Int)
        case answer(UInt32)
    }

    private enum Comparison { case equal, greater, greaterOrEqual, anyBit }

    private let instructions: [Instruction]

    /// Words of `struct seccomp_data`: number, interface, two of the address, two of each argument.
    public static let callWords = 16
    /// The action in an answer: `SECCOMP_RET_ACTION_FULL`.
    public static let actionMask: UInt32 = 0xffff_0000
    /// The action that asks the listener: `SECCOMP_RET_USER_NOTIF`.
    public static let toldAction: UInt32 = 0x7fc0_0000

    /// Takes a program of 8 bytes an instruction, each of a kind that Kiln's compiler writes.
    ///
    /// - Throws: ``CodingFault`` with the offset of what is not such an instruction, or leads out of the
    ///   program.
    public init(_ bytes: [UInt8]) throws(CodingFault) {
        guard bytes.count % 8 == 0, bytes.count > 0 else { throw .malformed(at: 0) }
        let count = bytes.count / 8
        var reader = ByteReader(bytes)
        var instructions: [Instruction] = []
        instructions.reserveCapacity(count)
        for index in 0..<count {
            let start = reader.offset
            let code = try reader.read(UInt16.self)
            let yes = index + 1 + Int(try reader.read(UInt8.self))
            let no = index + 1 + Int(try reader.read(UInt8.self))
            let operand = try reader.read(UInt32.self)
            func compare(_ comparison: Comparison) throws(CodingFault) -> Instruction {
                guard yes < count, no < count else { throw .malformed(at: start) }
                return .compare(comparison, operand, yes: yes, no: no)
            }
            switch code {
            case 0x20:
                guard operand % 4 == 0, operand < UInt32(4 * Self.callWords) else {
                    throw .malformed(at: start)
                }
                instructions.append(.load(Int(operand / 4)))
            case 0x54: instructions.append(.mask(operand))
            case 0x05:
                guard UInt64(operand) < UInt64(count - index - 1) else {
                    throw .malformed(at: start)
                }
                instructions.append(.jump(index + 1 + Int(operand)))
            case 0x15: instructions.append(try compare(.equal))
            case 0x25: instructions.append(try compare(.greater))
            case 0x35: instructions.append(try compare(.greaterOrEqual))
            case 0x45: instructions.append(try compare(.anyBit))
            case 0x06: instructions.append(.answer(operand))
            default: throw .malformed(at: start)
            }
        }
        guard case .answer = instructions[count - 1] else { throw .malformed(at: 8 * (count - 1)) }
        self.instructions = instructions
    }

    /// What the program answers to a call, ``callWords`` words of it.
    ///
    /// It ends, because nothing leads backwards.
    public func answer(to call: [UInt32]) -> UInt32 {
        precondition(call.count == Self.callWords, "a call has so many words")
        var loaded: UInt32 = 0
        var next = 0
        while true {
            switch instructions[next] {
            case .load(let word):
                loaded = call[word]
                next += 1
            case .mask(let bits):
                loaded &= bits
                next += 1
            case .jump(let place): next = place
            case .compare(let comparison, let operand, let yes, let no):
                let holds =
                    switch comparison {
                    case .equal: loaded == operand
                    case .greater: loaded > operand
                    case .greaterOrEqual: loaded >= operand
                    case .anyBit: loaded & operand != 0
                    }
                next = holds ? yes : no
            case .answer(let value): return value
            }
        }
    }

    /// How many denials it tells: one more than the highest position that it asks the listener with.
    public var toldCount: Int {
        var count = 0
        for case .answer(let value) in instructions
        where value & Self.actionMask == Self.toldAction {
            count = max(count, Int(value & ~Self.actionMask) + 1)
        }
        return count
    }
}
