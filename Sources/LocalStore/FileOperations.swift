import Glibc
import StoreFiles
import SystemCalls

/// A descriptor that several values can hold; the last one closes it.
final class SharedDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

    @discardableResult
    func withNumber<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try descriptor.withNumber(body)
    }
}

/// Opens a file, never through a link at the end of its path.
func openFile(
    _ path: String, _ flags: CInt, mode: mode_t = 0
) throws(SystemError) -> SharedDescriptor {
    let number = try check("open", on: path) {
        open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode)
    }
    return SharedDescriptor(OwnedDescriptor(takingOwnershipOf: number))
}

/// What `lstat` says; nothing when there is no such file.
func fileStatus(of path: String) throws(SystemError) -> stat? {
    var status = stat()
    do {
        try check("lstat", on: path) { lstat(path, &status) }
    } catch {
        if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
        throw error
    }
    return status
}

func isLink(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFLNK }
func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }
func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

/// Where a symbolic link leads, as it is written.
func linkTarget(of path: String) throws(SystemError) -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = try check("readlink", on: path) { readlink(path, &buffer, buffer.count) }
    return buffer[..<count].map { UInt8(bitPattern: $0) }
}

/// Reads a file to its end.
///
/// - Returns: Its bytes; nothing if there are more than `limit`.
func contents(of file: CInt, path: String, limit: Int) throws(SystemError) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = try check("read", on: path) { read(file, &buffer, buffer.count) }
        if count == 0 { return bytes }
        guard bytes.count + count <= limit else { return nil }
        bytes += buffer[..<count]
    }
}

/// Writes all bytes.
func writeAll(_ bytes: [UInt8], to file: CInt, path: String) throws(SystemError) {
    var offset = 0
    while offset < bytes.count {
        offset += try check("write", on: path) {
            bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[offset...])
                return write(file, rest.baseAddress, rest.count)
            }
        }
    }
}

/// Makes a directory if there is none, and those above it.
func makeDirectory(_ path: String, mode: mode_t = 0o755) throws(SystemError) {
    var parts: [Substring] = []
    for part in path.split(separator: "/") {
        parts.append(part)
        let prefix = "/" + parts.joined(separator: "/")
        do {
            try check("mkdir", on: prefix) { mkdir(prefix, mode) }
        } catch {
            // On a read-only file system, or where we may not write, it may well be there already.
            var status = stat()
            guard stat(prefix, &status) == 0, isDirectory(status) else { throw error }
        }
    }
}

/// Writes what is known of a directory's entries to the disk.
func syncDirectory(_ path: String) throws(SystemError) {
    let directory = try openFile(path, O_RDONLY | O_DIRECTORY)
    try directory.withNumber { (number) throws(SystemError) in
        try check("fsync", on: path) { fsync(number) }
    }
}

/// Puts a symbolic link in place, at once and durably, whatever was there.
func replaceLink(_ path: String, target: String) throws(SystemError) {
    var directory = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    if directory.isEmpty { directory = "/" }
    let temporary = "\(path).tmp-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try check("symlink", on: temporary) { symlink(target, temporary) }
    do {
        try check("rename", on: path) { rename(temporary, path) }
    } catch {
        unlink(temporary)
        throw error
    }
    try syncDirectory(String(directory))
}

/// The names in a directory, without `.` and `..`; none if it is not there.
func directoryNames(_ path: String) throws(LocalStoreError) -> [[UInt8]] {
    try systemCalls { () throws(SystemError) in
        let directory: SharedDescriptor
        do throws(SystemError) {
            directory = try openFile(path, O_RDONLY | O_DIRECTORY)
        } catch {
            if error.errno == ENOENT { return [] }
            throw error
        }
        return try directory.withNumber { (number) throws(SystemError) in
            try names(in: number, path: path)
        }
    }
}
