import Glibc
import LaunchModel
import Policy
import SystemCalls

/// Whether a file is a program that runs without any other file.
///
/// Source: `elf.h`.
enum StaticProgram {
    private static let headerSize = 64
    private static let entrySize = 56
    private static let interpreter: UInt32 = 3
    private static let entryLimit = 256

    /// Why an open file is not such a program, as the rest of a sentence about it; nothing if it is.
    static func fault(
        of file: CInt, for architecture: Architecture
    ) throws(SystemError) -> String? {
        let header = try bytes(of: file, at: 0, count: headerSize)
        guard header.count == headerSize, header.prefix(4) == [0x7f, 0x45, 0x4c, 0x46] else {
            return "is not an ELF program"
        }
        // 64 bits, little-endian.
        guard header[4] == 2, header[5] == 1, let machine = machine(of: architecture),
            number(header, at: 18, count: 2) == machine
        else { return "is a program for another architecture" }
        // Position-dependent (ET_EXEC) or static and position-independent (ET_DYN).
        guard [2, 3].contains(number(header, at: 16, count: 2)) else { return "is not a program" }
        let offset = number(header, at: 32, count: 8)
        let count = Int(number(header, at: 56, count: 2))
        guard number(header, at: 54, count: 2) == UInt64(entrySize), 1...entryLimit ~= count,
            let start = off_t(exactly: offset), start <= off_t(UInt32.max)
        else { return "has a program header table that cannot be right" }
        let table = try bytes(of: file, at: start, count: count * entrySize)
        guard table.count == count * entrySize else { return "is cut short" }
        for index in 0..<count
        where number(table, at: index * entrySize, count: 4) == UInt64(interpreter) {
            return "is linked dynamically, and the libraries it needs are not in the sandbox"
        }
        return nil
    }

    private static func machine(of architecture: Architecture) -> UInt64? {
        switch architecture {
        case .x86_64: 62
        case .aarch64: 183
        case .x86, .arm: nil
        }
    }

    private static func number(_ bytes: [UInt8], at offset: Int, count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
