import Glibc

/// The last component of a path, as bytes.
func baseName(of path: String) -> [UInt8] {
    [UInt8](path.utf8).split(separator: UInt8(ascii: "/")).last.map { [UInt8]($0) } ?? []
}

/// The name of the derivation in a file: what stands behind the hash, if there is one, without `.drv`.
func derivationName(ofFile path: String) -> String {
    var name = String(decoding: baseName(of: path), as: UTF8.self)
    if name.utf8.count > 33, name.utf8.dropFirst(32).first == UInt8(ascii: "-") {
        name = String(name.dropFirst(33))
    }
    return name.hasSuffix(".drv") ? String(name.dropLast(4)) : name
}

/// The `.drv` files that an argument means: itself, or those directly in it, in order.
func derivationFiles(_ path: String) throws -> [String] {
    var status = stat()
    guard stat(path, &status) == 0 else { throw InputError(call: "stat", path: path) }
    guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
    let prefix = path.hasSuffix("/") ? path : path + "/"
    let names = try directoryEntries(path).map { String(decoding: $0, as: UTF8.self) }
        .filter { $0.hasSuffix(".drv") }
    guard !names.isEmpty else { throw InputError("\(path): there is no .drv file in it") }
    return names.map { prefix + $0 }
}

/// The names in a directory, in bytewise order, without `.` and `..`.
func directoryEntries(_ path: String) throws -> [[UInt8]] {
    guard let stream = opendir(path) else { throw InputError(call: "opendir", path: path) }
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
    guard errno == 0 else { throw InputError(call: "readdir", path: path) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
}

/// Reads a regular file in pieces.
func readFile(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    // A FIFO would block, and a terminal would become the controlling one.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard file >= 0 else { throw InputError(call: "open", path: path) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw InputError(call: "fstat", path: path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
        throw InputError("\(path): not a regular file")
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = read(file, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw InputError(call: "read", path: path) }
        if count == 0 { return }
        try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
}

/// All bytes of a regular file of at most `limit` bytes.
func readFile(_ path: String, limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try readFile(path) { piece in
        guard bytes.count + piece.count <= limit else {
            throw InputError("\(path): more than the limit of \(limit) bytes")
        }
        bytes += piece
    }
    return bytes
}

/// Checks that something is there, a symbolic link that leads nowhere included.
func checkExists(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw InputError(call: "lstat", path: path) }
}
