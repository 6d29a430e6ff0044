import CLinux
import LaunchModel

/// Network namespaces that wait for the one build that each is for, with the loopback interface up.
///
/// Making one takes the kernel longer than all mounts of a sandbox, so it is done beforehand by a child, in
/// which the launcher waits for nothing. None is used twice: sockets in their last wait, counters and settings
/// of one build would be there for the next. With an empty stock a build's is made with its other namespaces.
///
/// Source: `security/attacks.md`, R1.
final class NetworkStock {
    /// A namespace that no process is in, and nobody else holds.
    private final class Network {
        var file: Descriptor?
        let identity: CLinux_status

        init(_ file: consuming Descriptor, _ identity: CLinux_status) {
            self.file = consume file
            self.identity = identity
        }
    }

    private final class Maker {
        let process: ChildProcess
        let results: Descriptor

        init(_ process: ChildProcess, _ results: consuming Descriptor) {
            self.process = process
            self.results = results
        }
    }

    private let proc: CInt
    /// The launcher's own, which is for no build.
    private let own: CLinux_status
    private var ready: [Network] = []
    private var maker: Maker?
    private var isWanted = false

    /// How many are made at once: more than builds usually run.
    static let batch = 8
    /// With fewer than this many the next are made.
    private static let low = 4
    /// NET_ADMIN and SYS_ADMIN: to make a namespace and to raise an interface in it.
    private static let capabilities: UInt64 = 1 << 12 | 1 << 21

    /// Makes an empty stock; nothing is made before somebody asks for one.
    ///
    /// - Parameter proc: The top of the launcher's own proc, which outlives this.
    /// - Throws: What the kernel refused to tell of the launcher's own namespace.
    init(proc: CInt) throws(Failure) {
        self.proc = proc
        own = try ownNetwork(proc)
    }

    /// Readable when ``makerEnded()`` is to be called; nothing while no child runs.
    var makerDescriptor: CInt? { maker?.process.descriptor }

    /// Says that a build will want one, so that there are enough at ``refill()``.
    func expectBuild() { isWanted = true }

    /// Takes one out for good; nothing if there is none.
    func take() -> Descriptor? {
        isWanted = true
        return ready.popLast()?.file.take()
    }

    /// Starts a child that makes more, if builds want any and there are few.
    ///
    /// A failure is no news: builds get theirs without the stock, and the next build asks again.
    func refill() {
        guard isWanted, maker == nil, ready.count < Self.low else { return }
        isWanted = false
        do throws(Failure) {
            maker = try startMaker()
        } catch {
            maker = nil
        }
    }

    /// Puts what the child made into the stock.
    func makerEnded() {
        guard let maker, let isGood = maker.process.finishIfOver() else { return }
        self.maker = nil
        var byte: UInt8 = 0
        var numbers = [CInt](repeating: -1, count: Self.batch)
        var count = numbers.count
        var how = flags(CLinux_MSG_DONTWAIT)
        let received = CLinux_receive(
            maker.results.number, &byte, 1, &numbers, &count, &how)
        guard received == 1 else { return }
        for number in numbers[..<count] {
            let file = Descriptor(owning: number)
            guard isGood else { continue }
            do throws(Failure) {
                let identity = try fileStatus(of: number)
                // The kernel looks at the type when a build enters it.
                guard identity.device == own.device, !identity.isSameFile(as: own),
                    !ready.contains(where: { $0.identity.isSameFile(as: identity) })
                else { continue }
                ready.append(Network(file, identity))
            } catch {
                // One that cannot be looked at is not used.
            }
        }
    }

    /// Ends the child, if there is one.
    func leave() {
        guard let maker else { return }
        maker.process.stop()
        _ = maker.process.finish()
        self.maker = nil
    }

    private func startMaker() throws(Failure) -> Maker {
        var ends: [CInt] = [-1, -1]
        let kind = flags(CLinux_SOCK_SEQPACKET, CLinux_SOCK_CLOEXEC)
        try check(CLinux_socketpair(flags(CLinux_AF_UNIX), kind, &ends))
        let reading = Descriptor(owning: ends[0])
        let writing = Descriptor(owning: ends[1])
        let (proc, answer) = (proc, writing.number)
        let process = try ChildProcess { () throws(Failure) in
            try nameProcess("kiln-maker")
            try ChildProcess.keepOnly([proc, answer], capabilities: Self.capabilities)
            var made: [CInt] = []
            for _ in 0..<Self.batch {
                try check(CLinux_unshare(flags(CLinux_CLONE_NEWNET)))
                try raiseLoopbackInterface()
                let how = flags(CLinux_O_RDONLY, CLinux_O_CLOEXEC)
                made.append(CInt(try check(CLinux_openat(proc, c("self/ns/net"), how, 0))))
            }
            var byte: UInt8 = 0
            try check(CLinux_send(answer, &byte, 1, made, made.count, 0))
        }
        return Maker(process, reading)
    }
}

/// What this process's network namespace is.
///
/// - Parameter proc: The top of a proc in which this process is.
/// - Returns: The file that stands for it; two that are the same file are the same namespace.
/// - Throws: What the kernel refused.
func ownNetwork(_ proc: CInt) throws(Failure) -> CLinux_status {
    var found = CLinux_status()
    try check(CLinux_fstatat(proc, c("self/ns/net"), &found, 0))
    return found
}

/// Raises the loopback interface of this process's network namespace.
func raiseLoopbackInterface() throws(Failure) {
    let kind = flags(CLinux_SOCK_DGRAM, CLinux_SOCK_CLOEXEC)
    let socket = Descriptor(owning: try check(CLinux_socket(flags(CLinux_AF_INET), kind, 0)))
    try check(CLinux_loopback_up(socket.number))
}
