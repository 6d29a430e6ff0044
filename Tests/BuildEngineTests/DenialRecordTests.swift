import Foundation
import Goals
import LaunchModel
import StoreModel
import SystemCalls
import Testing

@testable import BuildEngine
@testable import Policy

@Suite("What builds were denied") struct DenialRecordTests {
    static let policy = """
        schema = 1
        description = ""
        [identity]
        hostname = "localhost"
        uid = 1000
        gid = 100
        [network]
        mode = "none"
        [filesystem]
        root_size = "1M"
        tmp_size = "1M"
        shm = "1M"
        shell = []
        [syscalls]
        default = "ENOSYS"
        foreign = "kill"
        mount = "EPERM"
        "@keyring" = "EPERM"
        "@file-mode" = "allow"
        [syscalls.rule.no-setid]
        calls = ["chmod", "fchmod"]
        deny_when = "mode & S_ISUID != 0"
        action = "EPERM"
        [outputs]
        max_size = "1M"
        max_entries = 100
        max_depth = 10
        always_copy = false
        """

    static func denials() throws -> ToldDenials {
        let source = PolicySource(name: "narrow", file: "/etc/narrow.toml", text: policy)
        return try #require(try loadProfiles([source]).first).toldDenials
    }

    /// Three mounts, one set-id bit and a call that the profile cannot have denied.
    static func calls(program: String = "cp") throws -> DeniedCalls {
        let told = try denials()
        func kind(_ name: String, _ arguments: [UInt32], count: UInt64) throws -> DeniedCall {
            let call = try #require(Syscall.byName[name])
            let denial = try #require(
                told.number(of: call)
                    ?? told.policy.denials(of: call).first.flatMap { told.number(of: $0) })
            return DeniedCall(
                denial: denial, architecture: Architecture.host.auditValue,
                number: try #require(call.number(on: .host)), arguments: arguments,
                program: [UInt8](program.utf8), count: count)
        }
        var nonsense = try kind("mount", [], count: 4)
        nonsense.denial = 999
        return DeniedCalls(
            kinds: [
                try kind("mount", [], count: 3), try kind("fchmod", [0o4000], count: 1), nonsense,
            ],
            others: 2)
    }

    static func store() throws -> TestStore {
        try TestStore(
            profile: EngineProfile(
                number: ProfileNumber(rawValue: 0), logSize: 100, isOfferedToAll: true,
                denials: try denials()))
    }

    static let mount =
        "denied: mount(2) ×3 by cp (EPERM), policy narrow, /etc/narrow.toml:17"
        + " — allow with [syscalls] mount = \"allow\""
    static let chmod =
        "denied: fchmod(2) with mode=0o4000 ×1 by cp (EPERM), policy narrow, /etc/narrow.toml:20"
        + " — allow with [syscalls.rule.no-setid]"
        + " deny_when = \"(mode & S_ISUID != 0) && mode & 0x800 != 0o4000\""
    static let others = "denied: 6 calls of other kinds"

    static func log(of path: StorePath, in store: TestStore) throws -> String {
        let name = path.baseName
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bzcat")
        process.arguments = [
            "\(store.root)/nix/var/log/nix/drvs/\(name.prefix(2))/\(name.dropFirst(2)).bz2"
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let text = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: text, as: UTF8.self)
    }

    @Test("the log of a build ends with what it was denied, a line each, and clients are told")
    func log() throws {
        let store = try Self.store()
        store.launcher.deny(try Self.calls())
        // The limit of the log holds for the builder's bytes, of which there are as many as may be.
        let said = String(repeating: "x", count: 100)
        let path = try store.add(try TestStore.derivation("denied", say: said))
        let request = try store.engine.request(
            [.built(path, outputs: nil)], for: ClientID(rawValue: 1), options: RequestOptions())
        var told: [String] = []
        var status: BuildResult.Status?
        while status == nil {
            for news in request.news() {
                switch news {
                case .line(_, let line): told.append(String(decoding: line, as: UTF8.self))
                case .finished(let outcomes): status = outcomes[0].result.status
                case .started, .linesDropped, .stopped, .progress: break
                }
            }
        }
        #expect(status == .built)
        let lines = [said, Self.mount, Self.chmod, Self.others]
        #expect(try Self.log(of: path, in: store) == lines.joined(separator: "\n") + "\n")
        #expect(told == lines)
    }

    @Test("a failure's message has the denials besides the last lines of the builder")
    func failure() throws {
        let store = try Self.store()
        store.launcher.deny(try Self.calls())
        let path = try store.add(
            try TestStore.derivation("denied", script: "fail", say: "the last word\n"))
        let message = try #require(try store.build([path]).first).result.message
        #expect(message.contains("> the last word\n"))
        #expect(
            message.hasSuffix([Self.mount, Self.chmod, Self.others].joined(separator: "\n")),
            "\(message)")
        var many = try Self.calls()
        many.kinds = (0..<9).map { index in
            var kind = many.kinds[0]
            kind.program = [UInt8]("p\(index)".utf8)
            return kind
        }
        store.launcher.deny(many)
        let again = try #require(try store.build([path]).first).result.message
        #expect(again.contains("by p4 "))
        #expect(!again.contains("by p5 "))
        #expect(again.hasSuffix("and more: kiln policy why \(path)"))
    }

    @Test("what was denied is kept until the next build of the derivation")
    func record() throws {
        let store = try Self.store()
        store.launcher.deny(try Self.calls())
        let path = try store.add(
            try TestStore.derivation("denied", script: "fail", say: "the last word\n"))
        let result = try #require(try store.build([path]).first).result
        let directory = store.root + "/nix/var/kiln/denials"
        let record = try #require(try DenialRecord(of: path, in: directory))
        #expect(record.derivation == path)
        #expect(record.startTime == result.startTime)
        #expect(record.counting == .exact)
        #expect(record.lines == [Self.mount, Self.chmod, Self.others])
        #expect(record.denied.map(\.count) == [3, 1])
        #expect(record.denied[0].origin == Origin(file: "/etc/narrow.toml", line: 17, column: 1))
        // The next one is denied nothing.
        store.launcher.deny(DeniedCalls())
        _ = try store.build([path])
        #expect(try DenialRecord(of: path, in: directory) == nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
    }

    @Test("the counts of a build that was killed are not called exact")
    func killed() throws {
        let store = try TestStore(
            profile: EngineProfile(
                number: ProfileNumber(rawValue: 0), wallTime: 1, isOfferedToAll: true,
                denials: try Self.denials()))
        store.launcher.deny(try Self.calls())
        let path = try store.add(try TestStore.derivation("denied", script: "hang"))
        let result = try #require(try store.build([path]).first).result
        #expect(result.status == .timedOut)
        #expect(result.message.contains("mount(2) ×3 or more by cp"))
        let directory = store.root + "/nix/var/kiln/denials"
        #expect(try DenialRecord(of: path, in: directory)?.counting == .atLeast)
    }

    @Test(
        "a file that is no record is an error, never nothing", arguments: ["", "{}", "[1]", "\0"])
    func broken(text: String) throws {
        let directory = NSTemporaryDirectory() + "kiln-denials-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer {
            #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: directory) }
        }
        let path = try StorePath(
            baseName: [UInt8]((String(repeating: "0", count: 32) + "-x.drv").utf8))
        #expect(try DenialRecord(of: path, in: directory) == nil)
        try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(path.baseName).json"))
        #expect(throws: SystemError.self) { try DenialRecord(of: path, in: directory) }
    }
}
