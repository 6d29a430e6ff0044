import ArgumentParser
import DerivationFormat
import Policy
import PolicyCompiler

extension PolicyCommand {
    /// `kiln policy test`.
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks of policies what is expected of them.",
            discussion: """
                Expectations stand in *.toml files in the directory 'tests' of the directory of policies, which \
                the policies' README describes. What is expected of system calls is asked of the policy and of \
                the compiled filter, on every kind of kernel. The status is 1 if something is not as expected.
                """)

        @Option(help: "The directory of expectations (default: 'tests' in that of policies).")
        var tests: String?

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The directory of policies.")
        var directory: String?

        func run() throws {
            try reportingPolicyErrors {
                let policies = try directory ?? defaultPolicies()
                let profiles = try profilesOfDirectory(policies)
                let expectations = try loadExpectations(
                    try trustedSources(tests ?? policies + "/tests"), of: profiles)
                let report: ExpectationReport
                do throws(PolicyCompileError) {
                    report = try check(expectations, of: profiles)
                } catch {
                    throw InputError("\(policies): \(error)")
                }
                let passed = report.checked - report.failures.count
                if json {
                    print(
                        JSONValue.object([
                            "failures": .array(report.failures.map(\.json)),
                            "passed": .number("\(passed)"),
                        ]).text)
                } else {
                    for failure in report.failures { printError("\(failure)") }
                    print(
                        "\(count(passed, "expectation")) met, \(report.failures.count) not met")
                }
                if !report.failures.isEmpty { throw ExitCode(1) }
            }
        }
    }
}

extension ExpectationFailure {
    /// The machine's form.
    fileprivate var json: JSONValue {
        .object([
            "column": .number("\(origin.column)"), "file": .string(origin.file),
            "line": .number("\(origin.line)"), "message": .string(message),
            "name": .string(name), "profile": .string(profile),
        ])
    }
}
