public import StoreDatabase
public import StoreFiles
public import StoreModel
public import SystemCalls

/// Why the store refused something, or could not do it.
public enum LocalStoreError: Error, Hashable, Sendable {
    /// A system call failed.
    case system(SystemError)
    /// The database failed, or refused a registration.
    case database(StoreDatabaseError)
    /// The directory of the objects is not there; it belongs to root, so nobody makes it in passing.
    case storeDirectoryMissing(String)
    /// The state directory has another schema than 10: what its file says, and which file.
    case schema(String, file: String)
    /// The schema file is there and the database is not.
    case databaseMissing(String)
    /// The path is not valid.
    case notValid(StorePath)
    /// The object that should become valid does not lie in the store directory.
    case objectMissing(StorePath, at: String)
    /// A root or a valid object keeps this one alive.
    case stillAlive(StorePath, root: String)
    /// An object cannot be read.
    case object(StorePath, StoreFileError)
    /// The object is no derivation, or one whose paths do not follow from it.
    case derivation(StorePath, fault: String)
    /// Something that may be a root cannot be understood, so nothing may be taken for dead.
    case unreadableRoot(String, fault: String)
    /// No link can be made there.
    case link(String, fault: String)
}

extension LocalStoreError: CustomStringConvertible {
    /// One sentence that says what was refused, where, and what to do about it.
    public var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .database(let error): "\(error)"
        case .storeDirectoryMissing(let path):
            "the store directory '\(path)' does not exist; make it as root, with mode 1775 or 0755"
        case .schema(let text, let file):
            "'\(file)' says that the store has schema '\(text)', and only 10 is known; "
                + "a lower one is upgraded by running a current nix-store once"
        case .databaseMissing(let path):
            "the database '\(path)' is missing although the schema file beside it is there; "
                + "restore it from a backup"
        case .notValid(let path): "'\(path)' is not valid"
        case .objectMissing(let path, let place):
            "'\(path)' cannot become valid, because '\(place)' is no object"
        case .stillAlive(let path, let root): "'\(path)' is alive: \(root)"
        case .object(let path, let error): "'\(path)' cannot be read: \(error)"
        case .derivation(let path, let fault): "the derivation '\(path)' is refused: \(fault)"
        case .unreadableRoot(let place, let fault):
            "'\(place)' may keep objects alive and cannot be understood: \(fault)"
        case .link(let link, let fault): "'\(link)' cannot become a root: \(fault)"
        }
    }
}

extension LocalStoreError {
    /// The database's refusal in this module's terms.
    init(_ error: StoreDatabaseError) {
        self =
            switch error {
            case .notValid(let path): .notValid(path)
            case .stillReferenced(let path, let referrer):
                .stillAlive(path, root: "the valid object '\(referrer)' refers to it")
            default: .database(error)
            }
    }
}

/// Runs what only system calls can make fail.
func systemCalls<R>(_ body: () throws(SystemError) -> R) throws(LocalStoreError) -> R {
    do {
        return try body()
    } catch {
        throw .system(error)
    }
}

/// Runs what only the database can make fail.
func inDatabase<R>(_ body: () throws(StoreDatabaseError) -> R) throws(LocalStoreError) -> R {
    do {
        return try body()
    } catch {
        throw LocalStoreError(error)
    }
}
