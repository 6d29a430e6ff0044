import Glibc
import SystemCalls

/// Looks at a directory and everything above it: nobody but its owner may be able to replace it.
///
/// The launcher looks again, with descriptors that it keeps. This look is for the message, and, for an
/// ordinary user, for the true owners, which do not show inside a user namespace.
///
/// - Parameters:
///   - path: An absolute path.
///   - trusted: Whose directories are acceptable: root's and these users'.
///   - isStore: Whether ``checkStore(_:owner:buildGroup:)`` looks at the directory's own mode instead.
/// - Throws: ``HostSetupError/unsafeDirectory(path:problem:repair:)`` for the first that is not.
func checkDirectory(
    _ path: String, trusted: Set<UInt32>, isStore: Bool = false
) throws(HostSetupError) {
    var current = ""
    for component in [""] + path.split(separator: "/").map(String.init) {
        current = component.isEmpty ? "/" : (current == "/" ? "" : current) + "/" + component
        var found = stat()
        let place = current
        try system { () throws(SystemError) in
            try check("lstat", on: place) { lstat(place, &found) }
        }
        guard found.st_mode & S_IFMT == S_IFDIR else {
            throw .unsafeDirectory(
                path: current, problem: "is not a directory, and no part of the way may be a link",
                repair: "name the store by its true path")
        }
        guard found.st_uid == 0 || trusted.contains(found.st_uid) else {
            throw .unsafeDirectory(
                path: current,
                problem: "belongs to the user \(found.st_uid), who could replace the store",
                repair: "chown root '\(current)', or choose a --root elsewhere")
        }
        guard found.st_mode & 0o022 == 0 || (isStore && current == path) else {
            throw .unsafeDirectory(
                path: current, problem: "can be written by others, who could replace the store",
                repair: "chmod go-w '\(current)', or choose a --root elsewhere")
        }
    }
}

/// Makes a directory and those above it that are missing, each where nobody else can put a link instead.
///
/// - Parameters:
///   - path: An absolute path.
///   - trusted: Whose directories are acceptable: root's and these users'.
/// - Throws: ``HostSetupError/unsafeDirectory(path:problem:repair:)`` before anything is made in a
///   directory that is not.
func makeDirectories(_ path: String, trusted: Set<UInt32>) throws(HostSetupError) {
    var made = ""
    for component in path.split(separator: "/") {
        try checkDirectory(made, trusted: trusted)
        made += "/" + component
        if mkdir(made, 0o755) == -1, errno != EEXIST {
            throw .system(SystemError(call: "mkdir", path: made, errno: errno))
        }
    }
    try checkDirectory(made, trusted: trusted)
}

/// Checks the store directory's own permissions: its owner's alone, or as Nix has them.
func checkStore(_ path: String, owner: UInt32, buildGroup: UInt32?) throws(HostSetupError) {
    var found = stat()
    try system { () throws(SystemError) in try check("lstat", on: path) { lstat(path, &found) } }
    let mode = found.st_mode & 0o7777
    let isNixs = mode == 0o1775 && buildGroup == found.st_gid
    guard found.st_uid == owner, mode & 0o022 == 0 || isNixs else {
        throw .unsafeDirectory(
            path: path,
            problem:
                "has the owner \(found.st_uid):\(found.st_gid) and the mode \(String(mode, radix: 8)), "
                + "so others than the launcher could change objects",
            repair: "chown \(owner):\(owner) '\(path)' && chmod 755 '\(path)'")
    }
}
