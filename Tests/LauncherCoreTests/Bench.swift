import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

/// What these tests may do on this machine.
enum Privilege {
    private static let isInCI = getenv("CI").map { String(cString: $0) } == "true"

    /// Whether this is root with every user, not the root of a user namespace with a few.
    static let isRoot = geteuid() == 0 && hasEveryUser()

    /// Whether tests that need other users run: always in CI, where they then fail instead of being
    /// left out.
    static let runsRootTests = isRoot || isInCI

    /// Whether tests run that need to be root of some user namespace, as a rootless launcher is.
    static let runsTests = geteuid() == 0 || isInCI

    private static func hasEveryUser() -> Bool {
        let file = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return false }
        return String(decoding: buffer[..<count], as: UTF8.self).contains("4294967295")
    }
}

/// A call of a test's own that failed.
struct SetupFailure: Error {
    let call: String
    let errno: Int32
}

@discardableResult
func must(_ call: String, _ result: Int) throws -> Int {
    let code = errno
    guard result >= 0 else { throw SetupFailure(call: call, errno: code) }
    return result
}

@discardableResult
func must(_ call: String, _ result: CInt) throws -> CInt { CInt(try must(call, Int(result))) }

/// The directories of one hand-over, real ones, with the owners that they have in a build.
///
/// Where there are no other users, everybody is the caller, as in a rootless launcher.
final class Bench {
    static let name = String(repeating: "a", count: 32) + "-out"
    static let second = String(repeating: "b", count: 32) + "-lib"

    let path: String
    let builder: FileOwner
    let engine: FileOwner
    let newOwner: FileOwner
    let out: CInt
    let staging: CInt
    let incoming: CInt
    let kept: CInt

    init() throws {
        let caller = FileOwner(
            user: UserID(rawValue: geteuid()), group: GroupID(rawValue: getegid()))
        func somebody(_ number: UInt32) -> FileOwner {
            Privilege.isRoot
                ? FileOwner(user: UserID(rawValue: number), group: GroupID(rawValue: number))
                : caller
        }
        builder = somebody(61001)
        engine = somebody(61002)
        newOwner = caller
        var template = [CChar]("/var/tmp/kiln-trees-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SetupFailure(call: "mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = path
        func directory(_ name: String, _ mode: mode_t, _ owner: FileOwner) throws -> CInt {
            try must("mkdir", mkdir("\(path)/\(name)", 0o700))
            try must(
                "chown", chown("\(path)/\(name)", owner.user.rawValue, owner.group.rawValue))
            try must("chmod", chmod("\(path)/\(name)", mode))
            return try must(
                "open", open("\(path)/\(name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        }
        try must("chmod", chmod(path, 0o755))
        out = try directory(
            "out", 0o1775, FileOwner(user: caller.user, group: somebody(61001).group))
        staging = try directory("staging", 0o700, caller)
        incoming = try directory("incoming", 0o755, somebody(61002))
        kept = try directory("kept", 0o700, caller)
    }

    deinit {
        for descriptor in [out, staging, incoming, kept] { close(descriptor) }
        var child = pid_t()
        let words = ["/bin/sh", "-c", "chmod -R u+rwx \"$0\" 2>/dev/null; rm -rf \"$0\"", path]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        if posix_spawn(&child, "/bin/sh", nil, nil, arguments, nil) == 0 {
            waitpid(child, nil, 0)
        }
        for argument in arguments { free(argument) }
    }

    static let roomy = OutputLimits(bytes: 1 << 30, entries: 100_000, depth: 4000)

    /// The store object names for names in text.
    static func names(_ names: [String]) throws -> [StoreObjectName] {
        try names.map { try StoreObjectName(parsing: [UInt8]($0.utf8)) }
    }

    func take(
        _ names: [String] = [Bench.name], limits: OutputLimits = Bench.roomy, copies: Bool = false
    ) throws -> TakeResult {
        takeOutputs(
            from: out, names: try Self.names(names), builder: builder, newOwner: newOwner,
            limits: limits, copies: copies, staging: staging)
    }

    func adoptTree(_ entry: String = "7", limits: OutputLimits = Bench.roomy) -> TakeResult {
        adopt(
            from: incoming, entry: [UInt8](entry.utf8), engine: engine.user, staging: staging,
            limits: limits, newOwner: newOwner)
    }

    /// A plain output: a program, a file in a directory, and a link.
    func makeOutput(_ name: String = Bench.name) throws {
        try directory("out/\(name)")
        try file("out/\(name)/program", mode: 0o755)
        try directory("out/\(name)/share", mode: 0o700)
        try file("out/\(name)/share/text", mode: 0o640)
        try link("out/\(name)/link", to: "share/text")
    }

    /// A plain tree in the engine's directory.
    func makeIncoming(_ entry: String = "7") throws {
        try directory("incoming/\(entry)", owner: engine)
        try file("incoming/\(entry)/program", mode: 0o755, owner: engine)
        try directory("incoming/\(entry)/share", mode: 0o777, owner: engine)
        try file("incoming/\(entry)/share/text", mode: 0o666, owner: engine)
        try link("incoming/\(entry)/link", to: "share/text", owner: engine)
    }

    // MARK: Making files

    func directory(_ name: String, mode: mode_t = 0o755, owner: FileOwner? = nil) throws {
        try must("mkdir", mkdir("\(path)/\(name)", 0o700))
        try give(name, to: owner)
        try must("chmod", chmod("\(path)/\(name)", mode))
    }

    func file(
        _ name: String, mode: mode_t = 0o644, contents: String = "contents", owner: FileOwner? = nil
    ) throws {
        let descriptor = try must(
            "open", open("\(path)/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
        defer { close(descriptor) }
        let bytes = [UInt8](contents.utf8)
        try must("write", write(descriptor, bytes, bytes.count))
        try give(name, to: owner)
        try must("chmod", fchmod(descriptor, mode))
    }

    func link(_ name: String, to target: String, owner: FileOwner? = nil) throws {
        try must("symlink", symlink(target, "\(path)/\(name)"))
        try give(name, to: owner)
    }

    func give(_ name: String, to owner: FileOwner?) throws {
        let owner = owner ?? builder
        try must("chown", lchown("\(path)/\(name)", owner.user.rawValue, owner.group.rawValue))
    }

    func setAttribute(_ attribute: String, _ value: [UInt8], of name: String) throws {
        try must("setxattr", setxattr("\(path)/\(name)", attribute, value, value.count, 0))
    }

    // MARK: Looking

    /// Everything about a file that a hand-over could change.
    struct Look: Equatable {
        var kind: mode_t
        var mode: mode_t
        var user: uid_t
        var group: gid_t
        var links: UInt
        var inode: UInt
        var modified: Int
        var size: Int
    }

    func look(_ name: String) throws -> Look {
        var status = stat()
        try must("lstat \(name)", lstat("\(path)/\(name)", &status))
        return Look(
            kind: status.st_mode & S_IFMT, mode: status.st_mode & 0o7777, user: status.st_uid,
            group: status.st_gid, links: UInt(status.st_nlink), inode: UInt(status.st_ino),
            modified: status.st_mtim.tv_sec, size: Int(status.st_size))
    }

    func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat("\(path)/\(name)", &status) == 0
    }

    func contents(_ name: String) throws -> String {
        let descriptor = try must("open", open("\(path)/\(name)", O_RDONLY | O_CLOEXEC))
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = try must("read", read(descriptor, &buffer, buffer.count))
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    func attributes(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = try must(
            "listxattr", llistxattr("\(path)/\(name)", &buffer, buffer.count))
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Expects a file in its final form.
    func expectCanonical(
        _ name: String, _ kind: mode_t, _ mode: mode_t,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let look = try look(name)
        #expect(look.kind == kind, sourceLocation: sourceLocation)
        if kind != S_IFLNK { #expect(look.mode == mode, sourceLocation: sourceLocation) }
        #expect(look.user == newOwner.user.rawValue, sourceLocation: sourceLocation)
        #expect(look.group == newOwner.group.rawValue, sourceLocation: sourceLocation)
        #expect(look.modified == 1, sourceLocation: sourceLocation)
    }
}

/// Values of extended attributes.
enum AttributeValue {
    /// An access list that gives a user everything.
    static func accessList(for user: UInt32) -> [UInt8] {
        func entry(_ tag: UInt16, _ permissions: UInt16, _ id: UInt32) -> [UInt8] {
            [UInt8(tag & 0xff), UInt8(tag >> 8), UInt8(permissions), 0]
                + (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
        }
        let nobody = UInt32.max
        return [2, 0, 0, 0] + entry(1, 7, nobody) + entry(2, 7, user) + entry(4, 5, nobody)
            + entry(0x10, 7, nobody) + entry(0x20, 5, nobody)
    }

    /// CAP_NET_RAW, permitted and effective; revision 2.
    static let capability: [UInt8] =
        [1, 0, 0, 2] + [0, 0x20, 0, 0] + [UInt8](repeating: 0, count: 12)
}

/// A thread of this process that has the file rights of another user, as a live enemy has.
///
/// setfsuid(2) is the one identity that Linux keeps for each thread, and it takes the capabilities that
/// override file rights away.
final class Enemy: @unchecked Sendable {
    private var thread = pthread_t()
    private let user: FileOwner
    private let body: () -> Void

    init(as user: FileOwner, _ body: @escaping () -> Void) throws {
        self.user = user
        self.body = body
        let context = Unmanaged.passRetained(self).toOpaque()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let enemy = Unmanaged<Enemy>.fromOpaque(context).takeRetainedValue()
                becomeForFiles(
                    user: enemy.user.user.rawValue, group: enemy.user.group.rawValue)
                enemy.body()
                return nil
            }, context)
        guard result == 0 else { throw SetupFailure(call: "pthread_create", errno: result) }
    }

    func join() { pthread_join(thread, nil) }
}
