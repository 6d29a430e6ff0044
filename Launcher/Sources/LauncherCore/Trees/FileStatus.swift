import CLinux
import LaunchModel

/// A user and a group: whose a file is.
struct FileOwner: Equatable {
    let user: UserID
    let group: GroupID

    init(user: UserID, group: GroupID) {
        self.user = user
        self.group = group
    }
}

/// What makes a file the same file, whatever it is called.
struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64
}

/// What kind of file something is, as far as trees care.
enum FileKind: Equatable {
    case regular
    case directory
    case symbolicLink
    /// A device, a FIFO or a socket, or something that Linux does not have yet.
    case special

    /// The kind as results name it; nothing for special files.
    var object: ObjectKind? {
        switch self {
        case .regular: .regular
        case .directory: .directory
        case .symbolicLink: .symbolicLink
        case .special: nil
        }
    }
}

/// What the kernel says of an open file.
struct FileStatus {
    private let raw: CLinux_FileStatus

    init(_ raw: CLinux_FileStatus) { self.raw = raw }

    var identity: FileIdentity { FileIdentity(device: raw.device, inode: raw.inode) }
    var owner: FileOwner {
        FileOwner(user: UserID(rawValue: raw.user), group: GroupID(rawValue: raw.group))
    }
    /// The length of a regular file, in bytes.
    var size: UInt64 { raw.size }
    /// How many names the file has.
    var links: UInt32 { raw.links }
    /// When the contents changed.
    var modified: FileTime {
        FileTime(seconds: raw.modifiedSeconds, nanoseconds: raw.modifiedNanoseconds)
    }

    var kind: FileKind {
        switch raw.mode & 0o170000 {
        case 0o100000: .regular
        case 0o040000: .directory
        case 0o120000: .symbolicLink
        default: .special
        }
    }

    /// The nine bits of user, group and others.
    var permissions: UInt32 { raw.mode & 0o777 }
    var hasSetID: Bool { raw.mode & 0o6000 != 0 }
    var isWritableByGroupOrOthers: Bool { raw.mode & 0o022 != 0 }
    var isExecutableByOwner: Bool { raw.mode & 0o100 != 0 }
    /// Whether a flag forbids changes even to root.
    var isFrozen: Bool { raw.attributes & (CLinux_files.immutable | CLinux_files.appendOnly) != 0 }
}

/// A time of a file.
struct FileTime: Equatable {
    let seconds: Int64
    let nanoseconds: UInt32

    /// What every store object says.
    static let canonical = FileTime(seconds: 1, nanoseconds: 0)
}

/// The mode that every store object of a kind has.
enum CanonicalMode {
    static let directory: UInt32 = 0o555

    /// The mode of a regular file.
    static func regular(_ status: FileStatus) -> UInt32 {
        status.isExecutableByOwner ? 0o555 : 0o444
    }
}
