import Foundation
import Testing

@testable import Policy

@Suite("Where policies are looked for") struct PolicyLocationTests {
    static func withTree(_ files: [String], _ body: (String) throws -> Void) throws {
        let base = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        for file in files {
            let file = base.appending(path: file)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: file)
        }
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: base) } }
        try body(base.path)
    }

    /// What is found below `base`, without it.
    static func find(
        _ base: String, _ program: String, _ configured: String = "none"
    ) throws -> String {
        let found = try PolicyLocation.find(
            configured: base + "/" + configured, program: base + "/" + program)
        return String(found.dropFirst(base.count))
    }

    @Test("the administrator's come first, then the installed ones, then the checkout's")
    func order() throws {
        let files = [
            "etc/policies/x.toml", "usr/share/kiln/policies/strict.toml", "usr/bin/kiln",
            "src/Package.swift", "src/policies/strict.toml", "src/.build/x/debug/kiln",
            // What looks like policies in a checkout's own build tree is not the checkout's.
            "src/.build/x/policies/strict.toml",
        ]
        try Self.withTree(files) { (base) throws in
            #expect(try Self.find(base, "usr/bin/kiln", "etc/policies") == "/etc/policies")
            #expect(try Self.find(base, "usr/bin/kiln") == "/usr/share/kiln/policies")
            #expect(try Self.find(base, "src/.build/x/debug/kiln") == "/src/policies")
            let error = #expect(throws: UntrustedFile.self) {
                try Self.find(base, "elsewhere/bin/kiln")
            }
            #expect(error?.description.contains("elsewhere/share/kiln/policies") == true)
        }
    }

    @Test("this test program finds the policies of its checkout, and they load")
    func own() throws {
        let directory = try PolicyLocation.find()
        let sources = try readPolicyDirectory(Array(directory.utf8), trustedOwner: geteuid())
        #expect(try loadProfiles(sources).map(\.name).contains("strict"))
    }
}
