import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

@Suite("Parts of tree walks", .enabled(if: Privilege.runsTests)) struct TreePartsTests {
    @Test("a name is one component and nothing else")
    func names() {
        func isName(_ bytes: [UInt8]) -> Bool { FileName(parsing: bytes) != nil }
        #expect(isName([0x61]) && isName([0xff]) && isName([0x2e, 0x2e, 0x2e]))
        #expect(isName([UInt8](repeating: 0x61, count: 255)))
        #expect(!isName([]) && !isName([0x2e]) && !isName([0x2e, 0x2e]))
        #expect(!isName([0x61, 0x2f]) && !isName([0x61, 0, 0x62]))
        #expect(!isName([UInt8](repeating: 0x61, count: 256)))
        #expect(FileName(decimal: 0).terminated == [0x30, 0])
        #expect(FileName(decimal: 1203).terminated == [0x31, 0x32, 0x30, 0x33, 0])
    }

    @Test("a stack holds few directories open, however deep, and finds its way back")
    func stack() throws {
        let bench = try Bench()
        try bench.makeDeep("out/top", depth: 200, owner: bench.builder)
        func held() throws -> Int {
            var count = 0
            for number in 0..<4096 {
                var buffer = [CChar](repeating: 0, count: 4096)
                let length = readlink("/proc/self/fd/\(number)", &buffer, buffer.count)
                guard length > 0 else { continue }
                let path = String(
                    decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if path.hasPrefix("\(bench.path)/out/top") { count += 1 }
            }
            return count
        }
        var stack = DirectoryStack(base: HeldFile(borrowing: bench.out))
        let top = try #require(FileName(parsing: [UInt8]("top".utf8)))
        let below = try #require(FileName(parsing: [UInt8]("d".utf8)))
        var identities: [FileIdentity] = []
        for depth in 0..<200 {
            let name = depth == 0 ? top : below
            let file = try stack.current.open(name, for: .names)
            identities.append(try file.status().identity)
            stack.enter(name, file, identity: identities[depth])
            #expect(try depth % 20 != 0 || held() <= DirectoryStack.window + 1)
        }
        for depth in (1..<200).reversed() {
            #expect(try stack.leave() == below)
            #expect(try stack.current.status().identity == identities[depth - 1])
        }
        #expect(try stack.leave() == top && stack.depth == 0)
    }

    @Test("a stack does not come back to another directory than it left")
    func moved() throws {
        let bench = try Bench()
        try bench.makeDeep("out/top", depth: 60, owner: bench.builder)
        var stack = DirectoryStack(base: HeldFile(borrowing: bench.out))
        var path = "\(bench.path)/out"
        for depth in 0..<60 {
            let name = try #require(FileName(parsing: [UInt8]((depth == 0 ? "top" : "d").utf8)))
            let file = try stack.current.open(name, for: .names)
            stack.enter(name, file, identity: try file.status().identity)
            path += depth == 0 ? "/top" : "/d"
            if depth == 19 { try must("mkdir", mkdir("\(bench.path)/elsewhere", 0o700)) }
        }
        let twentieth = "\(bench.path)/out/top" + String(repeating: "/d", count: 20)
        try must("rename", rename(twentieth, "\(bench.path)/elsewhere/d"))
        let error = #expect(throws: Failure.self) {
            while stack.depth > 0 { try stack.leave() }
        }
        #expect(error == Failure(errno: ESTALE))
        // It stands in the directory that was moved, and has left none above it.
        #expect(stack.depth == 21)
    }
}
