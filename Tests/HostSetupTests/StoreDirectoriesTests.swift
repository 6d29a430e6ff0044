import Glibc
import LaunchModel
import LocalStore
import Testing

@testable import HostSetup

/// What root finds of others, below a directory that only root can write.
@Suite("Directories that root makes, next to what others made", .serialized)
final class StoreDirectoriesTests {
    /// A user that no account has.
    static let alice: uid_t = 61_235
    static let engine = EngineIdentity(
        user: UserID(rawValue: 61_236), group: GroupID(rawValue: 61_236))

    let root: String

    init() throws {
        try #require(getuid() == 0, "the tests of root's setup need root")
        var template = [CChar]("/var/lib/kiln-setup-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try #require(chmod(root, 0o755) == 0)
    }

    deinit {
        var process: pid_t = 0
        let words: [String] = ["rm", "-rf", root]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        guard posix_spawn(&process, "/bin/rm", nil, nil, arguments, nil) == 0 else { return }
        waitpid(process, nil, 0)
    }

    private func make(_ path: String, owner: uid_t = 0, mode: mode_t = 0o755) throws {
        try #require(mkdir(root + path, mode) == 0)
        try #require(chmod(root + path, mode) == 0)
        try #require(chown(root + path, owner, owner) == 0)
    }

    private func owner(_ path: String) throws -> uid_t {
        var found = stat()
        try #require(lstat(root + path, &found) == 0)
        return found.st_uid
    }

    private func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

    private func makeStore() throws {
        try StoreDirectories(
            layout: StoreLayout(root: root), engine: Self.engine, trusted: [0]
        ).make()
    }

    @Test("a store that is somebody else's is refused and nothing in it changes hands")
    func othersStore() throws {
        for path in ["/nix", "/nix/var", "/nix/var/nix", "/nix/var/nix/db"] {
            try make(path, owner: Self.alice)
        }
        let file = open(root + "/nix/var/nix/db/db.sqlite", O_CREAT | O_WRONLY, 0o644)
        try #require(file >= 0 && fchown(file, Self.alice, Self.alice) == 0)
        close(file)
        #expect(throws: HostSetupError.self) { try makeStore() }
        #expect(try owner("/nix/var/nix/db") == Self.alice)
        #expect(try owner("/nix/var/nix/db/db.sqlite") == Self.alice)
        #expect(!exists("/nix/store"))
    }

    @Test("a directory on the way that others can write is refused before anything is made in it")
    func openDirectory() throws {
        try make("/nix", mode: 0o777)
        #expect(throws: HostSetupError.self) { try makeStore() }
        #expect(!exists("/nix/store"))
    }

    @Test("a link that somebody put on the way to a new root is not followed")
    func linkOnTheWay() throws {
        try make("/home", owner: Self.alice)
        try make("/canary")
        try #require(symlink(root + "/canary", root + "/home/link") == 0)
        #expect(throws: HostSetupError.self) {
            try makeDirectories(root + "/home/link/new", trusted: [0])
        }
        #expect(!exists("/canary/new"))
    }

    @Test("what is the engine's is made once, and made again without taking what it put there")
    func twice() throws {
        try make("/secret")
        let secret = open(root + "/secret/file", O_CREAT | O_WRONLY, 0o600)
        try #require(secret >= 0)
        close(secret)
        try makeStore()
        for path in ["/nix/var/nix/db", "/nix/var/nix/gcroots/auto", "/nix/var/kiln/incoming"] {
            #expect(try owner(path) == Self.engine.user.rawValue)
        }
        for path in ["/nix/store", "/nix/var/kiln", "/nix/var/nix"] {
            #expect(try owner(path) == 0)
        }
        // With one name, as it would have if the engine removed the other one after the look.
        try #require(rename(root + "/secret/file", root + "/nix/var/nix/db/db.sqlite") == 0)
        try makeStore()
        #expect(try owner("/nix/var/nix/db/db.sqlite") == 0)
    }

    @Test("a database that root's own Nix made is the engine's afterwards, with its files")
    func takeOver() throws {
        for path in ["/nix", "/nix/var", "/nix/var/nix", "/nix/var/nix/db"] { try make(path) }
        let file = open(root + "/nix/var/nix/db/db.sqlite", O_CREAT | O_WRONLY, 0o644)
        try #require(file >= 0)
        close(file)
        try makeStore()
        #expect(try owner("/nix/var/nix/db") == Self.engine.user.rawValue)
        #expect(try owner("/nix/var/nix/db/db.sqlite") == Self.engine.user.rawValue)
    }
}
