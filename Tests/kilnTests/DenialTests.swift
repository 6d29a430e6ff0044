import BuildEngine
import DerivationFormat
import Foundation
import Policy
import StoreModel
import Testing

@testable import kiln

@Suite("What was denied, as people and scripts are told") struct DenialTests {
    static let denial = DenialExplanation(
        call: "socket", interface: "x86", arguments: ["family=AF_ALG", "protocol=0"],
        program: "openssl", count: 3, answer: "EAFNOSUPPORT", policy: "default",
        origin: Origin(file: "/p/strict.toml", line: 104, column: 1), reason: "no build needs it",
        allowWith: "[syscalls.rule.socket-families] allow_when = \"x\"",
        policyFile: "/p/default.toml")

    static func record(_ denied: [DenialExplanation], others: UInt64 = 0) -> DenialRecord {
        DenialRecord(
            derivation: someStorePath("tool.drv"), startTime: 17, counting: .exact, denied: denied,
            others: others)
    }

    @Test("people are told the call, the place, the reason and the setting")
    func people() {
        var once = Self.denial
        once.count = 1
        once.interface = nil
        once.arguments = []
        once.reason = ""
        once.origin.file = once.policyFile
        #expect(
            explanation(of: Self.record([Self.denial, once], others: 2)) == [
                fullPath(someStorePath("tool.drv")), "",
                "denied    socket(2) of x86 with family=AF_ALG, protocol=0, 3 times, with EAFNOSUPPORT",
                "program   openssl", "by        /p/strict.toml:104, for the policy default",
                "because   no build needs it",
                "to allow  [syscalls.rule.socket-families] allow_when = \"x\"",
                "in        /p/default.toml", "",
                "denied    socket(2), once, with EAFNOSUPPORT", "program   openssl",
                "by        /p/default.toml:104",
                "to allow  [syscalls.rule.socket-families] allow_when = \"x\"",
                "in        /p/default.toml", "", "denied    2 calls of other kinds",
            ])
    }

    @Test("counts of a build that was killed are not called exact")
    func killed() {
        var record = Self.record([Self.denial], others: 2)
        record.counting = .atLeast
        let lines = explanation(of: record)
        #expect(lines[2].hasSuffix(", 3 or more times, with EAFNOSUPPORT"))
        #expect(lines.last == "denied    2 or more calls of other kinds")
    }

    @Test("the result of a build in JSON has what was denied, and an empty list if nothing was")
    func json() {
        let target = DerivedPath.built(someStorePath("tool.drv"), outputs: nil)
        let result = BuildResult(
            status: .built, timesBuilt: 1, startTime: 17, stopTime: 18)
        var item = BuildReport.Item(target: target, result: result, outputs: [])
        #expect(BuildReport(items: [item]).json.text.contains("\"denied\":[]"))
        item.denials = Self.record([Self.denial])
        let text = BuildReport(items: [item]).json.text
        #expect(
            text.contains(
                #""denied":[{"allowWith":"[syscalls.rule.socket-families] allow_when = \"x\"","answer":"EAFNOSUPPORT","arguments":["family=AF_ALG","protocol=0"],"call":"socket","column":1,"count":3,"file":"/p/strict.toml","interface":"x86","line":104,"policy":"default","policyFile":"/p/default.toml","program":"openssl","reason":"no build needs it"}]"#
            ), "\(text)")
        // What was valid before was not built, so nothing was denied to it now.
        let valid = BuildReport.Item(
            target: target, result: BuildResult(status: .alreadyValid), outputs: [])
        #expect(!BuildReport(items: [valid]).json.text.contains("denied"))
    }

    @Test("only the record of this very build counts")
    func records() throws {
        let root = try StoreRoot(NSTemporaryDirectory() + "kiln-denials-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            atPath: root.denials, withIntermediateDirectories: true)
        defer {
            #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root.path) }
        }
        let drv = someStorePath("tool.drv")
        let denied = BuildReport.Item(
            target: .built(drv, outputs: nil),
            result: BuildResult(status: .built, startTime: 17, stopTime: 18), outputs: [])
        let text = JSONValue.object([
            "counting": .string("exact"), "derivation": .string(drv.baseName),
            "denied": Self.record([Self.denial]).deniedJSON, "others": .number("0"),
            "startTime": .number("17"),
        ]).text
        try Data(text.utf8).write(to: URL(filePath: "\(root.denials)/\(drv.baseName).json"))
        var report = BuildReport(items: [denied])
        try report.readDenials(in: root)
        #expect(report.items[0].denials == Self.record([Self.denial]))
        let later = BuildReport.Item(
            target: denied.target,
            result: BuildResult(status: .built, startTime: 18, stopTime: 18), outputs: [])
        report = BuildReport(items: [later])
        try report.readDenials(in: root)
        #expect(report.items[0].denials == nil)
    }

    @Test("the file of a log names the derivation, and no other path does")
    func logs() {
        let drv = someStorePath("tool.drv")
        let name = drv.baseName
        let log = "/nix/var/log/nix/drvs/\(name.prefix(2))/\(name.dropFirst(2))"
        #expect(loggedDerivation(log + ".bz2") == drv)
        #expect(loggedDerivation(log) == drv)
        #expect(loggedDerivation("/nix/var/log/nix/drvs/\(name)") == nil)
        #expect(loggedDerivation("/nix/store/\(name)") == nil)
        #expect(loggedDerivation("drvs/00/x.drv") == nil)
        #expect(loggedDerivation(log.replacing(".drv", with: "")) == nil)
    }

    @Test("the engine's advice to ask why is completed by where the store lies")
    func advice() {
        let item = BuildReport.Item(
            target: .built(someStorePath("tool.drv"), outputs: nil),
            result: BuildResult(
                status: .permanentFailure,
                message: "exit status 3\nfull log: kiln log x.drv\nand more: kiln policy why x.drv"),
            outputs: [])
        #expect(
            failureLines(item, tail: [], logOptions: ["--root", "/r"]) == [
                "tool failed: exit status 3", "  full log: kiln log --root /r x.drv",
                "  and more: kiln policy why --root /r x.drv",
            ])
    }
}
