public import SystemCalls

/// Why nothing can be built on this host, or in this store, as things are.
public enum HostSetupError: Error, Hashable, Sendable {
    /// A directory belongs to, or can be changed by, somebody who could then change the store.
    case unsafeDirectory(path: String, problem: String, repair: String)
    /// The group of the build users is missing or has no members.
    case buildGroup(String, problem: String, repair: String)
    /// The launcher's program was not found, or is not to be trusted.
    case launcher(path: String, problem: String)
    /// A drop of privileges did not happen.
    case privilegesKept(String)
    /// A system call failed.
    case system(SystemError)
}

extension HostSetupError: CustomStringConvertible {
    /// What was refused, and what repairs it.
    public var description: String {
        switch self {
        case .unsafeDirectory(let path, let problem, let repair):
            "'\(path)' \(problem); to repair it: \(repair)"
        case .buildGroup(let group, let problem, let repair):
            "the group '\(group)' of the build users \(problem); \(repair)"
        case .launcher(let path, let problem): "the launcher '\(path)' \(problem)"
        case .privilegesKept(let what): "the engine could not give up \(what)"
        case .system(let error): "\(error)"
        }
    }
}

/// Runs `body`; a call that failed becomes this module's error.
@discardableResult
func system<R: ~Copyable>(_ body: () throws(SystemError) -> R) throws(HostSetupError) -> R {
    do {
        return try body()
    } catch {
        throw .system(error)
    }
}
