import CLinux
import LaunchModel

/// A process that has an id of a build user.
struct FoundProcess: Hashable {
    let user: UserID
    let pid: CInt
}

/// The processes of the host, and a descriptor of each that was there at the last look.
///
/// What a process may do is asked of the kernel at every look. The descriptors only spare looking up each
/// process by its number, and mean that process and no other that has its number later.
final class ProcessTable {
    private struct Known {
        let pid: CInt
        let descriptor: CInt
    }

    private let proc: CInt
    /// By number, as the kernel lists them; this object owns the descriptors.
    private var known: [Known] = []
    /// Whether the kernel tells the users of a process by its descriptor, which Linux 6.13 began.
    private var hasInfo = true
    /// More descriptors than this are not kept; the processes beyond are looked up each time.
    private static let limit = 256

    /// Looks at a proc that stays the caller's and outlives this.
    init(proc: CInt) { self.proc = proc }

    deinit { for process in known { _ = Descriptor(owning: process.descriptor) } }

    /// The processes of which any of the four user ids is one of `users`: real, effective, saved, file system.
    ///
    /// A process that changed some of its ids still has another one, so all are looked at. One that is over
    /// and only waits for its parent to notice is none: it executes nothing any more and holds no memory, file
    /// or directory, and its parent may be anybody, who need not ever notice.
    ///
    /// Source: `security/attacks.md`, A8.
    func processes(of users: [UserID]) throws(Failure) -> [FoundProcess] {
        var found: [FoundProcess] = []
        let before = known
        known = []
        known.reserveCapacity(before.count)
        // Those that are gone, and, should this fail, those that were not looked at.
        var next = before.startIndex
        defer {
            while next < before.endIndex {
                _ = Descriptor(owning: before[next].descriptor)
                next += 1
            }
        }
        for pid in try processNumbers(in: proc) {
            while next < before.endIndex, before[next].pid < pid {
                _ = Descriptor(owning: before[next].descriptor)
                next += 1
            }
            var descriptor: Descriptor?
            if next < before.endIndex, before[next].pid == pid {
                descriptor = Descriptor(owning: before[next].descriptor)
                next += 1
            }
            let ids = try userIDs(of: pid, descriptor.take())
            for user in users where ids.contains(user.rawValue) {
                guard let status = try ProcessLife(of: pid, in: proc), !status.isOver else {
                    continue
                }
                found.append(FoundProcess(user: user, pid: pid))
            }
        }
        return found
    }

    /// Kills a process if it still has one of the user's ids, and not another that got its number since.
    func kill(_ found: FoundProcess) throws(Failure) {
        let opened = CLinux_pidfd_open(found.pid)
        guard Int64(opened) != -CLinux_ESRCH, Int64(opened) != -CLinux_EINVAL else { return }
        let process = Descriptor(owning: try check(opened))
        // The descriptor is of whatever has the number now, and the ids are looked at after it was opened.
        guard let status = try ProcessLife(of: found.pid, in: proc),
            status.users.contains(found.user.rawValue)
        else { return }
        let sent = CLinux_pidfd_send_signal(process.number, flags(CLinux_SIGKILL))
        guard Int64(sent) != -CLinux_ESRCH else { return }
        try check(sent)
    }

    /// The four user ids of a process; none if it is gone.
    ///
    /// Whatever its descriptor does not answer for certain is read from its status: a process without a parent
    /// here, such as a kernel's first thread, looks like one that is gone.
    private func userIDs(
        of pid: CInt, _ descriptor: consuming Descriptor?
    ) throws(Failure) -> [UInt32] {
        guard hasInfo else { return try ProcessLife(of: pid, in: proc)?.users ?? [] }
        if let process = descriptor.take(), let ids = ask(pid, process) { return ids }
        // Not known, or it was another process that had the number.
        let opened = CLinux_pidfd_open(pid)
        if opened >= 0, let ids = ask(pid, Descriptor(owning: CInt(opened))) { return ids }
        return try ProcessLife(of: pid, in: proc)?.users ?? []
    }

    /// Asks a process's descriptor, and keeps it if it answers.
    private func ask(_ pid: CInt, _ process: consuming Descriptor) -> [UInt32]? {
        var ids: [UInt32] = [.max, .max, .max, .max]
        let asked = CLinux_pidfd_user_ids(process.number, pid, &ids)
        guard asked >= 0 else {
            hasInfo = Int64(asked) == -CLinux_ESRCH
            return nil
        }
        if known.count < Self.limit {
            known.append(Known(pid: pid, descriptor: process.release()))
        }
        return ids
    }
}

/// The numbers that are names in a proc, in the kernel's order.
private func processNumbers(in proc: CInt) throws(Failure) -> [CInt] {
    var numbers: [CInt] = []
    for name in try names(in: proc) { if let number = number(name) { numbers.append(number) } }
    return numbers
}

private func number(_ name: [UInt8]) -> CInt? {
    guard name.count <= 9 else { return nil }
    var value: CInt = 0
    for byte in name {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        value = value * 10 + CInt(byte - UInt8(ascii: "0"))
    }
    return value
}
