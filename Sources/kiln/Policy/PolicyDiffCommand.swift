import ArgumentParser
import DerivationFormat
import Policy

extension PolicyCommand {
    /// `kiln policy diff`.
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says in what two profiles differ, and which way.",
            discussion: """
                Every line ends with 'stricter', 'looser' or 'different': the direction from the first profile \
                to the second. System calls are compared by what is answered to them, so a rule that is written \
                differently and means the same is no difference. The status is 0 if nothing differs and 1 if \
                something does; with --no-looser it is 1 only if something is looser or different.
                """)

        @OptionGroup var policies: PolicyOptions

        @Option(help: "Take the second profile from this directory.")
        var against: String?

        @Flag(
            name: .customLong("no-looser"),
            help: "Fail only if the second profile allows something more.")
        var noLooser = false

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The first profile.")
        var old: String

        @Argument(help: "The second profile.")
        var new: String

        func run() throws {
            try reportingPolicyErrors {
                let first = try policies.profiles()
                let second = try against.map { try profilesOfDirectory($0) } ?? first
                let found = differences(
                    from: try profile(named: old, in: first),
                    to: try profile(named: new, in: second))
                if json {
                    print(JSONValue.array(found.map(\.json)).text)
                } else {
                    for line in lines(found) { print(line) }
                }
                let fails = found.contains { !noLooser || $0.direction != .stricter }
                if fails { throw ExitCode(1) }
            }
        }

        private func lines(_ found: [PolicyDifference]) -> [String] {
            let heads = columns(
                found.map { difference in
                    let calls =
                        difference.calls.isEmpty
                        ? ""
                        : " (\(difference.calls.count)): \(difference.calls.joined(separator: " "))"
                    return [
                        difference.subject,
                        difference.isLong ? "" : "\(difference.before) → \(difference.after)",
                        difference.direction.rawValue + calls,
                    ]
                })
            return zip(found, heads).flatMap { difference, head in
                difference.isLong
                    ? [head, "    - \(difference.before)", "    + \(difference.after)"] : [head]
            }
        }
    }
}

extension PolicyDifference {
    fileprivate var before: String { old ?? "(nothing)" }
    fileprivate var after: String { new ?? "(nothing)" }

    /// Whether the two values stand on lines of their own.
    fileprivate var isLong: Bool { before.count + after.count > 60 }
}

extension PolicyDifference {
    /// The machine's form.
    fileprivate var json: JSONValue {
        .object([
            "calls": .array(calls.map { .string($0) }),
            "direction": .string(direction.rawValue),
            "new": new.map { .string($0) } ?? .null, "old": old.map { .string($0) } ?? .null,
            "subject": .string(subject),
        ])
    }
}
