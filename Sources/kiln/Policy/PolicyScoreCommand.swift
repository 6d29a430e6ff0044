import ArgumentParser
import DerivationFormat
import Glibc
import Policy

extension PolicyCommand {
    /// `kiln policy score`.
    struct Score: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says how much of the host a profile exposes, from 0 to 10, and why.",
            discussion: """
                For one profile every item is printed: how bad it is (0 to 10), its weight, what it adds to the \
                whole, and the reason. Without one, the sums of all profiles are. The sum is that of \
                'systemd-analyze security': it orders profiles, and is no measure of what an attacker can do.
                """)

        @OptionGroup var policies: PolicyOptions

        @Option(
            help: "Fail with status 1 if a profile exposes more than this, such as 1.0.",
            transform: { text in
                guard let number = Hundredths(text: text) else {
                    throw ValidationError("--threshold is a number such as 1.0, at most 10")
                }
                return number
            })
        var threshold: Hundredths?

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The profile.")
        var profile: String?

        func run() throws {
            try reportingPolicyErrors {
                let all = try policies.profiles()
                let scored = try self.profile.map { [try kiln.profile(named: $0, in: all)] } ?? all
                let exposures = scored.map { (name: $0.name, exposure: $0.exposure) }
                if json {
                    print(JSONValue.array(exposures.map { json($0.name, $0.exposure) }).text)
                } else {
                    for (name, exposure) in exposures { tell(name, exposure) }
                }
                guard let threshold else { return }
                // What is wrong comes behind what was found, wherever the two go.
                fflush(nil)
                let over = exposures.filter { $0.exposure.total > threshold }
                for (name, exposure) in over {
                    printError(
                        "\(name): exposure \(exposure.total) is more than \(threshold)")
                }
                if !over.isEmpty { throw ExitCode(1) }
            }
        }

        private func tell(_ name: String, _ exposure: Exposure) {
            if profile != nil {
                let rows = exposure.items.map { item in
                    [
                        item.name, "\(item.badness)/10", "weight \(item.weight)",
                        "+\(exposure.part(of: item))", item.reason,
                    ]
                }
                for line in columns(rows) { print(line) }
            }
            print("\(name): exposure \(exposure.total) \(exposure.word)")
        }

        private func json(_ name: String, _ exposure: Exposure) -> JSONValue {
            .object([
                "profile": .string(name), "word": .string(exposure.word),
                "exposure": .number("\(exposure.total)"),
                "items": .array(
                    exposure.items.map { item in
                        .object([
                            "name": .string(item.name), "weight": .number("\(item.weight)"),
                            "badness": .number("\(item.badness)"),
                            "adds": .number("\(exposure.part(of: item))"),
                            "reason": .string(item.reason),
                        ])
                    }),
            ])
        }
    }
}
