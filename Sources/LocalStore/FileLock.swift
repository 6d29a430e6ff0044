import Glibc
import SystemCalls

/// How a file is locked.
enum LockKind {
    case shared
    case exclusive

    fileprivate var operation: CInt {
        switch self {
        case .shared: LOCK_SH
        case .exclusive: LOCK_EX
        }
    }
}

/// A file that is locked for as long as somebody holds this value.
///
/// Source: `reference/nix-features.md` §12; `flock(2)`: a lock belongs to the open file, so two of one
/// process exclude each other too.
final class FileLock: Sendable {
    private let file: SharedDescriptor
    private let path: String

    private init(_ file: SharedDescriptor, path: String) {
        self.file = file
        self.path = path
    }

    /// Locks a file, which is made when it is not there; waits for others.
    static func waiting(_ kind: LockKind, _ path: String) throws(SystemError) -> FileLock {
        let lock = try FileLock(opened(path), path: path)
        try lock.become(kind)
        return lock
    }

    /// Locks a file if nobody else has; nothing otherwise.
    static func trying(_ kind: LockKind, _ path: String) throws(SystemError) -> FileLock? {
        let file = try opened(path)
        guard try tryLock(file, kind, path: path) else { return nil }
        return FileLock(file, path: path)
    }

    /// Locks an open file if nobody else has.
    static func tryLock(
        _ file: SharedDescriptor, _ kind: LockKind, path: String
    ) throws(SystemError) -> Bool {
        do {
            try file.withNumber { (number) throws(SystemError) in
                try check("flock", on: path) { flock(number, kind.operation | LOCK_NB) }
            }
            return true
        } catch {
            if error.errno == EWOULDBLOCK { return false }
            throw error
        }
    }

    /// Locks the file in another way, waiting for others; it may be unlocked in between.
    func become(_ kind: LockKind) throws(SystemError) {
        try file.withNumber { (number) throws(SystemError) in
            try check("flock", on: path) { flock(number, kind.operation) }
        }
    }

    private static func opened(_ path: String) throws(SystemError) -> SharedDescriptor {
        try openFile(path, O_RDWR | O_CREAT, mode: 0o600)
    }
}
