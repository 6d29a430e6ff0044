import CLinux
import LaunchModel

/// Where root reaches a launcher that runs: a listening socket in a directory that root alone may enter.
///
/// The engine has no way to it. What comes through it can change policies and nothing else.
final class ControlDoor {
    let socket: Descriptor
    private(set) var guests: [Guest] = []
    /// More commands at once than administrators give.
    private static let guestLimit = 4

    /// Takes over a descriptor if it is a socket of the Unix family that listens; anything else is none of this
    /// process's business and is left to be closed.
    init?(_ number: CInt) {
        guard CLinux_socket_listens(number) == 1 else { return nil }
        socket = Descriptor(owning: number)
    }

    /// A command that has connected.
    final class Guest {
        let socket: Descriptor

        init(_ socket: consuming Descriptor) { self.socket = socket }
    }

    /// Lets one more in, if it is root (or, without root, whoever started the launcher: both are user 0 here).
    func open() {
        let accepted = CLinux_accept(socket.number)
        guard accepted >= 0 else { return }
        let guest = Descriptor(owning: accepted)
        var user: UInt32 = .max
        guard CLinux_peer_user(guest.number, &user) == 0, user == 0, guests.count < Self.guestLimit
        else { return }
        guests.append(Guest(guest))
    }

    /// Answers a guest and lets it out.
    func answer(_ guest: Guest, _ reply: ControlReply) {
        let bytes = reply.encoded
        // A guest that is gone, or does not read, has no use for an answer.
        _ = bytes.withUnsafeBytes {
            CLinux_send(
                guest.socket.number, $0.baseAddress, $0.count, nil, 0, flags(CLinux_MSG_DONTWAIT))
        }
        leave(guest)
    }

    /// Forgets a guest.
    func leave(_ guest: Guest) { guests.removeAll { $0 === guest } }

    /// What a guest asks, with the memory that came along; nothing if there is nothing yet.
    ///
    /// - Throws: ``Refusal`` for what is no request. A guest that has gone is forgotten.
    func request(of guest: Guest) throws(Refusal) -> (ControlRequest, [Memory])? {
        var buffer: [UInt8] = [0, 0]
        var descriptors = [CInt](repeating: -1, count: 4)
        var count = descriptors.count
        var flags = LauncherCore.flags(CLinux_MSG_DONTWAIT)
        let result = buffer.withUnsafeMutableBytes { bytes in
            descriptors.withUnsafeMutableBufferPointer {
                CLinux_receive(
                    guest.socket.number, bytes.baseAddress, bytes.count, $0.baseAddress, &count,
                    &flags)
            }
        }
        if Int64(result) == -CLinux_EAGAIN { return nil }
        guard result > 0 else {
            leave(guest)
            return nil
        }
        let memories = descriptors.prefix(count).map { Memory(Descriptor(owning: $0)) }
        let cut = Int64(flags) & (CLinux_MSG_TRUNC | CLinux_MSG_CTRUNC) != 0
        guard !cut, result == 1, let request = ControlRequest(rawValue: buffer[0]),
            memories.count == request.descriptorCount
        else { throw Refusal(.malformedRequest, subject: bytes("control")) }
        return (request, memories)
    }

    /// Memory that came with a request.
    final class Memory {
        private var file: Descriptor?

        init(_ file: consuming Descriptor) { self.file = .some(file) }

        /// What is in it.
        ///
        /// - Throws: ``Refusal`` if it is not memory, or somebody can still change it, or it is too long.
        func content(_ subject: [UInt8]) throws(Refusal) -> [UInt8] {
            try sealedContent(of: number, subject)
        }

        /// The number, lent.
        var number: CInt {
            switch file {
            case .some(let file): file.number
            case .none: -1
            }
        }

        /// Gives the descriptor to somebody else.
        func release() -> CInt {
            guard let file = file.take() else { preconditionFailure("it is given away once") }
            return file.release()
        }
    }
}

/// What is in sealed memory of at most ``LauncherConfiguration/encodingLimit`` bytes.
func sealedContent(of memory: CInt, _ subject: [UInt8]) throws(Refusal) -> [UInt8] {
    try refusing(.malformedRequest, subject) { () throws(Failure) in
        try checkSeals(of: memory)
        guard let content = try readAll(memory, limit: LauncherConfiguration.encodingLimit) else {
            throw Failure(errno: Int32(CLinux_EMSGSIZE))
        }
        return content
    }
}

/// Refuses what is not memory that nobody can change any more.
private func checkSeals(of memory: CInt) throws(Failure) {
    let seals =
        CLinux_F_SEAL_SEAL | CLinux_F_SEAL_SHRINK | CLinux_F_SEAL_GROW | CLinux_F_SEAL_WRITE
    guard Int64(try check(CLinux_get_seals(memory))) & seals == seals else {
        throw Failure(errno: Int32(CLinux_EPERM))
    }
}

/// Refuses profiles under which a builder would be root in its sandbox.
func checkProfiles(_ profiles: [CompiledProfile]) throws(Refusal) {
    for profile in profiles where profile.sandboxUser == 0 || profile.sandboxGroup == 0 {
        throw Refusal(.malformedRequest, subject: profile.name)
    }
}

// What comes through the door.
extension Launcher {
    /// Answers what a guest asks, if it has asked.
    func answer(_ guest: ControlDoor.Guest) {
        guard let door else { return }
        do throws(Refusal) {
            guard let (request, memories) = try door.request(of: guest) else { return }
            switch request {
            case .reload: door.answer(guest, try reload(memories[0], passingOn: memories[1]))
            }
        } catch {
            door.answer(guest, .refused(error))
        }
    }

    /// Takes a new generation whole, or nothing of it.
    ///
    /// Builds that are prepared keep the profile that they have;
    /// what the engine asks for by the old generation's name from now on is refused.
    private func reload(
        _ memory: ControlDoor.Memory, passingOn forEngine: ControlDoor.Memory
    ) throws(Refusal) -> ControlReply {
        let content = try memory.content(bytes("policies"))
        let new: PolicySet
        do {
            new = try PolicySet(decoding: content)
        } catch {
            throw Refusal(.malformedRequest, subject: bytes("policies"))
        }
        try checkProfiles(new.profiles)
        // The engine must be able to trust that nobody changes it while it reads.
        try refusing(.malformedRequest, bytes("what the engine is given")) { () throws(Failure) in
            try checkSeals(of: forEngine.number)
        }
        let running = builds.values.reduce(UInt32(0)) { $0 + ($1.user == nil ? 0 : 1) }
        let previous = policies.generation
        policies = new
        conversation.send(.reloaded(new.generation), [forEngine.release()])
        return .reloaded(previous: previous, running: running)
    }
}
