import ArgumentParser
import DaemonWire
import DerivationFormat
import Glibc
import StoreModel
import Testing

@testable import kiln

@Suite("What kiln build is asked") struct BuildArgumentTests {
    private let root: StoreRoot

    init() throws { root = try StoreRoot("/srv/r") }

    @Test("recipes, derivations, outputs and objects are told apart")
    func targets() throws {
        let drv = "/nix/store/00000000000000000000000000000000-a.drv"
        let path = someStorePath("a.drv")
        let dev = try #require(OutputName([UInt8]("dev".utf8)))
        let forms: [(String, BuildTarget)] = [
            ("kiln.toml", .recipe(file: "kiln.toml", select: [])),
            ("a#b/kiln.toml#x,y", .recipe(file: "a#b/kiln.toml", select: ["x", "y"])),
            (drv, .derivation(path, outputs: nil)), (drv + "^*", .derivation(path, outputs: nil)),
            (drv + "^out,dev", .derivation(path, outputs: [.out, dev])),
            (drv + "!dev", .derivation(path, outputs: [dev])),
            ("/srv/r" + drv, .derivation(path, outputs: nil)),
            ("00000000000000000000000000000000-a.drv", .derivation(path, outputs: nil)),
            ("/nix/store/00000000000000000000000000000000-a/bin/x", .object(someStorePath("a"))),
        ]
        for (argument, target) in forms { #expect(try BuildTarget(argument, in: root) == target) }
    }

    @Test("what is nothing of these is refused with what to do")
    func refused() {
        for (argument, words) in [
            ("./x.drv", "kiln derivation add"), ("nonsense", "neither a recipe"),
            ("/nix/store/00000000000000000000000000000000-a^out", "has no outputs"),
            ("/nix/store/00000000000000000000000000000000-a.drv^", "name of an output"),
            ("dir/00000000000000000000000000000000-a", "neither a recipe"),
        ] {
            do {
                _ = try BuildTarget(argument, in: root)
                Issue.record("'\(argument)' was taken")
            } catch {
                #expect(error.description.contains(words))
            }
        }
    }

    @Test("a link that a build made means what it points at")
    func links() throws {
        let directory = try TemporaryDirectory()
        let target = root.place(of: someStorePath("a"))
        try #require(symlink(target, directory.path + "/result") == 0)
        try #require(symlink("result", directory.path + "/again") == 0)
        try #require(symlink("loop", directory.path + "/loop") == 0)
        #expect(try storePath(directory.path + "/again", in: root) == someStorePath("a"))
        #expect(throws: InputError.self) { try storePath(directory.path + "/loop", in: root) }
    }

    @Test("a root is a plain absolute path")
    func roots() throws {
        #expect(try StoreRoot("/").prefix == "")
        #expect(try StoreRoot("//a/./b//").path == "/a/b")
        #expect(try StoreRoot("relative").path.hasSuffix("/relative"))
        #expect(root.socket == "/srv/r/nix/var/nix/daemon-socket/socket")
        #expect(throws: InputError.self) { try StoreRoot("") }
        #expect(throws: InputError.self) { try StoreRoot("/a/../b") }
    }

    @Test("jobs and cores share the processors unless they are said")
    func jobs() throws {
        let none = try BuildOptions.parse([])
        #expect(none.maximumJobs(processors: 16) == 4)
        #expect(none.buildCores(processors: 16) == 4)
        #expect(none.maximumJobs(processors: 2) == 2)
        #expect(none.buildCores(processors: 2) == 1)
        let some = try BuildOptions.parse(["-j1", "-k", "-L"])
        #expect(some.buildCores(processors: 16) == 16)
        let options = some.clientOptions(processors: 16, recipeProfile: "host-toolchain")
        #expect(options.keepsGoing && !options.keepsFailed)
        #expect(options.maximumJobs == 1)
        #expect(options.settings == ["kiln-profile": "host-toolchain"])
        let asked = try BuildOptions.parse(["--profile", "strict", "--cores", "0"])
        #expect(
            asked.clientOptions(processors: 2, recipeProfile: "other").settings
                == ["kiln-profile": "strict"])
        #expect(asked.buildCores(processors: 2) == 0)
    }

    @Test(
        "numbers out of range and contradictions are refused",
        arguments: [
            ["-j", "0"], ["-j", "-1"], ["--cores", "5000"], ["--quiet", "--verbose"], ["-j", "x"],
        ])
    func refusedOptions(arguments: [String]) {
        #expect(throws: (any Error).self) { try BuildOptions.parse(arguments) }
    }

    @Test("links are numbered and named after outputs that are not called out")
    func linkNames() throws {
        let drv = someStorePath("a.drv")
        let item = BuildReport.Item(
            target: .built(drv, outputs: nil), result: BuildResult(status: .built),
            outputs: [("dev", someStorePath("a-dev")), ("out", someStorePath("a"))])
        let links = outLinks("result", for: [item, item])
        #expect(links.map(\.link) == ["result-dev", "result", "result-2-dev", "result-2"])
        #expect(links[1].target == someStorePath("a"))
    }
}

@Suite("What kiln build tells at the end") struct BuildReportTests {
    private func item(_ result: BuildResult?) -> BuildReport.Item {
        BuildReport.Item(
            target: .built(someStorePath("tool.drv"), outputs: nil), result: result, outputs: [])
    }

    @Test("a failure says what failed, how its log ends, and how to see the rest")
    func failure() {
        let lines = failureLines(
            item(BuildResult(status: .permanentFailure, message: "exit status 3")),
            tail: ["cc: error", "make: stop"], logOptions: ["--root", "/srv/r"])
        #expect(
            lines == [
                "tool failed: exit status 3", "  the last 2 lines of the log:", "  > cc: error",
                "  > make: stop",
                "  the whole log: kiln log --root /srv/r \(fullPath(someStorePath("tool.drv")))",
            ])
    }

    @Test("what the engine has said already is not said again")
    func said() {
        let message = "exit status 3\nlast line\nfull log: kiln log /nix/store/x"
        let lines = failureLines(
            item(BuildResult(status: .permanentFailure, message: message)), tail: ["last line"],
            logOptions: [])
        #expect(
            lines == [
                "tool failed: exit status 3", "  last line", "  full log: kiln log /nix/store/x",
            ])
    }

    @Test("the engine's advice is completed by where the store lies")
    func adviceWithRoot() {
        let message = "exit status 3\nfull log: kiln log x.drv"
        let lines = failureLines(
            item(BuildResult(status: .permanentFailure, message: message)), tail: [],
            logOptions: ["--root", "/srv/r"])
        #expect(
            lines == ["tool failed: exit status 3", "  full log: kiln log --root /srv/r x.drv"])
    }

    @Test("what was never begun, and what failed for another's sake, has no log")
    func noLog() {
        #expect(
            failureLines(item(nil), tail: [], logOptions: [])
                == ["tool was not built, since something else failed"])
        #expect(
            failureLines(
                item(BuildResult(status: .dependencyFailed)), tail: [], logOptions: [])
                == ["tool failed: something that it needs failed"])
    }

    @Test("the machine's form has outputs, status and error")
    func json() {
        let good = BuildReport.Item(
            target: .built(someStorePath("a.drv"), outputs: nil),
            result: BuildResult(status: .alreadyValid), outputs: [("out", someStorePath("a"))])
        let bad = item(BuildResult(status: .timedOut, message: "\u{1b}[31mtoo long"))
        let report = BuildReport(items: [good, bad])
        #expect(!report.isSuccess)
        #expect(
            report.json.text
                == #"[{"drvPath":"\#(fullPath(someStorePath("a.drv")))","outputs":"#
                + #"{"out":"\#(fullPath(someStorePath("a")))"},"status":"alreadyValid","success":true},"#
                + #"{"drvPath":"\#(fullPath(someStorePath("tool.drv")))","error":"too long","outputs":{},"#
                + #""status":"timedOut","success":false}]"#)
    }
}
