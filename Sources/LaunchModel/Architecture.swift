/// A processor's system call interface.
public enum Architecture: UInt8, Hashable, Sendable, CaseIterable {
    case x86_64 = 0
    case aarch64 = 1
    /// The 32-bit interface of an x86_64 kernel.
    case x86 = 2
    /// The 32-bit interface of an aarch64 kernel.
    case arm = 3

    /// The interface of the kernel that this program was compiled for.
    public static var host: Architecture {
        #if arch(x86_64)
            .x86_64
        #elseif arch(arm64)
            .aarch64
        #else
            #error("the system calls of this architecture are not in the table")
        #endif
    }

    /// What the kernel calls the architecture in the data of a filter: its audit number.
    public var auditValue: UInt32 {
        switch self {
        case .x86_64: 0xC000_003E
        case .aarch64: 0xC000_00B7
        case .x86: 0x4000_0003
        case .arm: 0x4000_0028
        }
    }

    /// The 32-bit interface that the same kernel offers.
    public var compatible: Architecture? {
        switch self {
        case .x86_64: .x86
        case .aarch64: .arm
        case .x86, .arm: nil
        }
    }
}
