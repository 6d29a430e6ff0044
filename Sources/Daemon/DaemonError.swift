import BuildEngine
import DaemonWire
import LocalStore
import StoreFiles
import StoreModel

/// Why a request was not done.
///
/// All but `connection` are told to the client, and the connection goes on.
enum DaemonError: Error {
    /// The client is gone, or what it sent cannot be understood.
    case connection(WireError)
    case engine(EngineError)
    case store(LocalStoreError)
    case file(StoreFileError)
    /// The request fails; the text says what, where and why.
    case failed(String)

    var message: String {
        switch self {
        case .connection(let error): "\(error)"
        case .engine(let error): "\(error)"
        case .store(let error): "\(error)"
        case .file(let error): "\(error)"
        case .failed(let text): text
        }
    }
}

/// Runs what can only fail with the connection.
func onConnection<R>(_ body: () throws(WireError) -> R) throws(DaemonError) -> R {
    do {
        return try body()
    } catch {
        throw .connection(error)
    }
}

/// Runs what can only fail in the engine.
func inEngine<R>(_ body: () throws(EngineError) -> R) throws(DaemonError) -> R {
    do {
        return try body()
    } catch {
        throw .engine(error)
    }
}

/// Runs what can only fail in the store.
func inStore<R>(_ body: () throws(LocalStoreError) -> R) throws(DaemonError) -> R {
    do {
        return try body()
    } catch {
        throw .store(error)
    }
}
