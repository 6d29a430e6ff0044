import BuildEngine
import DerivationFormat
import StoreModel
import SystemCalls

/// What became of everything that was asked for.
struct BuildReport: Sendable {
    /// One thing that was asked for.
    struct Item: Sendable {
        let target: DerivedPath
        /// What became of it; nothing when it was never begun.
        let result: BuildResult?
        /// The objects, in the order in which they are printed.
        let outputs: [(name: String, path: StorePath)]
        /// What it was denied, if it was built now and anything was.
        var denials: DenialRecord?

        /// Whether it is there now.
        var isSuccess: Bool { result?.status.isSuccess ?? false }

        /// The path of the object or derivation.
        var path: StorePath {
            switch target {
            case .opaque(let path): path
            case .built(let path, _): path
            }
        }
    }

    var items: [Item] = []

    /// Reads what was denied to what was built now.
    mutating func readDenials(in root: StoreRoot) throws(SystemError) {
        for index in items.indices {
            guard case .built(let path, _) = items[index].target,
                let start = items[index].result?.startTime, start > 0,
                let record = try DenialRecord(of: path, in: root.denials),
                record.startTime == start
            else { continue }
            items[index].denials = record
        }
    }

    /// Whether everything is there now.
    var isSuccess: Bool { items.allSatisfy(\.isSuccess) }

    /// The machine's form.
    var json: JSONValue {
        .array(
            items.map { item in
                var members: [String: JSONValue] = [
                    "success": .bool(item.isSuccess),
                    "status": item.result.map { .string("\($0.status)") } ?? .string("notStarted"),
                ]
                switch item.target {
                case .opaque(let path): members["path"] = .string(fullPath(path))
                case .built(let path, _):
                    members["drvPath"] = .string(fullPath(path))
                    let outputs = item.outputs.map {
                        ($0.name, JSONValue.string(fullPath($0.path)))
                    }
                    members["outputs"] = .object(Dictionary(outputs) { first, _ in first })
                }
                guard let result = item.result else { return .object(members) }
                if !result.message.isEmpty {
                    members["error"] = .string(plainText(result.message))
                }
                if result.startTime > 0 {
                    members["startTime"] = .number("\(result.startTime)")
                    members["stopTime"] = .number("\(result.stopTime)")
                    if case .built = item.target {
                        members["denied"] = item.denials?.deniedJSON ?? .array([])
                        members["deniedOthers"] = item.denials.map { .number("\($0.others)") }
                    }
                }
                return .object(members)
            })
    }
}

/// What people are told of a failure: what failed, why, the end of the log, and where the rest is.
///
/// - Parameters:
///   - item: What failed.
///   - tail: The last lines of its log that were heard.
///   - logOptions: What `kiln log` needs to find the same store, such as `--root DIR`.
/// - Returns: The lines.
func failureLines(
    _ item: BuildReport.Item, tail: [String], logOptions: [String]
) -> [String] {
    let name = shortName(of: item.path)
    guard let result = item.result else {
        return ["\(name) was not built, since something else failed"]
    }
    var message = plainText(result.message).split(separator: "\n").map(String.init)
    if message.isEmpty { message = [text(of: result.status)] }
    if !logOptions.isEmpty {
        // The engine does not know how the command was told where the store lies.
        for (start, command) in [
            ("full log: kiln log ", ["full log: kiln", "log"]),
            ("and more: kiln policy why ", ["and more: kiln", "policy", "why"]),
        ] {
            let whole = (command + logOptions).joined(separator: " ") + " "
            message = message.map {
                $0.hasPrefix(start) ? whole + $0.dropFirst(start.count) : $0
            }
        }
    }
    var lines = ["\(name) failed: \(message[0])"] + message.dropFirst().map { "  \($0)" }
    let isSaid = message.contains { $0.contains("kiln log") || $0.contains("nix log") }
    guard !isSaid, item.path.isDerivation, result.status != .dependencyFailed else { return lines }
    if !tail.isEmpty, !message.contains(where: { $0.contains(tail[tail.count - 1]) }) {
        lines.append(
            tail.count == 1
                ? "  the last line of the log:" : "  the last \(tail.count) lines of the log:")
        lines += tail.map { "  > \($0)" }
    }
    if result.status != .inputRejected {
        let command = ["kiln", "log"] + logOptions + [fullPath(item.path)]
        lines.append("  the whole log: \(command.joined(separator: " "))")
    }
    return lines
}

/// A status in words.
private func text(of status: BuildResult.Status) -> String {
    switch status {
    case .built, .substituted, .alreadyValid, .resolvesToAlreadyValid: "it did not fail"
    case .permanentFailure, .cachedFailure, .miscellaneousFailure: "the build failed"
    case .inputRejected: "an input was refused"
    case .outputRejected: "an output was refused"
    case .transientFailure: "the build failed, and may not fail again"
    case .timedOut: "the build took too long"
    case .dependencyFailed: "something that it needs failed"
    case .logLimitExceeded: "the build printed too much"
    case .notDeterministic: "two builds gave different outputs"
    case .noSubstituters: "nobody has it"
    }
}
