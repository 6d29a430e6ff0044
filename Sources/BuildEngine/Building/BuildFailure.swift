import LaunchModel
import SandboxPlanning
import StoreFiles
import StoreModel
import SystemCalls

/// Why a build came to nothing.
enum BuildFailure: Error {
    /// Nobody wants it any more.
    case cancelled
    /// It cannot be planned.
    case planning(PlanningFault)
    /// A needed output does not exist.
    case noSuchOutput(StorePath, OutputName)
    /// No profile has this name.
    case unknownProfile(String)
    /// The builder ended with this status.
    case exited(UInt8)
    /// This signal ended the builder.
    case signaled(UInt8)
    /// The builder was killed, and not at the engine's request.
    case died
    /// The builder wrote nothing for so many seconds.
    case silent(UInt64)
    /// The build took longer than so many seconds.
    case tooSlow(UInt64)
    /// The builder wrote more than so many bytes.
    case logTooLong(UInt64)
    /// The launcher refused a step.
    case refused(Refusal)
    /// The outputs break a rule of the derivation.
    case outputs(OutputFault)
    /// An output cannot be read.
    case unreadable(StoreFileError)
    /// Something of the engine's own failed.
    case engine(EngineError)

    /// How clients are told.
    var status: BuildResult.Status {
        switch self {
        case .cancelled, .died, .engine, .unknownProfile: .miscellaneousFailure
        case .planning, .noSuchOutput: .inputRejected
        case .exited, .signaled: .permanentFailure
        case .silent, .tooSlow: .timedOut
        case .logTooLong: .logLimitExceeded
        case .refused(let refusal): refusal.reason.status
        case .outputs, .unreadable: .outputRejected
        }
    }

    /// What happened, for people to read.
    func message(of path: StorePath, log: BuildLog?) -> String {
        switch self {
        case .cancelled: return "the build of '\(path)' was cancelled"
        case .planning(let fault): return "'\(path)' cannot be built: \(fault)"
        case .noSuchOutput(let input, let output):
            return
                "'\(path)' needs the output '\(output)' of '\(input)', which has none of that name"
        case .unknownProfile(let name):
            return "'\(path)' cannot be built: there is no profile '\(name)'; "
                + "'kiln policy compile' lists those that are installed"
        case .exited(let status):
            return failed(path, "with exit code \(status)", log)
        case .signaled(let signal): return failed(path, "due to signal \(signal)", log)
        case .died: return failed(path, "because its first process was killed", log)
        case .silent(let limit):
            return failed(path, "because it was silent for \(limit) seconds", log)
        case .tooSlow(let limit):
            return failed(path, "because it took longer than \(limit) seconds", log)
        case .logTooLong(let limit):
            return failed(path, "because it wrote more than \(limit) bytes to its log", log)
        case .refused(let refusal) where refusal.reason.status == .outputRejected:
            return "the outputs of '\(path)' are rejected: \(refusal)"
        case .refused(let refusal):
            return "'\(path)' was not built: \(refusal)"
        case .outputs(let fault): return "\(fault)"
        case .unreadable(let error): return "the outputs of '\(path)' are rejected: \(error)"
        case .engine(let error): return "'\(path)' was not built: \(error)"
        }
    }

    private func failed(_ path: StorePath, _ how: String, _ log: BuildLog?) -> String {
        var text = "builder for '\(path)' failed \(how)"
        guard let log, log.size > 0 else { return text }
        let lines = log.tail
        text +=
            lines.count == 1
            ? ";\nlast line of its log:" : ";\nlast \(lines.count) lines of its log:"
        for line in lines { text += "\n> " + String(decoding: line, as: UTF8.self) }
        return text + "\nfull log: kiln log \(path)"
    }
}

extension Refusal.Reason {
    /// How clients are told of a build that ended with this refusal.
    fileprivate var status: BuildResult.Status {
        switch self {
        case .outputMissing, .outputOwnership, .outputFileType, .outputSetID, .outputHardLink,
            .outputLimit, .outputWriter, .outputAttributes:
            .outputRejected
        case .execute: .permanentFailure
        case .staleGeneration, .userNotClean: .transientFailure
        case .malformedRequest, .storePermissions, .hostFeature, .stateDirectory, .input,
            .hostMount, .buildDirectory, .sandbox, .adoption, .nameTaken, .systemCall, .outOfOrder,
            .notKept:
            .miscellaneousFailure
        }
    }
}
