/// A system call in a table of the launcher's: its name, and its number on every interface.
///
/// The policy compiler has a table of all calls; the launcher has only these, because it may parse nothing
/// and resolve no names. The tests compare both.
public struct ListedCall: Sendable {
    /// The name the kernel gives it.
    public let name: StaticString
    private let x86_64, aarch64, x86, arm: Int32

    /// Puts an entry together; a negative number is an interface without the call.
    public init(
        _ name: StaticString, _ x86_64: Int32, _ aarch64: Int32, _ x86: Int32, _ arm: Int32
    ) {
        self.name = name
        self.x86_64 = x86_64
        self.aarch64 = aarch64
        self.x86 = x86
        self.arm = arm
    }

    /// The number on an interface that has the call.
    public func number(on architecture: Architecture) -> UInt32? {
        let number =
            switch architecture {
            case .x86_64: x86_64
            case .aarch64: aarch64
            case .x86: x86
            case .arm: arm
            }
        return number < 0 ? nil : UInt32(number)
    }
}

/// What no process of the launcher's ever calls, and no profile may allow.
///
/// The launcher loads a filter for it before its first request; every sandbox and every worker inherits
/// that, whatever its own filter says. A profile that allows one of these is refused when it is read.
///
/// Source: `security/attacks.md`, rule R14.
public enum ForbiddenCalls {
    /// Calls that change the running kernel, its clock or its devices: EPERM.
    public static let denied: [ListedCall] = [
        // Name, then the numbers on x86_64, aarch64, x86 and arm.
        ListedCall("acct", 163, 89, 51, 51),
        ListedCall("bpf", 321, 280, 357, 386),
        ListedCall("clock_settime", 227, 112, 264, 262),
        ListedCall("clock_settime64", -1, -1, 404, 404),
        ListedCall("create_module", 174, -1, 127, -1),
        ListedCall("delete_module", 176, 106, 129, 129),
        ListedCall("fanotify_init", 300, 262, 338, 367),
        ListedCall("finit_module", 313, 273, 350, 379),
        ListedCall("get_kernel_syms", 177, -1, 130, -1),
        ListedCall("init_module", 175, 105, 128, 128),
        ListedCall("ioperm", 173, -1, 101, -1),
        ListedCall("iopl", 172, -1, 110, -1),
        ListedCall("kexec_file_load", 320, 294, -1, 401),
        ListedCall("kexec_load", 246, 104, 283, 347),
        ListedCall("lookup_dcookie", 212, 18, 253, 249),
        ListedCall("nfsservctl", 180, 42, 169, 169),
        ListedCall("open_by_handle_at", 304, 265, 342, 371),
        ListedCall("pciconfig_iobase", -1, -1, -1, 271),
        ListedCall("pciconfig_read", -1, -1, -1, 272),
        ListedCall("pciconfig_write", -1, -1, -1, 273),
        ListedCall("perf_event_open", 298, 241, 336, 364),
        ListedCall("query_module", 178, -1, 167, -1),
        ListedCall("quotactl", 179, 60, 131, 131),
        ListedCall("quotactl_fd", 443, 443, 443, 443),
        ListedCall("reboot", 169, 142, 88, 88),
        ListedCall("settimeofday", 164, 170, 79, 79),
        ListedCall("stime", -1, -1, 25, -1),
        ListedCall("swapoff", 168, 225, 115, 115),
        ListedCall("swapon", 167, 224, 87, 87),
        ListedCall("syslog", 103, 116, 103, 103),
        ListedCall("userfaultfd", 323, 282, 374, 388),
        ListedCall("vhangup", 153, 58, 111, 111),
        ListedCall("vm86", -1, -1, 166, -1),
        ListedCall("vm86old", -1, -1, 113, -1),
    ]

    /// Parts of the kernel that a build does not have at all: ENOSYS, for which programs have another way.
    public static let absent: [ListedCall] = [
        ListedCall("add_key", 248, 217, 286, 309),
        ListedCall("io_uring_enter", 426, 426, 426, 426),
        ListedCall("io_uring_register", 427, 427, 427, 427),
        ListedCall("io_uring_setup", 425, 425, 425, 425),
        ListedCall("request_key", 249, 218, 287, 310),
    ]

    /// Absent as well, but for one operation, with which a sandbox gets a session keyring of its own.
    public static let keyControl = ListedCall("keyctl", 250, 219, 288, 311)

    /// `KEYCTL_JOIN_SESSION_KEYRING`.
    public static let joinSessionKeyring: UInt32 = 1

    /// All of them.
    public static var all: [ListedCall] { denied + absent + [keyControl] }
}
