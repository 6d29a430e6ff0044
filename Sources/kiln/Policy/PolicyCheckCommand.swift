import ArgumentParser
import DerivationFormat
import Glibc
import Policy

extension PolicyCommand {
    /// `kiln policy check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says everything that is wrong with policies.",
            discussion: """
                A directory is read as a daemon reads it: it must belong to you or to root and be writable by \
                nobody else; the expectations in its directory 'tests' are read too, and what they expect is asked \
                by 'kiln policy test'. A single file is only read; what it extends is looked for beside it, then where \
                policies are by default.
                """)

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "Policy files, or directories of them.")
        var paths: [String] = []

        func run() throws {
            var profiles = 0
            var errors: [PolicyError] = []
            for path in try paths.isEmpty ? [defaultPolicies()] : paths {
                do {
                    profiles += try isDirectory(path) ? checkDirectory(path) : checkFile(path)
                } catch let error as PolicyErrors {
                    errors += error.errors
                }
            }
            if json {
                print(
                    JSONValue.object([
                        "errors": .array(errors.map(\.json)),
                        "profiles": .number(String(profiles)),
                    ]).text)
            } else {
                for error in errors { printError("\(error)") }
            }
            guard errors.isEmpty else { throw ExitCode(2) }
            if !json { print("\(count(profiles, "profile")) ok") }
        }
    }
}

/// Checks all profiles of a directory, and the expectations in `tests` if there are any.
private func checkDirectory(_ path: String) throws -> Int {
    let profiles = try loadProfiles(try trustedSources(path))
    let tests = path + "/tests"
    var status = stat()
    if stat(tests, &status) == 0 {
        _ = try loadExpectations(try trustedSources(tests), of: profiles)
    } else if errno != ENOENT {
        throw InputError(call: "stat", path: tests)
    }
    return profiles.count
}

/// Checks one file and what it extends.
private func checkFile(_ path: String) throws -> Int {
    let name = String(decoding: baseName(of: path), as: UTF8.self)
    guard name.hasSuffix(".toml") else { throw InputError("\(path): not a policy (*.toml)") }
    let profile = String(name.dropLast(5))
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { String(path[...$0]) } ?? ""
    var sources = [try source(profile, path)]
    for sibling in try directoryEntries(directory.isEmpty ? "." : directory) {
        let sibling = String(decoding: sibling, as: UTF8.self)
        guard sibling.hasSuffix(".toml"), sibling != name else { continue }
        sources.append(try source(String(sibling.dropLast(5)), directory + sibling))
    }
    if chainOfSources(from: profile, in: sources).missing != nil {
        let known = Set(sources.map(\.name))
        sources += try trustedSources(try defaultPolicies()).filter { !known.contains($0.name) }
    }
    let files = Set(chainOfSources(from: profile, in: sources).chain.map(\.file))
    do throws(PolicyErrors) {
        _ = try loadProfiles(sources)
    } catch {
        // Its neighbours' mistakes are theirs.
        let errors = error.errors.filter { files.contains($0.file) }
        if !errors.isEmpty { throw PolicyErrors(errors) }
    }
    return 1
}

extension PolicyError {
    fileprivate var json: JSONValue {
        .object([
            "column": .number(String(column)), "file": .string(file),
            "line": .number(String(line)), "message": .string(message),
            "suggestion": suggestion.map { .string($0) } ?? .null,
        ])
    }
}
