/// An argument of a system call that a condition can look at.
public struct SyscallArgument: Hashable, Sendable {
    /// The name in the kernel's prototype.
    public let name: String
    /// The position, from zero.
    public let index: Int
    /// The bits that the kernel reads.
    ///
    /// The kernel ignores the bits above the argument's C type, so a condition that compared all 64 could
    /// be passed by setting one of them (CVE-2019-10063).
    public let mask: UInt32
}

/// A question about the arguments of one system call.
///
/// No case can look behind a pointer, because the memory there may change after the question.
public indirect enum Condition: Hashable, Sendable {
    /// How an argument is compared with a number.
    public enum Comparison: Hashable, Sendable {
        case equal, notEqual, less, lessOrEqual
    }

    /// `(argument & mask) comparison value`
    case compare(SyscallArgument, mask: UInt32, Comparison, UInt32)
    /// `(argument & mask) in {values}`
    case isOneOf(SyscallArgument, mask: UInt32, [UInt32])
    /// All of them.
    case all([Condition])
    /// Any of them.
    case any([Condition])

    /// The answer for these arguments.
    public func holds(_ arguments: [UInt64]) -> Bool {
        switch self {
        case .compare(let argument, let mask, let comparison, let value):
            let seen = argument.value(in: arguments) & mask
            return switch comparison {
            case .equal: seen == value
            case .notEqual: seen != value
            case .less: seen < value
            case .lessOrEqual: seen <= value
            }
        case .isOneOf(let argument, let mask, let values):
            return values.contains(argument.value(in: arguments) & mask)
        case .all(let conditions): return conditions.allSatisfy { $0.holds(arguments) }
        case .any(let conditions): return conditions.contains { $0.holds(arguments) }
        }
    }

    /// The values of one whole argument for which this holds, if that is all it asks.
    private var exactValues: (SyscallArgument, Set<UInt32>)? {
        switch self {
        case .compare(let argument, let mask, .equal, let value) where mask == argument.mask:
            (argument, [value])
        case .isOneOf(let argument, let mask, let values) where mask == argument.mask:
            (argument, Set(values))
        case .compare, .isOneOf, .all, .any: nil
        }
    }

    /// Whether the two can be seen never to hold together.
    func isDisjoint(from other: Condition) -> Bool {
        switch (self, other) {
        // All of them hold together, so one that cannot hold with the other is enough.
        case (.all(let conditions), _): return conditions.contains { $0.isDisjoint(from: other) }
        case (_, .all(let conditions)): return conditions.contains { isDisjoint(from: $0) }
        case (.any(let conditions), _): return conditions.allSatisfy { $0.isDisjoint(from: other) }
        case (_, .any(let conditions)): return conditions.allSatisfy { isDisjoint(from: $0) }
        case (.compare, _), (.isOneOf, _): break
        }
        guard let (left, values) = exactValues, let (right, others) = other.exactValues else {
            return false
        }
        return left == right && values.isDisjoint(with: others)
    }
}

extension SyscallArgument {
    fileprivate func value(in arguments: [UInt64]) -> UInt32 {
        UInt32(truncatingIfNeeded: arguments[index]) & mask
    }

    /// The arguments of a call that conditions can name; nothing for a call that has none.
    static func arguments(of call: String) -> [SyscallArgument] {
        (table[call] ?? []).map { SyscallArgument(name: $0.0, index: $0.1, mask: $0.2) }
    }

    private static let whole: UInt32 = 0xffff_ffff
    /// The bits of a file mode.
    private static let mode: UInt32 = 0xffff

    /// Integer arguments of 32 bits or fewer; wider ones and pointers are left out on purpose.
    ///
    /// The flags of clone and unshare are `unsigned long`, but the kernel reads or accepts only the low half.
    private static let table: [String: [(String, Int, UInt32)]] = [
        "chmod": [("mode", 1, mode)],
        "fchmod": [("mode", 1, mode)],
        "fchmodat": [("mode", 2, mode)],
        "fchmodat2": [("mode", 2, mode), ("flags", 3, whole)],
        "mknod": [("mode", 1, mode), ("dev", 2, whole)],
        "mknodat": [("mode", 2, mode), ("dev", 3, whole)],
        "mkdir": [("mode", 1, mode)],
        "mkdirat": [("mode", 2, mode)],
        "creat": [("mode", 1, mode)],
        "open": [("flags", 1, whole), ("mode", 2, mode)],
        "openat": [("flags", 2, whole), ("mode", 3, mode)],
        "clone": [("flags", 0, whole)],
        "unshare": [("flags", 0, whole)],
        "personality": [("persona", 0, whole)],
        "socket": [("family", 0, whole), ("type", 1, whole), ("protocol", 2, whole)],
        "socketpair": [("family", 0, whole), ("type", 1, whole), ("protocol", 2, whole)],
        "setsockopt": [("level", 1, whole), ("optname", 2, whole)],
        "ioctl": [("fd", 0, whole), ("cmd", 1, whole)],
        "fcntl": [("fd", 0, whole), ("cmd", 1, whole)],
        "fcntl64": [("fd", 0, whole), ("cmd", 1, whole)],
        "prctl": [("option", 0, whole)],
        "kill": [("pid", 0, whole), ("sig", 1, whole)],
        "seccomp": [("op", 0, whole), ("flags", 1, whole)],
    ]
}

/// Names for numbers in conditions.
///
/// The corresponding C constants have the same names.
enum NamedConstant {
    static let all: [String: UInt32] = [
        "S_ISUID": 0o4000, "S_ISGID": 0o2000, "S_ISVTX": 0o1000,
        "S_IFMT": 0o170000, "S_IFSOCK": 0o140000, "S_IFLNK": 0o120000, "S_IFREG": 0o100000,
        "S_IFBLK": 0o060000, "S_IFDIR": 0o040000, "S_IFCHR": 0o020000, "S_IFIFO": 0o010000,
        "CLONE_NEWTIME": 0x80, "CLONE_NEWNS": 0x2_0000, "CLONE_NEWCGROUP": 0x0200_0000,
        "CLONE_NEWUTS": 0x0400_0000, "CLONE_NEWIPC": 0x0800_0000, "CLONE_NEWUSER": 0x1000_0000,
        "CLONE_NEWPID": 0x2000_0000, "CLONE_NEWNET": 0x4000_0000,
        // All of them but CLONE_NEWTIME, whose bit belongs to the exit signal in clone(2).
        "CLONE_NEW_ANY": 0x7e02_0000,
        "PER_LINUX": 0, "PER_LINUX32": 8, "UNAME26": 0x2_0000, "ADDR_NO_RANDOMIZE": 0x4_0000,
        "ADDR_COMPAT_LAYOUT": 0x20_0000, "READ_IMPLIES_EXEC": 0x40_0000,
        "ADDR_LIMIT_3GB": 0x800_0000,
        "AF_UNSPEC": 0, "AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_KEY": 15,
        "AF_NETLINK": 16, "AF_PACKET": 17, "AF_RDS": 21, "AF_TIPC": 30, "AF_BLUETOOTH": 31,
        "AF_ALG": 38, "AF_VSOCK": 40, "AF_XDP": 44,
        "NETLINK_ROUTE": 0, "NETLINK_KOBJECT_UEVENT": 15,
        // With AF_INET this type means AF_PACKET. The rest of the type's word are flags.
        "SOCK_PACKET": 10, "SOCK_TYPE_MASK": 0xf,
        "TIOCSTI": 0x5412, "TIOCLINUX": 0x541C,
        "FS_IOC_SETFLAGS": 0x4008_6602, "FS_IOC32_SETFLAGS": 0x4004_6602,
        "FS_IOC_FSSETXATTR": 0x401c_5820, "FS_IOC_ENABLE_VERITY": 0x4080_6685,
        "FS_IOC_SET_ENCRYPTION_POLICY": 0x800c_6613, "FS_IOC_ADD_ENCRYPTION_KEY": 0xc050_6617,
    ]
}
