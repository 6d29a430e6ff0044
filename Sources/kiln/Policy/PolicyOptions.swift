import ArgumentParser
import Policy

/// Which policies a command looks at.
struct PolicyOptions: ParsableArguments {
    @Option(
        name: .customLong("policy-dir"),
        help: "The directory of policies (default: see 'kiln policy --help').")
    var directory: String?

    /// All profiles of the directory.
    ///
    /// - Throws: ``InputError``, or `PolicyErrors` with every mistake in them.
    func profiles() throws -> [Profile] { try profilesOfDirectory(directory) }
}

/// All profiles of a directory, or of the one that counts when nobody names one.
func profilesOfDirectory(_ directory: String?) throws -> [Profile] {
    try loadProfiles(try trustedSources(try directory ?? defaultPolicies()))
}

/// The profile with a name.
///
/// - Throws: ``InputError`` that names those that are there.
func profile(named name: String, in profiles: [Profile]) throws -> Profile {
    guard let profile = profiles.first(where: { $0.name == name }) else {
        let names = profiles.map(\.name).sorted().joined(separator: ", ")
        throw InputError("there is no profile '\(name)'; there are: \(names)")
    }
    return profile
}

/// Runs a command's body; mistakes in policies are printed and end the command with status 2.
func reportingPolicyErrors(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as PolicyErrors {
        for error in error.errors { printError("\(error)") }
        throw ExitCode(2)
    }
}
