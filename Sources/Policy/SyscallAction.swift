/// What the kernel answers to one system call.
public enum SyscallAction: Hashable, Sendable, CustomStringConvertible {
    /// The call is made.
    case allow
    /// The call fails with this error number.
    case errno(UInt16)
    /// The whole process is killed.
    case kill

    /// What a policy calls "this does not exist here".
    public static let notImplemented = SyscallAction.errno(38)

    /// The action that a policy calls by this name.
    public init?(name: String) {
        switch name {
        case "allow": self = .allow
        case "kill": self = .kill
        default:
            guard let number = Self.errors[name] else { return nil }
            self = .errno(number)
        }
    }

    /// The name that a policy uses.
    public var description: String {
        switch self {
        case .allow: "allow"
        case .kill: "kill"
        case .errno(let number):
            Self.errors.first { $0.value == number && $0.key != "EOPNOTSUPP" }?.key
                ?? "errno \(number)"
        }
    }

    /// The value that a seccomp program returns for it.
    public var returnValue: UInt32 {
        switch self {
        case .allow: 0x7fff_0000
        case .errno(let number): 0x0005_0000 | UInt32(number)
        case .kill: 0x8000_0000
        }
    }

    /// All names that a policy may use.
    static var names: [String] { ["allow", "kill"] + errors.keys.sorted() }

    /// Error numbers, equal on all architectures that Kiln knows.
    private static let errors: [String: UInt16] = [
        "EPERM": 1, "ENOENT": 2, "EIO": 5, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13,
        "EBUSY": 16, "ENODEV": 19, "EINVAL": 22, "ENOTTY": 25, "ENOSYS": 38, "ENOTSUP": 95,
        "EOPNOTSUPP": 95, "EPROTONOSUPPORT": 93, "EAFNOSUPPORT": 97,
    ]
}

/// What 32-bit programs get on a 64-bit kernel.
public enum ForeignCalls: Hashable, Sendable {
    /// The same policy, with the numbers of the 32-bit interface.
    case sameAsNative
    /// One answer to every call.
    case action(SyscallAction)
}
