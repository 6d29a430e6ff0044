import CLinux
import LaunchModel

/// Who a process of the host is and whether it is over, by its `status`, which every kernel has.
///
/// Source: proc_pid_status(5).
struct ProcessLife {
    /// The real, effective, saved and file system user ids.
    let users: [UInt32]
    /// One of the letters of proc_pid_stat(5).
    private let state: UInt8
    /// How many threads there are, with the first one also when that has ended before the others.
    private let threads: UInt32

    /// Whether no thread will execute anything any more, and nothing is left but the number.
    ///
    /// The first thread may be over while others are not: then the state alone says what is not so.
    var isOver: Bool {
        switch state {
        case UInt8(ascii: "Z"), UInt8(ascii: "X"), UInt8(ascii: "x"): threads <= 1
        default: false
        }
    }

    /// Reads the status of a process; nothing if it is gone.
    ///
    /// - Throws: EINVAL if it is not what a kernel writes: what cannot be read is not taken for clean.
    init?(of pid: CInt, in proc: CInt) throws(Failure) {
        let path = decimal(UInt64(pid)) + bytes("/status")
        let opened = CLinux_openat(
            proc, terminated(path), flags(CLinux_O_RDONLY, CLinux_O_CLOEXEC), 0)
        // Gone since the directory was read.
        guard Int64(opened) != -CLinux_ENOENT, Int64(opened) != -CLinux_ESRCH else { return nil }
        let file = Descriptor(owning: try check(opened))
        let text: [UInt8]
        do {
            text = try readStream(file.number, limit: 64 << 10)
        } catch {
            guard error.isErrno(CLinux_ESRCH) else { throw error }
            return nil
        }
        users = try numbers(after: "Uid", count: 4, in: text)
        threads = try numbers(after: "Threads", count: 1, in: text)[0]
        state = try line("State", in: text).first { $0 != UInt8(ascii: "\t") } ?? 0
    }
}
