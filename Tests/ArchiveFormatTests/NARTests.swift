import ArchiveFormat
import Glibc
import Testing

/// A visitor that writes down what it is told, and writes the archive again.
struct Recorder: NARVisitor {
    var events: [String] = []
    var writer = NARWriter()
    var contents: [UInt8] = []

    mutating func regular(isExecutable: Bool, size: UInt64) {
        events.append("regular \(isExecutable) \(size)")
        writer.beginFile(isExecutable: isExecutable, size: size)
        contents = []
    }
    mutating func contents(_ bytes: UnsafeRawBufferPointer) {
        contents += bytes
        writer.contents([UInt8](bytes))
    }
    mutating func endOfFile() {
        events.append("contents \(contents.count)")
        writer.endFile()
    }
    mutating func symbolicLink(target: [UInt8]) {
        events.append("link \(String(decoding: target, as: UTF8.self))")
        writer.symbolicLink(target: target)
    }
    mutating func directory() {
        events.append("directory")
        writer.beginDirectory()
    }
    mutating func entry(name: [UInt8]) {
        events.append("entry \(String(decoding: name, as: UTF8.self))")
        writer.entry(name: name)
    }
    mutating func endOfDirectory() {
        events.append("end")
        writer.endDirectory()
    }
}

/// Reads an archive in pieces of `size` bytes.
func record(_ bytes: [UInt8], piece size: Int = .max, limits: NARLimits = NARLimits()) throws
    -> Recorder
{
    var reader = NARReader(limits: limits)
    var recorder = Recorder()
    var rest = bytes[...]
    while !rest.isEmpty {
        let piece = [UInt8](rest.prefix(size))
        let count = try piece.withUnsafeBytes { (piece) throws(NARReadError<Never>) in
            try reader.feed(piece, to: &recorder)
        }
        if count < piece.count { throw NARFault.trailing(at: reader.offset) }
        rest = rest.dropFirst(piece.count)
    }
    try reader.finish()
    return recorder
}

/// The fault of a read that must fail.
func fault(of bytes: [UInt8], limits: NARLimits = NARLimits()) -> NARFault? {
    do {
        _ = try record(bytes, limits: limits)
        return nil
    } catch NARReadError<Never>.format(let fault) {
        return fault
    } catch {
        return error as? NARFault
    }
}

/// The bytes of strings as an archive has them.
func strings(_ strings: [String]) -> [UInt8] {
    strings.flatMap { text -> [UInt8] in
        let bytes = [UInt8](text.utf8)
        let length = withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { [UInt8]($0) }
        return length + bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    }
}

let magic = "nix-archive-1"

@Suite("Nix Archive") struct NARTests {
    static let fixtures = [
        "064az6sn3wbwn7jx192d87vswb1b8c1j-src", "skgnyrg55w78hxikzwzg1534mzdyk4lv-data.txt",
        "vfvilax2q6aj49430m2yi3s89qp308yx-script.sh",
    ]

    static func fixture(_ name: String) throws -> [UInt8] {
        let path =
            #filePath.dropLast("ArchiveFormatTests/NARTests.swift".utf8.count)
            + "Fixtures/nix/nar/\(name).nar"
        let file = open(String(path), O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(file, &bytes, bytes.count)
        return [UInt8](bytes[..<count])
    }

    @Test(
        "every archive that Nix wrote is written again byte for byte, in pieces of any size",
        arguments: fixtures)
    func golden(name: String) throws {
        let bytes = try Self.fixture(name)
        let whole = try record(bytes)
        #expect(whole.writer.bytes == bytes)
        for size in [1, 2, 7, 8, 9, 100] {
            let pieces = try record(bytes, piece: size)
            #expect(pieces.writer.bytes == bytes)
            #expect(pieces.events == whole.events)
        }
    }

    @Test("a tree is told in order")
    func events() throws {
        let recorder = try record(try Self.fixture(Self.fixtures[0]))
        #expect(recorder.events.first == "directory")
        #expect(recorder.events.last == "end")
        #expect(recorder.events.contains { $0.hasPrefix("link ") })
        #expect(recorder.events.contains { $0.hasPrefix("regular true") })
    }

    @Test("every truncation is refused at its end, and so are bytes behind the archive")
    func truncations() throws {
        let bytes = try Self.fixture(Self.fixtures[0])
        for count in bytes.indices {
            #expect(fault(of: [UInt8](bytes[..<count])) == .truncated(at: UInt64(count)))
        }
        #expect(fault(of: bytes + [0]) == .trailing(at: UInt64(bytes.count)))
    }

    @Test("a change of any byte is refused or tells another tree that is written the same way")
    func mutations() throws {
        let bytes = try Self.fixture(Self.fixtures[0])
        for index in bytes.indices {
            for flip in [UInt8(1), 0x20, 0x80] {
                var changed = bytes
                changed[index] ^= flip
                guard fault(of: changed) == nil else { continue }
                #expect(try record(changed).writer.bytes == changed)
            }
        }
    }

    @Test(
        "says at which byte an archive stops being canonical",
        arguments: [
            (["nix-archive-2"], NARFault.expected(magic, at: 0)),
            ([magic, "("], .truncated(at: 40)),
            ([magic, "(", "type", "socket"], .expected("directory", at: 56)),
            ([magic, "(", "type", "regular", ")"], .expected("contents", at: 72)),
            ([magic, "(", "type", "regular", "executable", "x"], .expected("", at: 96)),
            ([magic, "(", "type", "symlink", "target", ""], .target(at: 88)),
            ([magic, "(", "type", "symlink", "target", "a\0b"], .target(at: 88)),
            ([magic, "(", "type", "directory", "entry", "(", "name", ""], .name(at: 128)),
            ([magic, "(", "type", "directory", "entry", "(", "name", "."], .name(at: 128)),
            ([magic, "(", "type", "directory", "entry", "(", "name", ".."], .name(at: 128)),
            ([magic, "(", "type", "directory", "entry", "(", "name", "a/b"], .name(at: 128)),
            ([magic, "(", "type", "directory", "entry", "(", "name", "a\0"], .name(at: 128)),
            (
                [magic, "(", "type", String(repeating: "x", count: 33)],
                .tooLong(33, at: 56, limit: 32)
            ),
        ])
    func refuses(text: [String], expected: NARFault) {
        #expect(fault(of: strings(text)) == expected)
    }

    @Test("names come strictly in order", arguments: [("b", "a"), ("a", "a")])
    func order(first: String, second: String) {
        let node = ["node", "(", "type", "directory", ")", ")"]
        let bytes = strings(
            [magic, "(", "type", "directory", "entry", "(", "name", first] + node + [
                "entry", "(", "name", second,
            ]
                + node + [")"])
        guard case .order? = fault(of: bytes) else {
            Issue.record("\(second) after \(first) should be refused")
            return
        }
    }

    @Test("padding is zero, in strings and behind contents")
    func padding() {
        var bytes = strings([magic, "("])
        bytes[bytes.count - 1] = 1
        #expect(fault(of: bytes) == .padding(at: 39))
        bytes = strings([magic, "(", "type", "regular", "contents", "abc"])
        bytes[bytes.count - 1] = 1
        #expect(fault(of: bytes) == .padding(at: UInt64(bytes.count - 1)))
    }

    @Test(
        "depth, names, targets and files have limits that are compared before anything is reserved")
    func limits() {
        let open = ["(", "type", "directory", "entry", "(", "name", "a", "node"]
        let deep = strings([magic] + Array(repeating: open, count: 65).flatMap(\.self))
        guard case .tooDeep(_, limit: 64)? = fault(of: deep) else {
            Issue.record("65 directories should be too deep")
            return
        }
        let huge = [UInt8](repeating: 0xff, count: 8)
        #expect(fault(of: huge) == .tooLong(.max, at: 0, limit: 32))
        let file = strings([magic, "(", "type", "regular", "contents"])
        #expect(
            fault(of: file + huge)
                == .tooLong(.max, at: UInt64(file.count), limit: NARLimits().fileSize))
        let name = strings([magic, "(", "type", "directory", "entry", "(", "name"])
        #expect(fault(of: name + huge) == .tooLong(.max, at: UInt64(name.count), limit: 255))
    }
}
