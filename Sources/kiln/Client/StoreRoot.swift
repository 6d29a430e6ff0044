import ArgumentParser
import Glibc
import LocalStore
import StoreModel

/// The directory under which a store lies: an absolute path; `/` for the machine's own.
struct StoreRoot: Hashable, Sendable {
    /// The path, without a slash at the end unless it is `/`.
    let path: String

    /// Takes a path as the user wrote it.
    ///
    /// - Throws: ``InputError`` when it is empty, or relative and there is no working directory.
    init(_ text: String) throws(InputError) {
        guard !text.isEmpty, !text.utf8.contains(0) else {
            throw InputError("--root needs a directory")
        }
        let whole = try pathFromRoot(text)
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            guard part != ".." else {
                throw InputError("--root '\(text)' has '..' in it; write the directory's own path")
            }
            parts.append(part)
        }
        path = "/" + parts.joined(separator: "/")
    }

    /// What stands before the logical path of an object to make it a path of this machine.
    var prefix: String { path == "/" ? "" : path }

    /// The socket that a daemon of this store listens on.
    var socket: String { prefix + "/nix/var/nix/daemon-socket/socket" }

    /// The directory of build logs.
    var logs: String { prefix + "/nix/var/log/nix/drvs" }

    /// The directory of what builds were denied.
    var denials: String { StoreLayout(root: path).denials }

    /// Where an object lies on this machine.
    func place(of path: StorePath) -> String {
        prefix + StoreDirectory.standard.path(of: path).description
    }

    /// The root that is meant when none is given: the machine's for root, one's own for others.
    ///
    /// - Throws: ``InputError`` when the user has no home.
    static func standard() throws(InputError) -> StoreRoot {
        if geteuid() == 0 { return try StoreRoot("/") }
        // What is relative there is to be ignored (XDG Base Directory Specification).
        if let data = environmentVariable("XDG_DATA_HOME"), data.hasPrefix("/") {
            return try StoreRoot(data + "/kiln")
        }
        guard let home = environmentVariable("HOME"), home.hasPrefix("/") else {
            throw InputError("HOME is not set; say with --root where the store shall lie")
        }
        return try StoreRoot(home + "/.local/share/kiln")
    }

}

/// A path as it is, or below the working directory.
///
/// - Throws: ``InputError`` when there is no working directory.
func pathFromRoot(_ path: String) throws(InputError) -> String {
    if path.hasPrefix("/") { return path }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    guard getcwd(&buffer, buffer.count) != nil else { throw InputError(call: "getcwd", path: ".") }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let parts = path.split(separator: "/").filter { $0 != "." }
    return ([String(decoding: bytes, as: UTF8.self)] + parts.map(String.init))
        .joined(separator: "/")
}

/// A variable of the environment; nothing if it is not set.
func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// The options of every command that talks to a store.
struct StoreOptions: ParsableArguments {
    @Option(
        name: .customLong("root"),
        help: ArgumentHelp(
            """
            The directory that holds nix/store and nix/var (default: / for root, \
            $XDG_DATA_HOME/kiln for others).
            """,
            valueName: "dir"))
    var root: String?

    @Option(
        name: .customLong("policy-dir"),
        help: ArgumentHelp("The directory of policy files.", valueName: "dir"))
    var policies: String?

    /// The store's root, checked.
    func storeRoot() throws(InputError) -> StoreRoot {
        if let root { try StoreRoot(root) } else { try .standard() }
    }

    /// Connects, with nothing special asked for.
    func session() throws -> Session {
        try Session.open(
            EngineOptions(
                root: try storeRoot(), maximumJobs: 1, cores: 1, policies: policies))
    }

    /// Connects, does something, and ends the connection in order.
    func withSession(_ body: (Session) throws -> Void) throws {
        let session = try session()
        try session.run { try body(session) }
    }
}
