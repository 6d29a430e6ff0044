import ArgumentParser
import DerivationFormat
import Glibc
import Hashing
import LaunchModel
import Policy
import PolicyCompiler

/// `kiln policy`.
struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Checks and compiles what builds may do.",
        discussion: """
            Without a directory, policies are those in \(PolicyLocation.configured) if it exists, else those \
            installed beside the program (share/kiln/policies), else those of the checkout that the program \
            was built in.
            """,
        subcommands: [Check.self, Compile.self, Why.self])
}

extension PolicyCommand {
    /// `kiln policy check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says everything that is wrong with policies.",
            discussion: """
                A directory is read as a daemon reads it: it must belong to you or to root and be writable by \
                nobody else. A single file is only read; what it extends is looked for beside it, then where \
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

    /// `kiln policy compile`.
    struct Compile: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compiles every policy to what the launcher loads.",
            discussion: """
                Shows for each the length of its seccomp program and what it mounts, and the digest of all. \
                The SHA-256 of the file that --output writes is that digest.
                """)

        @Option(help: "Write the compiled policies to this file.")
        var output: String?

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The directory of policies.")
        var directory: String?

        func run() throws {
            let path = try directory ?? defaultPolicies()
            let compiled: CompiledPolicies
            do {
                compiled = try compile(try loadProfiles(try trustedSources(path)))
            } catch let error as InputError {
                throw error
            } catch let error as PolicyErrors {
                for error in error.errors { printError("\(error)") }
                throw ExitCode(2)
            } catch {
                throw InputError("\(path): \(error)")
            }
            if let output { try write(compiled.encoded, to: output) }
            let generation = Base16.encode(compiled.generation.bytes)
            if json {
                print(
                    JSONValue.object([
                        "generation": .string(generation),
                        "profiles": .array(compiled.profiles.map(\.json)),
                    ]).text)
                return
            }
            for profile in compiled.profiles {
                print(
                    "\(text(profile.name)): \(profile.instructions) BPF instructions, "
                        + count(profile.hostMounts.count, "mount"))
                for mount in profile.hostMounts {
                    let note = mount.presence == .optional ? " (if the host has it)" : ""
                    print("    \(text(mount.target)) is the host's \(text(mount.source))\(note)")
                }
            }
            print("generation \(generation)")
        }
    }
}

// MARK: Reading

private func defaultPolicies() throws -> String {
    do throws(UntrustedFile) { return try PolicyLocation.find() } catch {
        throw InputError("\(error)")
    }
}

private func isDirectory(_ path: String) throws -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { throw InputError(call: "stat", path: path) }
    return status.st_mode & S_IFMT == S_IFDIR
}

/// The policies of a directory, as a daemon of the caller would take them.
private func trustedSources(_ path: String) throws -> [PolicySource] {
    // The caller named the directory, by whatever links; what counts is where it is.
    guard let resolved = realpath(path, nil) else { throw InputError(call: "realpath", path: path) }
    defer { free(resolved) }
    let bytes = [UInt8](
        UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map(UInt8.init))
    let sources: [PolicySource]
    do throws(UntrustedFile) {
        sources = try readPolicyDirectory(bytes, trustedOwner: geteuid())
    } catch {
        throw InputError("\(error)")
    }
    guard !sources.isEmpty else { throw InputError("\(path): holds no policies (*.toml)") }
    return sources
}

private func checkDirectory(_ path: String) throws -> Int {
    try loadProfiles(try trustedSources(path)).count
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

private func source(_ name: String, _ path: String) throws -> PolicySource {
    guard let text = String(validating: try readFile(path, limit: 256 << 10), as: UTF8.self) else {
        throw InputError("\(path): is not UTF-8")
    }
    return PolicySource(name: name, file: path, text: text)
}

// MARK: Writing

private func write(_ bytes: [UInt8], to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o644)
    guard file >= 0 else { throw InputError(call: "open", path: path) }
    do {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(file, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw InputError(call: "write", path: path) }
            written += count
        }
    } catch {
        close(file)
        throw error
    }
    guard close(file) == 0 else { throw InputError(call: "close", path: path) }
}

private func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

extension PolicyError {
    fileprivate var json: JSONValue {
        .object([
            "column": .number(String(column)), "file": .string(file),
            "line": .number(String(line)), "message": .string(message),
            "suggestion": suggestion.map { .string($0) } ?? .null,
        ])
    }
}

extension CompiledProfile {
    /// How long the seccomp program is.
    fileprivate var instructions: Int { filter.count / 8 }

    fileprivate var json: JSONValue {
        .object([
            "instructions": .number(String(instructions)),
            "mounts": .array(
                hostMounts.map {
                    .object([
                        "from": .string(text($0.source)), "to": .string(text($0.target)),
                        "optional": .bool($0.presence == .optional),
                        "follow": .bool($0.followsLink),
                    ])
                }),
            "name": .string(text(name)),
        ])
    }
}
