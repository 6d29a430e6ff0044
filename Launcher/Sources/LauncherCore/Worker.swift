import CLinux
import LaunchModel

/// A child that does work in proportion to a tree, so that the launcher itself never waits for one.
///
/// It has four capabilities and a short list of system calls, with no way to get others, and ends when it
/// has told its result.
final class Worker {
    /// What the worker is for.
    enum Purpose {
        case takeOutputs(Build)
        case adopt(Build)
        case keep(Build, name: [UInt8])
        case emptyTrash
    }

    let purpose: Purpose
    let process: ChildProcess
    private let result: Descriptor

    /// CHOWN, DAC_OVERRIDE, FOWNER and LEASE.
    static let capabilities: UInt64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 28

    /// Starts a child that runs `body`, and sends what it returns.
    ///
    /// It reads back what it may do before it begins, and does nothing if that is more than it should be.
    ///
    /// - Parameters:
    ///   - purpose: What the worker is for.
    ///   - launcher: What the launcher found that itself is confined to.
    ///   - proc: The top of the launcher's own proc.
    ///   - needed: The descriptors that the child keeps.
    ///   - body: Runs in the child; returns at most 4 KiB, which fit a pipe.
    /// - Throws: What the kernel refused; there is no child then.
    init(
        _ purpose: Purpose, of launcher: ProcessRights, proc: CInt, keeping needed: [CInt],
        _ body: () -> [UInt8]
    ) throws(Failure) {
        var ends: [CInt] = [-1, -1]
        try check(CLinux_pipe2(&ends, flags(CLinux_O_CLOEXEC)))
        let reading = Descriptor(owning: ends[0])
        let writing = Descriptor(owning: ends[1])
        process = try ChildProcess { () throws(Failure) in
            let answer = writing.number
            try nameProcess("kiln-worker")
            let status = try ProcessStatus.open(in: proc)
            try ChildProcess.keepOnly(
                needed + [answer, status.number], capabilities: Self.capabilities)
            try load(filter: LauncherFilters.worker(on: .host))
            let rights = ProcessRights(
                user: launcher.user, group: launcher.group, groups: launcher.groups,
                capabilities: Self.capabilities, filters: launcher.filters + 1)
            guard rights.objection(to: try ProcessStatus(reading: status.number)) == nil else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
            try write(answer, body())
        }
        self.purpose = purpose
        result = reading
    }

    /// What the worker said, after it ended; nothing if it did not end well.
    func finish() -> [UInt8]? {
        guard process.finish() else { return nil }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = bytes.withUnsafeMutableBytes {
            CLinux_read(result.number, $0.baseAddress, $0.count)
        }
        guard count >= 0 else { return nil }
        return [UInt8](bytes[..<count])
    }
}

/// Closes every descriptor but these and the first three.
///
/// Those stay, so that no file that is opened later gets a number to which a runtime writes messages.
func closeAll(but needed: [CInt]) throws(Failure) {
    var kept = needed
    // Few, so the simplest order will do.
    kept.sort { $0 < $1 }
    var next: UInt32 = 3
    for fd in kept where fd > 2 {
        let number = UInt32(fd)
        if number > next { try check(CLinux_close_range(next, number - 1, 0)) }
        next = max(next, number + 1)
    }
    try check(CLinux_close_range(next, .max, 0))
}

/// Drops every capability but these from the bounding set, and reads back that they are gone.
func dropBoundingSet(keeping kept: UInt64) throws(Failure) {
    for capability in 0..<64 {
        let present = CLinux_prctl(flags(CLinux_PR_CAPBSET_READ), UInt(capability), 0, 0, 0)
        // The kernel does not know it, nor any beyond.
        if Int64(present) == -CLinux_EINVAL { return }
        guard try check(present) == 1, kept & (1 << UInt64(capability)) == 0 else { continue }
        try check(CLinux_prctl(flags(CLinux_PR_CAPBSET_DROP), UInt(capability), 0, 0, 0))
        let left = CLinux_prctl(flags(CLinux_PR_CAPBSET_READ), UInt(capability), 0, 0, 0)
        guard try check(left) == 0 else { throw Failure(errno: Int32(CLinux_EPERM)) }
    }
}
