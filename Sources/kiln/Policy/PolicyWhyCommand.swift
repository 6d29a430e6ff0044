import ArgumentParser
import BuildEngine
import DerivationFormat
import LocalStore
import Policy
import StoreModel

extension PolicyCommand {
    /// `kiln policy why`.
    struct Why: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "why",
            abstract: "Says what a build was denied, and what would allow it.",
            discussion: """
                Tells of the last build of a derivation, or of the one that an object came from: each denied \
                call, the line of the policy that denies it, and the smallest change that allows it. Calls \
                that programs make by the thousand are denied without being told.
                """)

        @OptionGroup var store: StoreOptions

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "A derivation, the output of one, or the file of a build's log.")
        var build: String

        func run() throws {
            let root = try store.storeRoot()
            let derivation: StorePath
            if let logged = loggedDerivation(build) {
                derivation = logged
            } else {
                derivation = try store.derivation(behind: try storePath(build, in: root))
            }
            guard let record = try DenialRecord(of: derivation, in: root.denials) else {
                guard try BuildLog(of: derivation, in: root) != nil else {
                    throw CommandFailure(
                        "there is no log of '\(fullPath(derivation))' in \(root.logs); "
                            + "it was not built there")
                }
                print(
                    json
                        ? JSONValue.object([
                            "denied": .array([]), "drvPath": .string(fullPath(derivation)),
                        ]).text
                        : "nothing that is told was denied when '\(fullPath(derivation))' was built last"
                )
                return
            }
            if json {
                print(
                    JSONValue.object([
                        "counting": .string(record.counting.rawValue),
                        "denied": record.deniedJSON,
                        "drvPath": .string(fullPath(derivation)),
                        "others": .number("\(record.others)"),
                        "startTime": .number("\(record.startTime)"),
                    ]).text)
            } else {
                // Names of programs and files are not ours.
                for line in explanation(of: record) { print(plainText(line)) }
            }
        }
    }
}

/// What people are told of the denials of a build.
///
/// - Parameter record: The denials.
/// - Returns: The lines.
func explanation(of record: DenialRecord) -> [String] {
    let more = record.counting == .exact ? "" : " or more"
    var lines = [fullPath(record.derivation)]
    for denial in record.denied {
        let times = denial.count == 1 && more.isEmpty ? "once" : "\(denial.count)\(more) times"
        lines += ["", "denied    \(denial.spelledCall), \(times), with \(denial.answer)"]
        lines.append("program   \(denial.program)")
        var place = "by        \(denial.origin)"
        if denial.origin.file != denial.policyFile { place += ", for the policy \(denial.policy)" }
        lines.append(place)
        if !denial.reason.isEmpty { lines.append("because   \(denial.reason)") }
        lines.append("to allow  \(denial.allowWith)")
        lines.append("in        \(denial.policyFile)")
    }
    if record.others > 0 {
        lines += ["", "denied    \(record.others)\(more) calls of other kinds"]
    }
    return lines
}

/// The derivation whose log a path is, such as `…/drvs/ab/cdef-x.drv.bz2`.
///
/// - Returns: The derivation; nothing for any other path.
func loggedDerivation(_ path: String) -> StorePath? {
    let parts = path.split(separator: "/")
    guard parts.count >= 3, parts[parts.count - 3] == "drvs", parts[parts.count - 2].utf8.count == 2
    else { return nil }
    var name = parts[parts.count - 2] + parts[parts.count - 1]
    if name.hasSuffix(".bz2") { name.removeLast(4) }
    guard name.hasSuffix(".drv") else { return nil }
    do {
        return try StorePath(baseName: [UInt8](name.utf8))
    } catch {
        return nil
    }
}
