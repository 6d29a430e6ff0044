import ArgumentParser
import BuildEngine
import Daemon
import DaemonWire
import Glibc
import HostSetup
import LaunchModel
import LocalStore
import Policy
import PolicyCompiler
import SandboxPlanning
import StoreModel
import SystemCalls

/// `kiln engine`: the child that the command starts where no daemon listens.
///
/// It reads policies, makes the store's directories and starts the launcher as whoever started it; then it
/// gives every right up, and only then reads its first request.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine", abstract: "Serves one connection that is open already.",
        shouldDisplay: false)

    @Option(name: .customLong("connection-fd"), help: "The descriptor of the connection.")
    var connection: CInt

    @Option(help: "Where the store lies.")
    var root: String

    @Option(name: .customLong("max-jobs"), help: "How many builds run at once.")
    var jobs: UInt16

    @Option(help: "What NIX_BUILD_CORES says; 0 is the number of processors.")
    var cores: Int

    @Option(name: .customLong("policy-dir"), help: "The directory of policies.")
    var policies: String?

    @Option(name: .customLong("build-users-group"), help: "The group whose members builds run as.")
    var group: String?

    @Option(name: .customLong("build-users"), help: "The most build users without an account.")
    var automaticUsers: UInt16?

    /// Serves the connection; what keeps it from that is told on standard error, with the status that the
    /// command ends with.
    func run() throws {
        do {
            try begin()
        } catch let error as PolicyErrors {
            for error in error.errors { printError("\(error)") }
            throw ExitCode(2)
        } catch {
            printError("kiln: error: \(error)")
            // Policies are input; the rest is how the host and the store are.
            let isInput =
                error is InputError || error is UntrustedFile || error is PolicyCompileError
            throw ExitCode(isInput ? 2 : 1)
        }
    }

    private func begin() throws {
        let owned = OwnedDescriptor(takingOwnershipOf: connection)
        let policies = try loadPolicies()
        let layout = StoreLayout(root: root)
        let start = EngineStart(
            layout: layout, users: users, jobs: jobs,
            profiles: policies.compiled.profiles, generation: policies.compiled.generation)
        let launcher = try start()
        let process = launcher.process
        // From here on this process has no rights but its own user's.
        let configuration = EngineConfiguration(
            layout: layout, settings: settings(), slots: Int(jobs), profiles: policies.forEngine,
            generation: policies.compiled.generation, readProfiles: readHandedPolicies,
            whenQuarantined: { user in
                let line = [UInt8]("kiln: alarm: \(user)\n".utf8)
                _ = write(STDERR_FILENO, line, line.count)
            })
        let engine = try Engine(configuration, launcher: launcher.takeConversation())
        serve(connection: owned, engine: engine, trust: .trusted)
        engine.shutDown()
        wait(for: process)
    }

    private var users: BuildUserChoice {
        if let group { return .group(group) }
        if let automaticUsers { return .automatic(automaticUsers) }
        return .host
    }

    /// What is loaded before any request is read.
    private struct Policies {
        let compiled: CompiledPolicies
        let forEngine: EngineProfiles
    }

    private func loadPolicies() throws -> Policies {
        let directory = try policies.map(pathFromRoot) ?? PolicyLocation.find()
        let profiles = try loadProfiles(
            readPolicyDirectory([UInt8](directory.utf8), trustedOwner: getuid()))
        return Policies(compiled: try compile(profiles), forEngine: EngineProfiles(of: profiles))
    }

    private func settings() -> BuildSettings {
        let system = hostSystem()
        return BuildSettings(
            system: ByteString(system),
            extraSystems: system == "x86_64-linux" ? ["i686-linux"] : [],
            systemFeatures: ["benchmark", "big-parallel", "nixos-test"],
            cores: cores == 0 ? processorCount() : cores)
    }

    /// Gives the launcher a moment to clear up; what it is still deleting then, it deletes by itself.
    private func wait(for launcher: pid_t) {
        for _ in 0..<150 {
            var status: CInt = 0
            if waitpid(launcher, &status, WNOHANG) != 0 { return }
            usleep(10_000)
        }
    }
}
