import Glibc
import SystemCalls
import Testing

@Suite("Packets between processes") struct PacketSocketTests {
    @Test("packets stay apart, and descriptors arrive as copies of what was sent")
    func descriptors() throws {
        let (left, right) = try PacketSocket.pair()
        let memory = try sealedMemory(named: "test", holding: [1, 2, 3])
        try memory.withNumber { number in try left.send([7], descriptors: [number, number]) }
        try left.send([8, 9])
        let first = try right.receive(limit: 100)
        #expect(first.bytes == [7])
        #expect(first.descriptors.count == 2)
        for descriptor in first.descriptors {
            var bytes = [UInt8](repeating: 0, count: 8)
            let count = descriptor.withNumber { pread($0, &bytes, 8, 0) }
            #expect(bytes.prefix(max(count, 0)) == [1, 2, 3])
        }
        let second = try right.receive(limit: 100)
        #expect(second.bytes == [8, 9])
        #expect(second.descriptors.isEmpty)
    }

    @Test("a packet that is longer than allowed is refused, and its descriptors are closed")
    func tooLong() throws {
        let (left, right) = try PacketSocket.pair()
        try left.send([UInt8](repeating: 1, count: 101))
        #expect(throws: SystemError(call: "recvmsg", path: nil, errno: EMSGSIZE)) {
            try right.receive(limit: 100)
        }
    }

    @Test("an end is an empty packet, and sending after it fails")
    func end() throws {
        let (left, right) = try PacketSocket.pair()
        left.shutDown()
        #expect(try right.receive(limit: 10).bytes.isEmpty)
        #expect(throws: SystemError.self) { try right.send([1]) }
    }

    @Test("sealed memory can be changed by nobody")
    func sealed() throws {
        let memory = try sealedMemory(named: "test", holding: [1, 2, 3])
        memory.withNumber { number in
            var byte: UInt8 = 9
            #expect(pwrite(number, &byte, 1, 0) == -1 && errno == EPERM)
            #expect(ftruncate(number, 0) == -1 && errno == EPERM)
            #expect(ftruncate(number, 10) == -1 && errno == EPERM)
        }
    }

    @Test("a bell rings until it is silenced")
    func bell() throws {
        let bell = try Doorbell()
        func isRinging() throws -> Bool {
            try bell.withNumber { number throws(SystemError) in
                try poll([(number, .readable)], milliseconds: 0) == [.readable]
            }
        }
        #expect(try !isRinging())
        for _ in 0..<10_000 { bell.ring() }
        #expect(try isRinging())
        bell.clear()
        #expect(try !isRinging())
        bell.ring()
        #expect(try isRinging())
    }
}
