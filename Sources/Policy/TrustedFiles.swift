import Glibc

/// Why a policy directory or a file in it was not trusted or not read.
public struct UntrustedFile: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path.
    public var path: String
    /// What is wrong with it.
    public var reason: String

    /// The path and what is wrong with it.
    public var description: String { "\(path): \(reason)" }
}

/// The longest policy file, in bytes.
private let fileLimit = 256 << 10
/// The most policy files in one directory.
private let countLimit = 256

/// Reads every `*.toml` of a directory that only `trustedOwner` and root can have written.
///
/// No component of `path` may be a symbolic link, and every directory on the way must belong to root or
/// `trustedOwner` and be writable by nobody else, or have the sticky bit as `/tmp` does: then nobody else can
/// replace what is in it. All checks are made on open descriptors.
public func readPolicyDirectory(
    _ path: [UInt8], trustedOwner: UInt32
) throws(UntrustedFile) -> [PolicySource] {
    let shown = String(decoding: path, as: UTF8.self)
    guard path.first == UInt8(ascii: "/"), !path.contains(0) else {
        throw UntrustedFile(path: shown, reason: "is not an absolute path")
    }
    var directory = try open("/", at: AT_FDCWD, O_DIRECTORY, shown: "/")
    defer { close(directory) }
    try check(directory, "/", owner: trustedOwner, .ancestor)
    var walked = ""
    for component in path.split(separator: UInt8(ascii: "/")) {
        let name = String(decoding: component, as: UTF8.self)
        guard Array(name.utf8) == Array(component), name != "..", name != "." else {
            throw UntrustedFile(path: shown, reason: "has a component that is not a plain name")
        }
        walked += "/" + name
        let next = try open(name, at: directory, O_DIRECTORY, shown: walked)
        close(directory)
        directory = next
        try check(directory, walked, owner: trustedOwner, .ancestor)
    }
    try check(directory, shown, owner: trustedOwner, .policyDirectory)
    var sources: [PolicySource] = []
    for name in try names(in: directory, shown) where name.hasSuffix(".toml") {
        guard sources.count < countLimit else {
            throw UntrustedFile(path: shown, reason: "holds more than \(countLimit) policies")
        }
        let file = shown + "/" + name
        sources.append(
            PolicySource(
                name: String(name.dropLast(5)), file: file,
                text: try text(of: name, in: directory, shown: file, owner: trustedOwner)))
    }
    return sources
}

private func open(
    _ name: String, at directory: CInt, _ flags: CInt, shown: String
) throws(UntrustedFile) -> CInt {
    // O_NONBLOCK: opening a FIFO must not wait for a writer before fstat(2) can refuse it.
    let number = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags)
    guard number >= 0 else {
        let code = errno
        let isLink = code == ELOOP || (code == ENOTDIR && flags & O_DIRECTORY != 0)
        throw UntrustedFile(
            path: shown,
            reason: isLink
                ? "is a symbolic link or not a directory" : "cannot be opened: \(message(code))")
    }
    return number
}

/// What a checked descriptor is for.
private enum Role {
    /// A directory that only leads to another.
    case ancestor
    /// The directory whose files are policies.
    case policyDirectory
    /// A policy.
    case policy
}

private func check(
    _ descriptor: CInt, _ shown: String, owner: UInt32, _ role: Role
) throws(UntrustedFile) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
        throw UntrustedFile(path: shown, reason: "cannot be examined: \(message(errno))")
    }
    guard status.st_uid == owner || status.st_uid == 0 else {
        let trusted = owner == 0 ? "root" : "root or user \(owner)"
        throw UntrustedFile(
            path: shown,
            reason: "belongs to user \(status.st_uid), and policies are read from \(trusted) only")
    }
    let isSticky = role == .ancestor && status.st_mode & S_ISVTX != 0
    guard status.st_mode & 0o022 == 0 || isSticky else {
        throw UntrustedFile(
            path: shown,
            reason: "is writable by its group or by everybody; `chmod go-w` repairs that")
    }
    guard role == .policy else { return }
    guard status.st_mode & S_IFMT == S_IFREG else {
        throw UntrustedFile(path: shown, reason: "is not a regular file")
    }
    guard status.st_nlink == 1 else {
        throw UntrustedFile(path: shown, reason: "has more than one name (hard links)")
    }
    guard status.st_size <= fileLimit else {
        throw UntrustedFile(path: shown, reason: "is longer than \(fileLimit) bytes")
    }
}

private func names(in directory: CInt, _ shown: String) throws(UntrustedFile) -> [String] {
    // fdopendir(3) takes its descriptor over, so it gets one of its own.
    let copy = try open(".", at: directory, O_DIRECTORY, shown: shown)
    guard let stream = fdopendir(copy) else {
        let code = errno
        close(copy)
        throw UntrustedFile(path: shown, reason: "cannot be listed: \(message(code))")
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { String(cString: $0) }
        }
        names.append(name)
        errno = 0
    }
    guard errno == 0 else {
        throw UntrustedFile(path: shown, reason: "cannot be listed: \(message(errno))")
    }
    return names.sorted()
}

private func text(
    of name: String, in directory: CInt, shown: String, owner: UInt32
) throws(UntrustedFile) -> String {
    let descriptor = try open(name, at: directory, 0, shown: shown)
    defer { close(descriptor) }
    try check(descriptor, shown, owner: owner, .policy)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 {
            if errno == EINTR { continue }
            throw UntrustedFile(path: shown, reason: "cannot be read: \(message(errno))")
        }
        if count == 0 { break }
        bytes += buffer.prefix(count)
        guard bytes.count <= fileLimit else {
            throw UntrustedFile(path: shown, reason: "is longer than \(fileLimit) bytes")
        }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw UntrustedFile(path: shown, reason: "is not UTF-8")
    }
    return text
}

/// What the C library says about an error number.
func message(_ code: CInt) -> String { String(cString: strerror(code)) }
