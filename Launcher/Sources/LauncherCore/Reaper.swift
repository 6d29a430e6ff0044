import CLinux
import LaunchModel

/// What the first process of a sandbox is while the builder runs.
extension FirstProcess {
    /// Waits for every process that ends, until the builder's does, and answers denied calls.
    ///
    /// It does not return: when this process ends, the kernel kills the rest.
    ///
    /// A failure that must not happen ends the process, and with it the build, at once.
    func reap(_ builder: CInt) -> Never {
        // The log ends when the last process of the build has closed it, and this one writes nothing.
        for fd in [CInt(1), 2] where CLinux_dup3(0, fd, 0) < 0 { CLinux_exit(125) }
        let ended = flags(CLinux_SIGCHLD)
        let signals: CInt
        var listener: DenialListener
        do throws(Failure) {
            listener = try DenialListener(of: plan.profile)
            signals = CInt(try check(CLinux_signalfd(ended)))
            try check(CLinux_block_signal(ended))
        } catch {
            CLinux_exit(125)
        }
        var polled = [
            CLinux_pollfd(fd: signals, events: Int16(CLinux_POLLIN), revents: 0),
            CLinux_pollfd(
                fd: listener.isOpen ? DenialListener.number : -1, events: Int16(CLinux_POLLIN),
                revents: 0),
        ]
        // What ended before the signal was blocked left nothing to poll for.
        while true {
            // Ends before denials, and one denial in each round: no flood of one keeps the other waiting.
            if let end = reapAll(builder) {
                if !listener.calls.isEmpty { report(.denied(listener.calls)) }
                report(.over(end))
                CLinux_exit(0)
            }
            let count = polled.withUnsafeMutableBufferPointer {
                CLinux_poll($0.baseAddress, $0.count, -1)
            }
            guard count > 0 else { CLinux_exit(125) }
            if polled[0].revents != 0 { drain(signals) }
            if Int64(polled[1].revents) & CLinux_POLLIN != 0 {
                if listener.answerOne() { tell(listener.calls) }
            } else if polled[1].revents != 0 {
                // Every process that the filter holds is gone.
                polled[1].fd = -1
            }
        }
    }

    /// Reaps whatever has ended; the builder's end, if it is among it.
    private func reapAll(_ builder: CInt) -> BuildEnd.Builder? {
        while true {
            var end = CLinux_end()
            let waited = CLinux_waitid(
                flags(CLinux_P_ALL), 0, &end, flags(CLinux_WEXITED, CLinux_WNOHANG))
            guard waited >= 0 else { CLinux_exit(125) }
            if end.pid == 0 { return nil }
            guard end.pid == builder else { continue }
            let status = UInt8(truncatingIfNeeded: end.status)
            return Int64(end.code) == CLinux_CLD_EXITED ? .exited(status) : .signaled(status)
        }
    }

    /// Takes the signal; several of one kind are one.
    private func drain(_ signals: CInt) {
        var information = [UInt8](repeating: 0, count: 128)
        let count = information.withUnsafeMutableBytes {
            CLinux_read(signals, $0.baseAddress, $0.count)
        }
        guard count > 0 || Int64(count) == -CLinux_EAGAIN else { CLinux_exit(125) }
    }

    /// Tells the launcher the denied calls so far, unless it is busy: the end tells them again.
    private func tell(_ calls: DeniedCalls) {
        let bytes = SandboxReport.denied(calls).encoded
        _ = bytes.withUnsafeBytes {
            CLinux_send(
                plan.status, $0.baseAddress, $0.count, nil, 0, flags(CLinux_MSG_DONTWAIT))
        }
    }
}
