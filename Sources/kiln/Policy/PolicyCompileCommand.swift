import ArgumentParser
import DerivationFormat
import Glibc
import Hashing
import LaunchModel
import Policy
import PolicyCompiler

extension PolicyCommand {
    /// `kiln policy compile`.
    struct Compile: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compiles every policy to what the launcher loads.",
            discussion: """
                Shows for each the length and the digest of its seccomp program, the digest of the whole \
                profile and what it mounts, and the digest of all, which is the generation. The SHA-256 of the \
                file that --output writes is that digest. With --dump the seccomp program of one profile is \
                printed instead, one instruction a line.
                """)

        @Option(help: "Write the compiled policies to this file.")
        var output: String?

        @Option(
            help: ArgumentHelp("Print the seccomp program of this profile.", valueName: "profile"))
        var dump: String?

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The directory of policies.")
        var directory: String?

        func validate() throws {
            if dump != nil, json || output != nil {
                throw ValidationError("--dump excludes --json and --output")
            }
        }

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
            if let dump {
                for line in try listing(of: dump, in: compiled) { print(line) }
                return
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
                print("    filter  \(digest(profile.filter))")
                print("    profile \(digest(profile.encoded))")
                for mount in profile.hostMounts {
                    let note = mount.presence == .optional ? " (if the host has it)" : ""
                    print("    \(text(mount.target)) is the host's \(text(mount.source))\(note)")
                }
            }
            print("generation \(generation)")
        }
    }
}

/// The seccomp program of the profile with a name, as text.
private func listing(of name: String, in policies: CompiledPolicies) throws -> [String] {
    guard let number = policies.number(named: name) else {
        let names = policies.profiles.map { text($0.name) }.joined(separator: ", ")
        throw InputError("there is no profile '\(name)'; there are: \(names)")
    }
    do throws(FilterInterpreter.Fault) {
        return try FilterInterpreter(policies.profiles[Int(number.rawValue)].filter).listing
    } catch {
        throw InputError("the kernel would not take the filter of '\(name)': \(error)")
    }
}

private func digest(_ bytes: [UInt8]) -> String { Base16.encode(Digest.of(.sha256, bytes).bytes) }

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

extension CompiledProfile {
    /// How long the seccomp program is.
    fileprivate var instructions: Int { filter.count / 8 }

    fileprivate var json: JSONValue {
        .object([
            "digest": .string(digest(encoded)), "filterDigest": .string(digest(filter)),
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
