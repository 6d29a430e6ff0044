import Glibc
import LaunchModel
import Policy
import SystemCalls

/// Finds the file that becomes `/bin/sh` among the candidates of a profile; an empty list means none.
///
/// The first candidate that is a regular file is taken or refused; later ones are not tried, so that what a
/// build gets does not change silently when a file becomes unusable.
func shellMount(
    of profile: Profile, for architecture: Architecture
) throws(PolicyCompileError) -> HostMount? {
    let candidates = profile.shell.value
    for candidate in candidates {
        let path: String
        switch realPath(candidate) {
        case .absent: continue
        case .path(let found): path = found
        case .failed(let reason):
            throw .unusableShell(profile: profile.name, path: candidate, reason: reason)
        }
        switch examine(path, for: architecture) {
        case .notRegular: continue
        case .usable:
            return HostMount(
                source: Array(path.utf8), target: Array("/bin/sh".utf8), presence: .required,
                followsLink: false)
        case .unusable(let reason):
            throw .unusableShell(profile: profile.name, path: candidate, reason: reason)
        }
    }
    guard candidates.isEmpty else {
        throw .noShell(profile: profile.name, candidates: candidates)
    }
    return nil
}

private enum RealPath {
    case path(String)
    case absent
    case failed(String)
}

private func realPath(_ path: String) -> RealPath {
    guard let resolved = realpath(path, nil) else {
        let code = errno
        return code == ENOENT || code == ENOTDIR
            ? .absent : .failed("cannot be examined (\(errorText(code)))")
    }
    defer { free(resolved) }
    guard let text = String(validatingCString: resolved), isAbsoluteCleanPath(Array(text.utf8))
    else { return .failed("has a name that is not UTF-8") }
    return .path(text)
}

private enum Examination {
    case usable
    case notRegular
    case unusable(String)
}

/// Looks at a file and at every directory above it; `path` has no symbolic links.
private func examine(_ path: String, for architecture: Architecture) -> Examination {
    do throws(SystemError) {
        var prefix = ""
        let components = path.split(separator: "/")
        for component in [""] + components.dropLast() {
            if !component.isEmpty { prefix += "/" + component }
            let directory = prefix.isEmpty ? "/" : prefix
            var status = stat()
            try check("lstat", on: directory) { lstat(directory, &status) }
            if let reason = distrust(status) {
                return .unusable("lies below \(directory), which \(reason)")
            }
        }
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        let number = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        let code = errno
        guard number >= 0 else { throw SystemError(call: "open", path: path, errno: code) }
        let file = OwnedDescriptor(takingOwnershipOf: number)
        return try file.withNumber { (number) throws(SystemError) in
            var status = stat()
            try check("fstat", on: path) { fstat(number, &status) }
            guard status.st_mode & S_IFMT == S_IFREG else { return .notRegular }
            if let reason = distrust(status) { return .unusable(reason) }
            guard status.st_mode & 0o005 == 0o005 else {
                return .unusable("is not readable and executable for every user")
            }
            let fault = try StaticProgram.fault(of: number, for: architecture)
            return fault.map { .unusable($0) } ?? .usable
        }
    } catch {
        return .unusable("cannot be examined (\(error))")
    }
}

/// Why somebody who may not decide what builds run could have written this.
private func distrust(_ status: stat) -> String? {
    // A rootless user decides for the user's own builds.
    guard status.st_uid == 0 || status.st_uid == geteuid() else {
        return "belongs to user \(status.st_uid), not to root"
    }
    return status.st_mode & 0o022 == 0 ? nil : "is writable by its group or by everybody"
}
