import ArgumentParser
import Policy

/// `kiln policy`.
struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Checks and compiles what builds may do.",
        discussion: """
            Without a directory, policies are those in \(PolicyLocation.configured) if it exists, else those \
            installed beside the program (share/kiln/policies), else those of the checkout that the program \
            was built in.
            """,
        subcommands: [
            Check.self,
            Compile.self,
            Diff.self,
            Reload.self,
            Score.self,
            Show.self,
            Test.self,
            Why.self,
        ])
}
