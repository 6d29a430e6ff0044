import Glibc
public import SystemCalls

/// The names in a directory, in bytewise order, without `.` and `..`.
///
/// - Parameters:
///   - directory: A descriptor of it, open for reading; stays the caller's, at any position.
///   - path: What to call it in messages.
/// - Returns: The names.
/// - Throws: ``SystemError`` when it cannot be read.
public func names(in directory: CInt, path: String) throws(SystemError) -> [[UInt8]] {
    // The stream takes its descriptor over, so it gets one of its own.
    let copy = try check("openat", on: path) {
        openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    guard let stream = fdopendir(copy) else {
        let code = errno
        close(copy)
        throw SystemError(call: "fdopendir", path: path, errno: code)
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else { break }
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                [UInt8](UnsafeBufferPointer(start: bytes, count: strlen(bytes)))
            }
        }
        if name != [0x2e], name != [0x2e, 0x2e] { names.append(name) }
    }
    let code = errno
    guard code == 0 else { throw SystemError(call: "readdir", path: path, errno: code) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
}

/// A directory or file that is open for as long as somebody holds it.
///
/// Walks keep a stack of them, which an array of noncopyable values cannot be.
final class OpenNode {
    private let descriptor: OwnedDescriptor
    let path: String
    /// The names that are still to be visited, the next one last.
    var rest: [[UInt8]] = []

    init(_ descriptor: consuming OwnedDescriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func withNumber<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try descriptor.withNumber(body)
    }

    /// What to call an entry in messages.
    func path(of name: [UInt8]) -> String { path + "/" + String(decoding: name, as: UTF8.self) }
}
