import DaemonWire
import Glibc
import StoreFiles
import StoreModel
import SystemCalls

/// Why a conversation with an engine or a daemon did not give what was asked.
enum ClientError: Error, Hashable, Sendable {
    /// The other side said no; its words, and what it was doing from the inside out.
    case refused(String, traces: [String])
    /// The connection ended while an answer was awaited.
    case closed
    /// The user wanted to stop.
    case interrupted
    /// The other side spoke nonsense, or the connection failed.
    case wire(WireError)
    /// The other side is older than what the command needs.
    case tooOld(ProtocolVersion)
    /// The other side said something that has no place in this request.
    case unexpected(String)
    /// What should be sent cannot be read.
    case source(StoreFileError)
    /// What should be sent is not what it was when it was read first.
    case changed(String)
    /// What was received cannot be written.
    case sink(SystemError)
    /// What was received is not what the store says it is.
    case corrupt(StorePath)

    init(_ error: WireError) {
        switch error {
        case .stream(errno: ECANCELED): self = .interrupted
        case .truncated, .stream(errno: EPIPE), .stream(errno: ECONNRESET): self = .closed
        default: self = .wire(error)
        }
    }
}

extension ClientError: CustomStringConvertible {
    var description: String {
        switch self {
        case .refused(let message, let traces):
            ([message] + traces.map { "  … \($0)" }).joined(separator: "\n")
        case .closed: "the other side ended the connection before it answered"
        case .interrupted: "interrupted"
        case .wire(let error): "\(error)"
        case .tooOld(let version):
            "the daemon speaks version 1.\(version.minor) of the worker protocol; "
                + "1.\(WorkerClient.oldest.minor) (Nix 2.8) or newer is needed"
        case .unexpected(let what): "the daemon sent \(what), which has no place here"
        case .source(let error): "\(error)"
        case .changed(let path): "\(path): changed while it was read; try again when it is at rest"
        case .sink(let error): "\(error)"
        case .corrupt(let path):
            "the archive of '\(path)' is not what the store says it is; "
                + "'kiln store verify --check-contents' looks at every object"
        }
    }
}

/// Turns the errors of the wire into those of a client.
func wire<R>(_ body: () throws(WireError) -> R) throws(ClientError) -> R {
    do {
        return try body()
    } catch {
        throw ClientError(error)
    }
}
