import CLinux
import LaunchModel

/// One packet of the engine's.
struct Packet {
    let request: LauncherRequest
    /// Descriptors that came with it; whoever handles the packet owns them.
    let descriptors: [CInt]
}

/// Why there is nothing more to talk about.
enum ConversationEnd: Error {
    /// The engine closed its end.
    case closed
    /// The engine said something that is not a request, or not legal now.
    case violated(Refusal)
}

/// The launcher's end of the conversation with the engine.
final class Conversation {
    let socket: CInt
    private var outgoing: [(bytes: [UInt8], descriptors: [CInt])] = []
    private var sent = 0
    /// More unread events than a working engine ever leaves.
    private static let limit = 65_536

    init(_ socket: CInt) { self.socket = socket }

    var hasOutgoing: Bool { sent < outgoing.count }

    /// Queues an event and sends what the socket takes now.
    ///
    /// - Parameters:
    ///   - event: What is told.
    ///   - descriptors: Go with it, and are closed when it was sent.
    func send(_ event: LauncherEvent, _ descriptors: [CInt] = []) {
        precondition(descriptors.count == event.descriptorCount, "an event has its descriptors")
        outgoing.append((event.encoded, descriptors))
    }

    /// Sends queued events until the socket takes no more.
    func flush() throws(ConversationEnd) {
        while sent < outgoing.count {
            let (bytes, descriptors) = outgoing[sent]
            let result = bytes.withUnsafeBytes { buffer in
                descriptors.withUnsafeBufferPointer {
                    CLinux_send(
                        socket, buffer.baseAddress, buffer.count, $0.baseAddress, $0.count,
                        flags(CLinux_MSG_DONTWAIT))
                }
            }
            if Int64(result) == -CLinux_EAGAIN {
                guard outgoing.count - sent <= Self.limit else { throw .closed }
                // An engine that is always a little behind must not make this grow for ever.
                if sent >= 1024, sent >= outgoing.count / 2 {
                    outgoing.removeFirst(sent)
                    sent = 0
                }
                return
            }
            guard result >= 0 else { throw .closed }
            for descriptor in descriptors { _ = Descriptor(owning: descriptor) }
            sent += 1
        }
        outgoing.removeAll(keepingCapacity: true)
        sent = 0
    }

    /// The next request, or nothing if there is none yet.
    func receive() throws(ConversationEnd) -> Packet? {
        // One byte more than a packet may have, so that a longer one shows.
        var buffer = [UInt8](repeating: 0, count: LauncherRequest.packetLimit + 1)
        var descriptors = [CInt](repeating: -1, count: 8)
        var count = descriptors.count
        var flags = LauncherCore.flags(CLinux_MSG_DONTWAIT)
        let result = buffer.withUnsafeMutableBytes { bytes in
            descriptors.withUnsafeMutableBufferPointer {
                CLinux_receive(
                    socket, bytes.baseAddress, bytes.count, $0.baseAddress, &count, &flags)
            }
        }
        if Int64(result) == -CLinux_EAGAIN { return nil }
        guard result > 0 else { throw .closed }
        descriptors.removeLast(descriptors.count - count)
        // What is refused below stays open until the process ends: closing a file of somebody else's may
        // wait for him, and builds are killed before that.
        let cut = Int64(flags) & (CLinux_MSG_TRUNC | CLinux_MSG_CTRUNC) != 0
        guard !cut, result <= LauncherRequest.packetLimit else {
            throw .violated(Refusal(.malformedRequest))
        }
        let request: LauncherRequest
        do {
            request = try LauncherRequest(decoding: [UInt8](buffer[..<result]))
        } catch {
            throw .violated(Refusal(.malformedRequest))
        }
        guard request.descriptorCount == count else {
            throw .violated(Refusal(.malformedRequest))
        }
        // Whatever goes with a request is memory, and only memory can have seals.
        for descriptor in descriptors where CLinux_get_seals(descriptor) < 0 {
            throw .violated(Refusal(.malformedRequest))
        }
        return Packet(request: request, descriptors: descriptors)
    }
}
