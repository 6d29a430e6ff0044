import CLinux

/// A child of the launcher that is no sandbox: it runs the launcher's own image, and ends by itself.
///
/// Whoever makes one polls ``descriptor`` and then calls ``finish()``, or the child stays a zombie for as
/// long as the launcher lives.
final class ChildProcess {
    /// Its number, which is another process's only after it was reaped.
    let id: CInt
    private let held: Descriptor
    /// Readable when it is over; lent for as long as this lives.
    var descriptor: CInt { held.number }

    /// Starts a child that runs `body` and ends: with status 0, or with 125 if it threw.
    ///
    /// - Throws: What the kernel refused; there is no child then.
    init(_ body: () throws(Failure) -> Void) throws(Failure) {
        let launcher = CLinux_getpid()
        var pidfd: CInt = -1
        let child = try check(CLinux_clone3(UInt64(CLinux_CLONE_PIDFD), &pidfd, 0))
        if child == 0 {
            do {
                try Self.dieWith(CInt(launcher))
                try body()
            } catch {
                CLinux_exit(125)
            }
            CLinux_exit(0)
        }
        id = CInt(child)
        held = Descriptor(owning: pidfd)
    }

    /// Ends it, whatever it is doing.
    func stop() {
        let sent = CLinux_pidfd_send_signal(held.number, flags(CLinux_SIGKILL))
        precondition(sent >= 0 || Int64(sent) == -CLinux_ESRCH, "a child of ours can be killed")
    }

    /// Waits for its end.
    ///
    /// - Returns: Whether it ended by itself with status 0.
    func finish() -> Bool {
        var end = CLinux_end()
        let waited = CLinux_waitid(
            flags(CLinux_P_PIDFD), held.number, &end, flags(CLinux_WEXITED))
        return waited >= 0 && Self.isGood(end)
    }

    /// As ``finish()``, but does not wait.
    ///
    /// - Returns: Nothing if it still runs.
    func finishIfOver() -> Bool? {
        var end = CLinux_end()
        let waited = CLinux_waitid(
            flags(CLinux_P_PIDFD), held.number, &end, flags(CLinux_WEXITED, CLinux_WNOHANG))
        guard waited >= 0 else { return false }
        return end.pid == 0 ? nil : Self.isGood(end)
    }

    private static func isGood(_ end: CLinux_end) -> Bool {
        Int64(end.code) == CLinux_CLD_EXITED && end.status == 0
    }

    /// In the child: has the kernel kill it when the launcher dies.
    ///
    /// The kernel forgets that when credentials change; a child that changes its user asks again with
    /// ``dieWithLauncher()``.
    private static func dieWith(_ launcher: CInt) throws(Failure) {
        try dieWithLauncher()
        // The launcher may have died before the kernel was told.
        guard CLinux_getppid() == launcher else { throw Failure(errno: Int32(CLinux_ESRCH)) }
    }

    /// In the child: has the kernel kill it when the launcher dies; again after credentials changed.
    static func dieWithLauncher() throws(Failure) {
        try check(
            CLinux_prctl(flags(CLinux_PR_SET_PDEATHSIG), UInt(CLinux_SIGKILL), 0, 0, 0))
        var signal: CInt = 0
        try check(
            withUnsafeMutablePointer(to: &signal) {
                CLinux_prctl(flags(CLinux_PR_GET_PDEATHSIG), UInt(bitPattern: $0), 0, 0, 0)
            })
        guard Int64(signal) == CLinux_SIGKILL else { throw Failure(errno: Int32(CLinux_EPERM)) }
    }

    /// In the child: gives up all but these descriptors, the first three, and these capabilities, and reads
    /// back that the capabilities are gone.
    ///
    /// - Parameters:
    ///   - descriptors: What it goes on to use.
    ///   - capabilities: A bit each, by the kernel's numbers.
    /// - Throws: What the kernel refused, or EPERM if it kept another capability.
    static func keepOnly(_ descriptors: [CInt], capabilities: UInt64) throws(Failure) {
        try closeAll(but: descriptors)
        try dropBoundingSet(keeping: capabilities)
        try check(CLinux_capset(capabilities))
        var left: UInt64 = 0
        try check(CLinux_capget(&left))
        guard left & ~capabilities == 0 else { throw Failure(errno: Int32(CLinux_EPERM)) }
    }
}

/// Gives this process the name that lists of processes show: at most 15 bytes.
func nameProcess(_ name: StaticString) throws(Failure) {
    try check(
        CLinux_prctl(flags(CLinux_PR_SET_NAME), UInt(bitPattern: c(name)), 0, 0, 0))
}

/// Keeps what this process holds from core files and from tracers, and reads that back.
func forbidDumps() throws(Failure) {
    try check(CLinux_prctl(flags(CLinux_PR_SET_DUMPABLE), 0, 0, 0, 0))
    guard try check(CLinux_prctl(flags(CLinux_PR_GET_DUMPABLE), 0, 0, 0, 0)) == 0 else {
        throw Failure(errno: Int32(CLinux_EPERM))
    }
}
