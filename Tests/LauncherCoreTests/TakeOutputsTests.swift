import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

@Suite("Outputs that are taken", .enabled(if: Privilege.runsTests)) struct TakeOutputsTests {
    static let top = "out/\(Bench.name)"

    @Test("belong to the new owner and look like every store object", arguments: [false, true])
    func canonical(copies: Bool) throws {
        let bench = try Bench()
        try bench.makeOutput()
        try bench.setAttribute("user.note", [1], of: "\(Self.top)/program")
        try bench.setAttribute("user.note", [1], of: "\(Self.top)/share")
        try must("chmod", chmod("\(bench.path)/\(Self.top)/share", 0o1777))
        let inode = try bench.look("\(Self.top)/program").inode
        #expect(try bench.take(copies: copies) == .taken([.directory]))
        try bench.expectCanonical("staging/0", S_IFDIR, 0o555)
        try bench.expectCanonical("staging/0/program", S_IFREG, 0o555)
        try bench.expectCanonical("staging/0/share", S_IFDIR, 0o555)
        try bench.expectCanonical("staging/0/share/text", S_IFREG, 0o444)
        try bench.expectCanonical("staging/0/link", S_IFLNK, 0)
        #expect(try bench.contents("staging/0/link") == "contents")
        for name in ["program", "share"] {
            #expect(try !bench.attributes("staging/0/\(name)").contains("user."))
        }
        #expect(try (bench.look("staging/0/program").inode == inode) == !copies)
        #expect(bench.exists(Self.top) == copies)
    }

    @Test(
        "may be files and links themselves, in the order of the request", arguments: [false, true])
    func tops(copies: Bool) throws {
        let bench = try Bench()
        try bench.link(Self.top, to: "/etc/shadow")
        try bench.file("out/\(Bench.second)", mode: 0o100)
        try bench.file("out/undeclared", mode: 0o777, owner: bench.newOwner)
        #expect(
            try bench.take([Bench.second, Bench.name], copies: copies)
                == .taken([.regular, .symbolicLink]))
        try bench.expectCanonical("staging/0", S_IFREG, 0o555)
        try bench.expectCanonical("staging/1", S_IFLNK, 0)
        #expect(bench.exists("out/undeclared"))
    }

    @Test("may link to one another", arguments: [false, true])
    func hardLinks(copies: Bool) throws {
        let bench = try Bench()
        try bench.makeOutput()
        try bench.makeOutput(Bench.second)
        let second = "\(bench.path)/out/\(Bench.second)"
        try must("link", Glibc.link("\(bench.path)/\(Self.top)/program", "\(second)/same"))
        try must("link", Glibc.link("\(bench.path)/\(Self.top)/program", "\(second)/share/same"))
        try must("link", Glibc.link("\(bench.path)/\(Self.top)/link", "\(second)/lynx"))
        #expect(
            try bench.take([Bench.name, Bench.second], copies: copies)
                == .taken([.directory, .directory]))
        for name in ["staging/0/program", "staging/1/same", "staging/1/share/same"] {
            try bench.expectCanonical(name, S_IFREG, 0o555)
            #expect(try bench.contents(name) == "contents")
            #expect(try bench.look(name).links == (copies ? 1 : 3))
        }
        try bench.expectCanonical("staging/1/lynx", S_IFLNK, 0)
    }

    @Test("may have modes that nobody can read", .enabled(if: Privilege.runsRootTests))
    func unreadable() throws {
        let bench = try Bench()
        try bench.directory(Self.top, mode: 0)
        try bench.directory("\(Self.top)/d", mode: 0)
        try bench.file("\(Self.top)/d/f", mode: 0)
        #expect(try bench.take() == .taken([.directory]))
        try bench.expectCanonical("staging/0/d/f", S_IFREG, 0o444)
    }

    @Test("may have any names", arguments: [false, true])
    func names(copies: Bool) throws {
        let names: [[UInt8]] = [
            [0x0a], [0x20], [0xff, 0xfe], [0x1b, 0x5b, 0x41], [0x2d, 0x72, 0x66],
            [0x2e, 0x2e, 0x2e], [0x2e, 0x68], [0x6e, 0x65, 0x77], [0x30],
            [UInt8](repeating: 0x78, count: 255), [0xc3, 0xa9], [0x65, 0xcc, 0x81],
        ]
        let bench = try Bench()
        try bench.directory(Self.top)
        let directory = try must(
            "open", open("\(bench.path)/\(Self.top)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        defer { close(directory) }
        for name in names {
            let bytes = name.map { CChar(bitPattern: $0) } + [0]
            let file = try must(
                "openat", openat(directory, bytes, O_WRONLY | O_CREAT | O_EXCL, 0o644))
            close(file)
            try must(
                "fchownat",
                fchownat(
                    directory, bytes, bench.builder.user.rawValue, bench.builder.group.rawValue, 0))
        }
        #expect(try bench.take(copies: copies) == .taken([.directory]))
        let taken = try must(
            "open", open("\(bench.path)/staging/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        defer { close(taken) }
        for name in names {
            var status = stat()
            let bytes = name.map { CChar(bitPattern: $0) } + [0]
            #expect(fstatat(taken, bytes, &status, AT_SYMLINK_NOFOLLOW) == 0)
            #expect(status.st_mode == S_IFREG | 0o444)
            #expect(status.st_uid == bench.newOwner.user.rawValue)
        }
    }

    @Test("may be deeper than descriptors last", arguments: [false, true])
    func deep(copies: Bool) throws {
        let bench = try Bench()
        try bench.makeDeep(Self.top, depth: 3000, owner: bench.builder)
        #expect(try bench.take(copies: copies) == .taken([.directory]))
        #expect(try bench.countDeep("staging/0", owner: bench.newOwner) == 3000)
        if copies {
            #expect(
                deleteTree(in: bench.out, name: [UInt8](Bench.name.utf8)) == .deleted)
        }
        #expect(deleteTree(in: bench.staging, name: [0x30]) == .deleted)
        #expect(!bench.exists("staging/0"))
    }

    @Test("may be wide", arguments: [false, true])
    func wide(copies: Bool) throws {
        let bench = try Bench()
        try bench.directory(Self.top)
        for number in 0..<20_000 { try bench.file("\(Self.top)/\(number)", contents: "") }
        #expect(try bench.take(copies: copies) == .taken([.directory]))
        var owned = 0
        for number in 0..<20_000 {
            let look = try bench.look("staging/0/\(number)")
            if look.user == bench.newOwner.user.rawValue, look.mode == 0o444, look.modified == 1 {
                owned += 1
            }
        }
        #expect(owned == 20_000)
    }
}

/// How somebody outside keeps the right to write to a file of an output.
enum KeptWriter: CaseIterable {
    case descriptor
    case mapping
    case descriptorInFlight
}

@Suite("Writers that outlive a build", .enabled(if: Privilege.runsTests)) struct KeptWriterTests {
    static let top = "out/\(Bench.name)"

    @Test("cannot change what was taken", arguments: KeptWriter.allCases, [false, true])
    func writers(_ writer: KeptWriter, isLinked: Bool) throws {
        let bench = try Bench()
        try bench.makeOutput()
        let file = "\(Self.top)/program"
        if isLinked {
            try must(
                "link", Glibc.link("\(bench.path)/\(file)", "\(bench.path)/\(Self.top)/share/same"))
        }
        let other = try bench.look("\(Self.top)/share/text").inode
        let kept = try Writer(writer, of: "\(bench.path)/\(file)")
        #expect(try bench.take() == .taken([.directory]))
        try kept.write("PWNED")
        let names = ["staging/0/program"] + (isLinked ? ["staging/0/share/same"] : [])
        for name in names {
            try bench.expectCanonical(name, S_IFREG, 0o555)
            #expect(try bench.contents(name) == "contents")
        }
        // The control: what nobody can write to is taken as it stands.
        #expect(try bench.look("staging/0/share/text").inode == other)
        #expect(!bench.exists("staging/new"))
    }

    @Test("cannot change an output that is one file")
    func topFile() throws {
        let bench = try Bench()
        try bench.file(Self.top, mode: 0o755)
        let kept = try Writer(.descriptor, of: "\(bench.path)/\(Self.top)")
        #expect(try bench.take() == .taken([.regular]))
        try kept.write("PWNED")
        try bench.expectCanonical("staging/0", S_IFREG, 0o555)
        #expect(try bench.contents("staging/0") == "contents")
    }

    @Test("cannot make an output longer than its limit")
    func growth() throws {
        let bench = try Bench()
        try bench.file(Self.top, contents: "contents")
        let kept = try Writer(.descriptor, of: "\(bench.path)/\(Self.top)")
        let limits = OutputLimits(bytes: 8, entries: 1, depth: 0)
        #expect(try bench.take(limits: limits) == .taken([.regular]))
        try kept.write("longer than before")
        #expect(try bench.contents("staging/0") == "contents")
    }

    @Test("really can write to the file that they kept", arguments: KeptWriter.allCases)
    func control(_ writer: KeptWriter) throws {
        let bench = try Bench()
        try bench.makeOutput()
        let kept = try Writer(writer, of: "\(bench.path)/\(Self.top)/program")
        try must("chmod", chmod("\(bench.path)/\(Self.top)/program", 0o444))
        try kept.write("PWNED")
        #expect(try bench.contents("\(Self.top)/program") == "PWNEDnts")
    }
}

/// A kept right to write to one file.
final class Writer {
    private let kind: KeptWriter
    private var descriptor: CInt = -1
    private var mapping: UnsafeMutableRawPointer?
    private var sockets: [CInt] = [-1, -1]

    init(_ kind: KeptWriter, of path: String) throws {
        self.kind = kind
        descriptor = try must("open", open(path, O_RDWR | O_CLOEXEC))
        switch kind {
        case .descriptor: break
        case .mapping:
            mapping = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            guard mapping != MAP_FAILED else { throw SetupFailure(call: "mmap", errno: errno) }
            close(descriptor)
            descriptor = -1
        case .descriptorInFlight:
            try must(
                "socketpair", socketpair(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0, &sockets))
            try transfer(sending: true)
            close(descriptor)
            descriptor = -1
        }
    }

    deinit {
        if let mapping { munmap(mapping, 8) }
        for open in sockets + [descriptor] where open >= 0 { close(open) }
    }

    func write(_ text: String) throws {
        let bytes = [UInt8](text.utf8)
        if let mapping {
            mapping.copyMemory(from: bytes, byteCount: min(bytes.count, 8))
            return
        }
        if descriptor < 0 { try transfer(sending: false) }
        try must("pwrite", pwrite(descriptor, bytes, bytes.count, 0))
    }

    /// Moves the descriptor into the socket, or out of it.
    private func transfer(sending: Bool) throws {
        // struct cmsghdr: length 8, level 4, type 4; then the descriptor, padded to 8.
        var control = [UInt64](repeating: 0, count: 3)
        var byte: UInt8 = 0
        try control.withUnsafeMutableBytes { control in
            try withUnsafeMutablePointer(to: &byte) { byte in
                var part = iovec(iov_base: byte, iov_len: 1)
                try withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = 24
                    if sending {
                        control.storeBytes(of: 20, as: UInt64.self)
                        control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: CInt.self)
                        control.storeBytes(of: 1, toByteOffset: 12, as: CInt.self)
                        control.storeBytes(of: descriptor, toByteOffset: 16, as: CInt.self)
                        try must("sendmsg", sendmsg(sockets[0], &message, 0))
                    } else {
                        try must("recvmsg", recvmsg(sockets[1], &message, 0))
                        descriptor = control.load(fromByteOffset: 16, as: CInt.self)
                    }
                }
            }
        }
    }
}

extension Bench {
    /// Makes directories inside one another, deeper than a path can say.
    func makeDeep(_ name: String, depth: Int, owner: FileOwner) throws {
        try directory(name, owner: owner)
        var current = try must("open", open("\(path)/\(name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        for _ in 1..<depth {
            try must("mkdirat", mkdirat(current, "d", 0o755))
            let next = try must(
                "openat", openat(current, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            close(current)
            current = next
            try must("fchown", fchown(current, owner.user.rawValue, owner.group.rawValue))
        }
        close(current)
    }

    /// How many directories inside one another belong to an owner.
    func countDeep(_ name: String, owner: FileOwner) throws -> Int {
        var current = try must("open", open("\(path)/\(name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        defer { close(current) }
        var count = 0
        while true {
            var status = stat()
            try must("fstat", fstat(current, &status))
            guard status.st_uid == owner.user.rawValue, status.st_mtim.tv_sec == 1 else {
                return count
            }
            count += 1
            let next = openat(current, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if next < 0 { return count }
            close(current)
            current = next
        }
    }
}
