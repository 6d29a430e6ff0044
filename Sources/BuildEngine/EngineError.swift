public import ArchiveFormat
public import DerivationFormat
import Glibc
public import Hashing
public import LaunchModel
public import LocalStore
public import StoreFiles
public import StoreModel
public import SystemCalls

/// Why the engine did not do something.
public enum EngineError: Error, Hashable, Sendable {
    /// The conversation with the launcher is over; the text says why.
    case launcherGone(String)
    /// The launcher does not work on this host, or with this configuration.
    case launcherUnable(Refusal)
    /// The launcher refused a step for this object.
    case refused(StorePath, Refusal)
    /// The store refused or failed.
    case store(LocalStoreError)
    /// A system call failed.
    case system(SystemError)
    /// A file could not be read or written.
    case file(StoreFileError)
    /// What was sent is no archive.
    case archive(NARFault)
    /// No path follows from what was sent.
    case path(StorePathMakerFault)
    /// The derivation cannot be used; the text says why.
    case derivation(StorePath, String)
    /// What was sent for this path has another hash than was said.
    case hashMismatch(StorePath, specified: Digest, got: Digest)
    /// What was sent for this path has another size than was said.
    case sizeMismatch(StorePath, specified: UInt64, got: UInt64)
    /// The path does not follow from the content, as its address says.
    case notAddressed(StorePath, computed: StorePath)
    /// The object refers to one that is not valid.
    case invalidReference(StorePath, to: StorePath)
    /// Only one file that is not executable can be added like this.
    case notOneFile(String)
    /// More bytes than such an object may have.
    case tooLarge(String, limit: Int)
    /// The client may not do this; the text says what would be needed.
    case notAllowed(String)
    /// This engine does not do such a thing; the text says what.
    case unsupported(String)
    /// The engine is ending.
    case shuttingDown
}

extension EngineError: CustomStringConvertible {
    /// One sentence that says what was refused, where, and what to do.
    public var description: String {
        switch self {
        case .launcherGone(let why):
            "the launcher is gone (\(why)); nothing can be built or added any more"
        case .launcherUnable(let refusal): "the launcher does not work here: \(refusal)"
        case .refused(let path, let refusal): "'\(path)': \(refusal)"
        case .store(let error): "\(error)"
        case .system(let error): "\(error)"
        case .file(let error): "\(error)"
        case .archive(let fault): "\(fault)"
        case .path(let fault): "\(fault)"
        case .derivation(let path, let problem): "the derivation '\(path)' \(problem)"
        case .hashMismatch(let path, let specified, let got):
            "hash mismatch of '\(path)':\n  specified: \(specified.text(.sri, prefixed: false))\n"
                + "     got:    \(got.text(.sri, prefixed: false))"
        case .sizeMismatch(let path, let specified, let got):
            "'\(path)' should have \(specified) bytes as an archive, and has \(got)"
        case .notAddressed(let path, let computed):
            "'\(path)' does not follow from its content, which belongs at '\(computed)'"
        case .invalidReference(let path, let reference):
            "'\(path)' refers to '\(reference)', which is not valid; add that first"
        case .notOneFile(let name):
            "'\(name)' should be one file that is not executable"
        case .tooLarge(let name, let limit): "'\(name)' has more than \(limit) bytes"
        case .notAllowed(let what), .unsupported(let what): what
        case .shuttingDown: "the engine is shutting down"
        }
    }
}

extension Refusal: CustomStringConvertible {
    /// One clause that says which step was not done, and why.
    public var description: String {
        var text = reason.text
        if !subject.isEmpty { text += " ('\(String(decoding: subject, as: UTF8.self))')" }
        if errno != 0 { text += ": \(SystemError.text(of: errno))" }
        if let advice { text += "; \(advice)" }
        return text
    }
}

extension Refusal.Reason {
    /// One clause that says what the launcher found.
    fileprivate var text: String {
        switch self {
        case .staleGeneration: "the policies were reloaded in between; ask again"
        case .malformedRequest: "the launch request is malformed"
        case .storePermissions: "a directory on the way to the store is not root's alone"
        case .hostFeature: "the host lacks something that the policies need"
        case .stateDirectory: "a directory of the launcher's own could not be made or opened"
        case .userNotClean: "a build user has processes that cannot be killed"
        case .input: "an input is not in the store, or not what a store object must be"
        case .hostMount: "a place of the host that the profile needs is missing"
        case .buildDirectory: "the build directory could not be made"
        case .sandbox: "the sandbox could not be made"
        case .execute: "the builder could not be executed"
        case .outputMissing: "the builder did not make an output"
        case .outputOwnership:
            "an output is writable by others, or does not belong to the build user"
        case .outputFileType: "an output has a file of a type that outputs may not hold"
        case .outputSetID: "an output has a file with a set-id bit"
        case .outputHardLink: "an output has a file with a link outside of the outputs"
        case .outputLimit: "the outputs are larger, more or deeper than the profile allows"
        case .outputWriter: "a file of an output is still open for writing"
        case .outputAttributes: "an output has extended attributes that carry rights"
        case .adoption: "the tree is not the engine's alone"
        case .nameTaken: "the name is taken by an object already"
        case .systemCall: "a system call failed"
        case .notKept: "the build directory was not kept"
        case .outOfOrder: "the request was not legal in this phase of the build"
        }
    }
}
