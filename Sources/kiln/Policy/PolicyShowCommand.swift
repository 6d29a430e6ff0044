import ArgumentParser
import DerivationFormat
import Policy

extension PolicyCommand {
    /// `kiln policy show`.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a profile after everything that it extends was merged into it.",
            discussion: """
                Every key has its value, as it would be written in a policy file, and the file and line that set \
                it, or 'default'.
                """)

        @OptionGroup var policies: PolicyOptions

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The profile.")
        var profile: String

        func run() throws {
            try reportingPolicyErrors {
                let shown = try kiln.profile(named: profile, in: try policies.profiles())
                if json {
                    print(shown.json.text)
                    return
                }
                print("# \(shown.name): \(shown.description)")
                if !shown.ancestors.isEmpty {
                    print("# extends \(shown.ancestors.joined(separator: ", which extends "))")
                }
                for line in columns(shown.shown.map { [$0.key, "= \($0.value)", "# \($0.place)"] })
                {
                    print(line)
                }
            }
        }
    }
}

extension Profile {
    /// The machine's form.
    fileprivate var json: JSONValue {
        .object([
            "description": .string(description), "file": .string(file), "name": .string(name),
            "extends": .array(ancestors.map { .string($0) }),
            "keys": .array(
                shown.map { key in
                    .object([
                        "key": .string(key.key), "value": .string(key.value),
                        "file": key.origin.map { .string($0.file) } ?? .null,
                        "line": key.origin.map { .number(String($0.line)) } ?? .null,
                    ])
                }),
        ])
    }
}
