import CLinux
import LaunchModel

/// Kills every process of one build user in one pass, wherever on the host it is.
///
/// A process that does nothing but fork and end is gone whenever somebody who found it wants to kill it. The
/// kernel, though, sends a signal to everybody under the lock that a fork has to take to finish, and lets
/// no fork finish of a process that was killed: one pass leaves none of those that it may signal. It
/// may signal processes that have the user as their real or saved id; others are for the scan to find.
///
/// The sender is a child without capabilities whose effective id is the user's. Its real and saved ids are
/// an id that no process has, so that nothing of the build user may signal, trace or stop it in its turn.
///
/// Source: `security/attacks.md`, B2.
enum UserKiller {
    /// The ids that killers have besides the build user's: below the first automatic build user.
    ///
    /// One for each low half of an id, so that two killers at once are seldom the same; they would kill each
    /// other, and be started again.
    static let reserved: ClosedRange<UInt32> = 872_349_696...872_415_231

    /// SETGID and SETUID, until the ids are changed.
    private static let capabilities: UInt64 = 1 << 6 | 1 << 7
    /// How long ``strike(_:)`` waits, in milliseconds.
    private static let patience: Int64 = 50

    /// Starts a killer, which ends with status 0 when the signal was sent.
    ///
    /// - Parameter user: A build user; never the caller, whose other processes are no builds.
    /// - Returns: The killer, to be waited for.
    /// - Throws: What the kernel refused; there is no killer then.
    static func start(_ user: UserID) throws(Failure) -> ChildProcess {
        let killer =
            reserved.lowerBound + (user.rawValue ^ user.rawValue >> 16) & 0xffff
        precondition(user != .root && killer != user.rawValue, "no build user")
        return try ChildProcess { () throws(Failure) in
            try ChildProcess.keepOnly([], capabilities: capabilities)
            try become(killer, as: user.rawValue)
            // Succeeds whether or not there was anybody to kill; who is left is for the scan to say.
            let sent = CLinux_kill(-1, flags(CLinux_SIGKILL))
            if Int64(sent) != -CLinux_ESRCH { try check(sent) }
        }
    }

    /// Starts a killer and waits for it, for as long as a launcher that serves others may.
    ///
    /// - Returns: Whether the signal was sent.
    static func strike(_ user: UserID) throws(Failure) -> Bool {
        let child = try start(user)
        var polled = CLinux_pollfd(
            fd: child.descriptor, events: Int16(truncatingIfNeeded: CLinux_POLLIN), revents: 0)
        if CLinux_poll(&polled, 1, patience) != 1 { child.stop() }
        return child.finish()
    }

    /// Takes the ids, and reads back that they are these and that nothing else is left: with a capability
    /// the signal would reach every process of the host.
    private static func become(_ killer: UInt32, as user: UInt32) throws(Failure) {
        try check(CLinux_setresgid(killer, killer, killer))
        try check(CLinux_setresuid(killer, user, killer))
        try check(CLinux_capset(0))
        try forbidDumps()
        try ChildProcess.dieWithLauncher()
        var users: [UInt32] = [0, 0, 0]
        var groups: [UInt32] = [0, 0, 0]
        var left: UInt64 = .max
        try check(CLinux_getresuid(&users))
        try check(CLinux_getresgid(&groups))
        try check(CLinux_capget(&left))
        guard users == [killer, user, killer], groups == [killer, killer, killer], left == 0
        else { throw Failure(errno: Int32(CLinux_EPERM)) }
    }
}
