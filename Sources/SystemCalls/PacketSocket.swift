import Glibc

/// One packet that was received, with what came along.
public struct ReceivedPacket: Sendable {
    /// The bytes; none mean that the peer has closed the socket.
    public let bytes: [UInt8]
    /// The descriptors.
    public let descriptors: [SharedDescriptor]
}

/// One side of a socket that keeps packets apart (`SOCK_SEQPACKET`) and carries descriptors.
public final class PacketSocket: Sendable {
    private let descriptor: SharedDescriptor

    /// The most descriptors in one packet: the kernel's `SCM_MAX_FD`.
    public static let descriptorLimit = 253

    /// Takes over a connected socket of the Unix family.
    public convenience init(_ descriptor: consuming OwnedDescriptor) {
        self.init(SharedDescriptor(descriptor))
    }

    private init(_ descriptor: SharedDescriptor) { self.descriptor = descriptor }

    /// Two sockets that are connected to each other.
    public static func pair() throws(SystemError) -> (PacketSocket, PacketSocket) {
        let (first, second) = try socketPair(.packets)
        return (PacketSocket(first), PacketSocket(second))
    }

    /// Sends one packet; may block while the peer's queue is full.
    ///
    /// - Parameters:
    ///   - bytes: At least one.
    ///   - descriptors: Numbers that are open during the call; the peer gets copies.
    /// - Throws: ``SystemError`` when the peer is gone, or the packet too long for the kernel.
    public func send(_ bytes: [UInt8], descriptors: [CInt] = []) throws(SystemError) {
        precondition(!bytes.isEmpty, "an empty packet would be an end")
        precondition(descriptors.count <= Self.descriptorLimit)
        try transfer(bytes: bytes, control: ControlMessage.encode(descriptors))
    }

    private func transfer(bytes: [UInt8], control: [UInt8]) throws(SystemError) {
        var bytes = bytes
        var control = control
        let count = try check("sendmsg") {
            descriptor.withNumber { number in
                withMessage(&bytes, &control) { sendmsg(number, &$0, CInt(MSG_NOSIGNAL)) }
            }
        }
        guard count == bytes.count else {
            throw SystemError(call: "sendmsg", path: nil, errno: EMSGSIZE)
        }
    }

    /// Receives one packet; blocks until there is one or the peer is gone.
    ///
    /// - Parameter limit: The longest packet in bytes.
    /// - Returns: The packet; an empty one is the end.
    /// - Throws: ``SystemError``, with `EMSGSIZE` for a packet that is longer.
    public func receive(limit: Int) throws(SystemError) -> ReceivedPacket {
        var bytes = [UInt8](repeating: 0, count: limit)
        var control = [UInt8](
            repeating: 0, count: ControlMessage.space(for: Self.descriptorLimit))
        var flags: CInt = 0
        var controlCount = 0
        let count = try check("recvmsg") {
            descriptor.withNumber { number in
                withMessage(&bytes, &control) { message in
                    let count = recvmsg(number, &message, CInt(MSG_CMSG_CLOEXEC))
                    flags = message.msg_flags
                    controlCount = message.msg_controllen
                    return count
                }
            }
        }
        // Whatever was received is owned before anything else can fail.
        let descriptors = ControlMessage.decode(
            count > 0 || controlCount > 0 ? control : [], controlCount)
        let truncated = CInt(MSG_TRUNC) | CInt(MSG_CTRUNC)
        guard flags & truncated == 0 else {
            throw SystemError(call: "recvmsg", path: nil, errno: EMSGSIZE)
        }
        return ReceivedPacket(bytes: [UInt8](bytes[..<count]), descriptors: descriptors)
    }

    /// Ends the conversation in both directions; a thread that receives wakes up.
    public func shutDown() {
        // ENOTCONN means that the peer was faster, which is as good.
        descriptor.withNumber { number in _ = shutdown(number, CInt(SHUT_RDWR)) }
    }

    private func withMessage<R>(
        _ bytes: inout [UInt8], _ control: inout [UInt8], _ body: (inout msghdr) -> R
    ) -> R {
        bytes.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var message = msghdr()
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    if !control.isEmpty {
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                    }
                    return body(&message)
                }
            }
        }
    }
}

/// How a socket of the Unix family carries bytes.
public enum SocketKind: Hashable, Sendable {
    /// A stream without borders.
    case stream
    /// Packets in order, with an end.
    case packets
    /// Packets by themselves.
    case datagrams

    fileprivate var number: CInt {
        switch self {
        case .stream: CInt(SOCK_STREAM.rawValue)
        case .packets: CInt(SOCK_SEQPACKET.rawValue)
        case .datagrams: CInt(SOCK_DGRAM.rawValue)
        }
    }
}

/// A pair of connected sockets of one kind, which no other program gets.
public func socketPair(
    _ kind: SocketKind
) throws(SystemError) -> (SharedDescriptor, SharedDescriptor) {
    var numbers: [CInt] = [-1, -1]
    try check("socketpair") {
        socketpair(AF_UNIX, kind.number | CInt(SOCK_CLOEXEC.rawValue), 0, &numbers)
    }
    return (
        SharedDescriptor(OwnedDescriptor(takingOwnershipOf: numbers[0])),
        SharedDescriptor(OwnedDescriptor(takingOwnershipOf: numbers[1]))
    )
}

/// The control data that descriptors travel in.
///
/// The macros of the C header are not visible here: a message is its length (8 bytes), level and type
/// (4 bytes each), then the numbers, and the next one begins at a multiple of 8.
///
/// Source: cmsg(3), unix(7).
private enum ControlMessage {
    private static let headerSize = 16

    static func space(for count: Int) -> Int { headerSize + (count * 4 + 7) & ~7 }

    static func encode(_ descriptors: [CInt]) -> [UInt8] {
        guard !descriptors.isEmpty else { return [] }
        var bytes = [UInt8](repeating: 0, count: space(for: descriptors.count))
        bytes.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(of: headerSize + descriptors.count * 4, as: Int.self)
            buffer.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: CInt.self)
            buffer.storeBytes(of: CInt(SCM_RIGHTS), toByteOffset: 12, as: CInt.self)
            for (index, number) in descriptors.enumerated() {
                buffer.storeBytes(of: number, toByteOffset: headerSize + index * 4, as: CInt.self)
            }
        }
        return bytes
    }

    static func decode(_ bytes: [UInt8], _ count: Int) -> [SharedDescriptor] {
        var descriptors: [SharedDescriptor] = []
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + headerSize <= min(count, buffer.count) {
                let length = buffer.loadUnaligned(fromByteOffset: offset, as: Int.self)
                let level = buffer.loadUnaligned(fromByteOffset: offset + 8, as: CInt.self)
                let type = buffer.loadUnaligned(fromByteOffset: offset + 12, as: CInt.self)
                guard length >= headerSize, offset + length <= buffer.count else { return }
                if level == SOL_SOCKET, type == CInt(SCM_RIGHTS) {
                    for place in stride(from: offset + headerSize, to: offset + length, by: 4) {
                        let number = buffer.loadUnaligned(fromByteOffset: place, as: CInt.self)
                        let owned = OwnedDescriptor(takingOwnershipOf: number)
                        descriptors.append(SharedDescriptor(owned))
                    }
                }
                offset += (length + 7) & ~7
            }
        }
        return descriptors
    }
}
