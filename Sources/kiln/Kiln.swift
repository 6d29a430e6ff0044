import ArgumentParser
import Glibc

/// The command.
struct Kiln: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kiln",
        abstract: "Reads, checks and hashes what Nix stores are made of.",
        subcommands: [DerivationCommand.self, HashCommand.self])
}

/// Runs the command and maps what it throws to exit statuses: 0, 1 (something that was checked is
/// wrong), 2 (bad usage or input).
@main
enum Main {
    static func main() {
        do {
            var command = try Kiln.parseAsRoot()
            try command.run()
        } catch let error as InputError {
            printError("kiln: error: \(error)")
            exit(2)
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
