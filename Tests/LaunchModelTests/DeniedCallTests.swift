import LaunchModel
import Testing

@Suite("Denied calls") struct DeniedCallTests {
    static func call(_ denial: UInt16, _ program: String = "cp", arguments: [UInt32] = [])
        -> DeniedCall
    {
        DeniedCall(
            denial: denial, architecture: 0xC000_003E, number: 165, arguments: arguments,
            program: [UInt8](program.utf8), count: 0)
    }

    /// As much as there can be.
    static let most = DeniedCalls(
        kinds: (0..<UInt16(DeniedCalls.limit)).map { denial in
            DeniedCall(
                denial: denial, architecture: .max, number: .max,
                arguments: [UInt32](repeating: .max, count: CompiledDenial.argumentLimit),
                program: [UInt8](repeating: 0xff, count: DeniedCall.programLimit), count: .max)
        }, others: .max)

    @Test("calls of one kind are counted together, and nothing else is")
    func kinds() {
        var calls = DeniedCalls()
        #expect(calls.isEmpty)
        let different = [
            Self.call(0), Self.call(1), Self.call(0, "mv"), Self.call(0, arguments: [1]),
            DeniedCall(
                denial: 0, architecture: 0x4000_0003, number: 165, arguments: [],
                program: [UInt8]("cp".utf8), count: 0),
            DeniedCall(
                denial: 0, architecture: 0xC000_003E, number: 21, arguments: [],
                program: [UInt8]("cp".utf8), count: 0),
        ]
        for (index, call) in different.enumerated() {
            let isNew = calls.count(call)
            #expect(isNew)
            for _ in 0..<index {
                let isAgain = calls.count(call)
                #expect(!isAgain)
            }
        }
        #expect(calls.kinds.map(\.count) == [1, 2, 3, 4, 5, 6])
        #expect(
            calls.kinds.map { $0.isSameKind(as: different[0]) } == [true]
                + [Bool](repeating: false, count: 5))
        #expect(calls.others == 0)
    }

    @Test("more kinds than are kept are counted all together")
    func bounded() {
        var calls = DeniedCalls()
        for value: UInt32 in 0..<100 { calls.count(Self.call(0, arguments: [value])) }
        let isNew = calls.count(Self.call(0, arguments: [3]))
        #expect(!isNew)
        #expect(calls.kinds.count == DeniedCalls.limit)
        #expect(calls.others == 100 - UInt64(DeniedCalls.limit))
        #expect(calls.kinds[3].count == 2)
    }

    @Test("a program's name is cut")
    func program() {
        #expect(Self.call(0, String(repeating: "x", count: 40)).program.count == 16)
    }

    @Test("more kinds, arguments or letters than there can be are refused")
    func limits() throws {
        func decode(_ calls: DeniedCalls) throws(CodingFault) -> DeniedCalls {
            var writer = ByteWriter()
            calls.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            return try DeniedCalls(decoding: &reader)
        }
        #expect(try decode(Self.most) == Self.most)
        var calls = Self.most
        calls.kinds.append(calls.kinds[0])
        #expect(throws: CodingFault.self) { try decode(calls) }
        calls = Self.most
        calls.kinds[9].arguments.append(0)
        #expect(throws: CodingFault.self) { try decode(calls) }
        calls = Self.most
        calls.kinds[9].program.append(0)
        #expect(throws: CodingFault.self) { try decode(calls) }
    }
}

@Suite("Filter programs") struct FilterProgramTests {
    static func step(_ code: UInt8, _ yes: UInt8, _ no: UInt8, _ operand: UInt32) -> [UInt8] {
        [code, 0, yes, no] + (0..<4).map { UInt8(truncatingIfNeeded: operand >> (8 * $0)) }
    }

    @Test("a program loads, masks, compares, jumps and answers as the kernel's does")
    func runs() throws {
        // if (arg1 & 0xf0) > 0x20 -> 1; == 0x10 -> 2; any of bit 5 -> 3; >= 0 -> 4
        let program = try FilterProgram(
            Self.step(0x20, 0, 0, 24) + Self.step(0x54, 0, 0, 0xf0) + Self.step(0x25, 0, 1, 0x20)
                + Self.step(0x06, 0, 0, 1) + Self.step(0x15, 3, 0, 0x10)
                + Self.step(0x45, 3, 0, 0x20) + Self.step(0x05, 0, 0, 3)
                + Self.step(0x06, 0, 0, 99) + Self.step(0x06, 0, 0, 2) + Self.step(0x06, 0, 0, 3)
                + Self.step(0x35, 0, 1, 0) + Self.step(0x06, 0, 0, 4) + Self.step(0x06, 0, 0, 98))
        func answer(_ argument: UInt32) -> UInt32 {
            var call = [UInt32](repeating: 0xffff_ffff, count: FilterProgram.callWords)
            call[6] = argument
            return program.answer(to: call)
        }
        #expect(answer(0xff) == 1)
        #expect(answer(0x3f) == 1)
        #expect(answer(0x1f) == 2)
        #expect(answer(0x2f) == 3)
        #expect(answer(0x0f) == 4)
    }

    @Test("what leads out of the program or is no instruction is refused")
    func refused() {
        let end = Self.step(0x06, 0, 0, 0)
        for bytes in [
            [], [6], Self.step(0x20, 0, 0, 0), Self.step(0x20, 0, 0, 64) + end,
            Self.step(0x20, 0, 0, 2) + end, Self.step(0x05, 0, 0, 1) + end,
            Self.step(0x05, 0, 0, .max) + end, Self.step(0x15, 1, 0, 0) + end,
            Self.step(0x15, 0, 1, 0) + end, Self.step(0x07, 0, 0, 0) + end,
            Self.step(0x16, 0, 0, 0) + end, [6, 1, 0, 0, 0, 0, 0, 0],
        ] {
            #expect(throws: CodingFault.self) { try FilterProgram(bytes) }
        }
    }

    @Test("the denials that it tells are counted by their highest number")
    func told() throws {
        let quiet = try FilterProgram(Self.step(0x06, 0, 0, 0x7fff_0000))
        #expect(quiet.toldCount == 0)
        let loud = try FilterProgram(
            Self.step(0x06, 0, 0, 0x7fc0_0007) + Self.step(0x06, 0, 0, 0x0005_00ff)
                + Self.step(0x06, 0, 0, 0x7fc0_0002))
        #expect(loud.toldCount == 8)
    }
}
