/// One instruction of a seccomp program: the kernel's `struct sock_filter`.
///
/// Source: `linux/filter.h`, `linux/bpf_common.h`.
public struct FilterInstruction: Hashable, Sendable {
    /// What it does.
    public var code: UInt16
    /// How many instructions are skipped when its question is answered with yes.
    public var skipTrue: UInt8
    /// How many instructions are skipped when its question is answered with no.
    public var skipFalse: UInt8
    /// Its operand.
    public var operand: UInt32

    /// Bytes of one encoded instruction.
    public static let size = 8

    /// Puts an instruction together.
    public init(code: UInt16, skipTrue: UInt8, skipFalse: UInt8, operand: UInt32) {
        self.code = code
        self.skipTrue = skipTrue
        self.skipFalse = skipFalse
        self.operand = operand
    }

    /// Asks about the number that was loaded; each answer skips some of the next instructions.
    public static func ask(
        _ question: Question, _ operand: UInt32, skipTrue: UInt8, skipFalse: UInt8
    ) -> FilterInstruction {
        FilterInstruction(
            code: question.rawValue, skipTrue: skipTrue, skipFalse: skipFalse, operand: operand)
    }

    private static let load: UInt16 = 0x20
    private static let and: UInt16 = 0x54
    private static let jump: UInt16 = 0x05
    private static let answer: UInt16 = 0x06

    /// Loads four bytes of `struct seccomp_data`.
    public static func load(at offset: UInt32) -> FilterInstruction {
        FilterInstruction(code: load, skipTrue: 0, skipFalse: 0, operand: offset)
    }

    /// Clears the bits that are not in the mask.
    public static func mask(_ bits: UInt32) -> FilterInstruction {
        FilterInstruction(code: and, skipTrue: 0, skipFalse: 0, operand: bits)
    }

    /// Skips instructions.
    public static func skip(_ count: UInt32) -> FilterInstruction {
        FilterInstruction(code: jump, skipTrue: 0, skipFalse: 0, operand: count)
    }

    /// Ends the program.
    public static func answer(_ value: UInt32) -> FilterInstruction {
        FilterInstruction(code: answer, skipTrue: 0, skipFalse: 0, operand: value)
    }

    /// A question about the number that was loaded; all compare without sign.
    public enum Question: UInt16 {
        case equal = 0x15
        case greater = 0x25
        case greaterOrEqual = 0x35
    }

    /// The encoding on the little-endian machines that Kiln knows.
    public var bytes: [UInt8] {
        [
            UInt8(truncatingIfNeeded: code), UInt8(truncatingIfNeeded: code >> 8), skipTrue,
            skipFalse,
        ] + (0..<4).map { UInt8(truncatingIfNeeded: operand >> (8 * $0)) }
    }

    /// Decodes the instructions of a program; nothing if the bytes do not end with one.
    public static func decode(_ bytes: [UInt8]) -> [FilterInstruction]? {
        guard bytes.count.isMultiple(of: size) else { return nil }
        return stride(from: 0, to: bytes.count, by: size).map { start in
            FilterInstruction(
                code: UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8,
                skipTrue: bytes[start + 2], skipFalse: bytes[start + 3],
                operand: (0..<4).reduce(0) { $0 | UInt32(bytes[start + 4 + $1]) << (8 * $1) })
        }
    }
}
