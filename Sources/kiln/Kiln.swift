import ArgumentParser
import Glibc
import SystemCalls

/// The command.
struct Kiln: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kiln",
        abstract: "Builds derivations in sandboxes, and keeps a store of what was built.",
        subcommands: [
            BuildCommand.self, InstantiateCommand.self, DerivationCommand.self, StoreCommand.self,
            LogCommand.self, HashCommand.self, PolicyCommand.self, DoctorCommand.self,
            EngineCommand.self,
        ])
}

/// Runs the command and maps what it throws to exit statuses: 0, 1 (a build failed, or something that was
/// checked is wrong), 2 (bad usage or input), 130 (interrupted).
@main
enum Main {
    static func main() {
        do {
            var command = try Kiln.parseAsRoot()
            try command.run()
        } catch let error as InputError {
            printError("kiln: error: \(error)")
            exit(2)
        } catch let error as CommandFailure {
            printError("kiln: error: \(error)")
            exit(1)
        } catch let error as SystemError {
            printError("kiln: error: \(error)")
            exit(1)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            // Asking for help is an "error" too, with status 0 and a message for standard output.
            guard Kiln.exitCode(for: error) == .success else {
                printError(Kiln.fullMessage(for: error))
                exit(2)
            }
            print(Kiln.fullMessage(for: error))
        }
    }
}
