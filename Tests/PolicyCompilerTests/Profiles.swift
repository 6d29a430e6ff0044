import Foundation
import LaunchModel
import Policy
import Testing

@testable import PolicyCompiler

/// Profiles that the tests compile.
enum Profiles {
    static let names = ["default", "fixed-output", "host-toolchain", "strict"]

    static func shipped() throws -> [PolicySource] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try names.map { name in
            let file = root.appending(path: "policies/\(name).toml")
            return PolicySource(
                name: name, file: "\(name).toml",
                text: try String(contentsOf: file, encoding: .utf8))
        }
    }

    /// A shipped profile, without a shell: the host may not have one.
    static func profile(_ name: String) throws -> Profile {
        var profile = try #require(try loadProfiles(shipped()).first { $0.name == name })
        profile.shell.value = []
        return profile
    }

    /// A profile `mine` with the given lines, which extends a shipped one.
    static func mine(_ lines: String, extending parent: String = "strict") throws -> Profile {
        let text =
            "schema = 1\nextends = \"\(parent)\"\n[filesystem]\nshell = []\n" + lines
        let sources = try shipped() + [PolicySource(name: "mine", file: "mine.toml", text: text)]
        return try #require(try loadProfiles(sources).first { $0.name == "mine" })
    }

    /// The filter of a profile, in the interpreter.
    static func filter(
        _ profile: Profile, for architecture: Architecture = .host
    ) throws -> FilterInterpreter {
        try FilterInterpreter(try compile(profile, for: architecture).filter)
    }
}
