import Glibc
public import SystemCalls

/// Deletes a tree that belongs to this process, read-only directories included.
///
/// The walk is by descriptors and follows no link. It keeps one descriptor a level.
///
/// - Parameters:
///   - name: The top: one component. Nothing there is fine.
///   - directory: A descriptor of the directory that it lies in; stays the caller's.
///   - path: What to call the directory in messages.
/// - Throws: ``SystemError`` at the first thing that cannot be deleted.
public func removeTree(
    _ name: [UInt8], in directory: CInt, path: String
) throws(SystemError) {
    var open: [(node: OpenNode, name: [CChar])] = []
    if let top = try remove(name, in: directory, path: path) { open.append(top) }
    while let last = open.last {
        if let next = last.node.rest.popLast() {
            let place = last.node.path
            let child = try last.node.withNumber { (number) throws(SystemError) in
                try remove(next, in: number, path: place)
            }
            if let child { open.append(child) }
        } else {
            open.removeLast()
            let removal = { (number: CInt) throws(SystemError) in
                _ = try check("unlinkat", on: last.node.path) {
                    unlinkat(number, last.name, AT_REMOVEDIR)
                }
            }
            if let parent = open.last {
                try parent.node.withNumber(removal)
            } else {
                try removal(directory)
            }
        }
    }
}

/// Deletes one name; a directory that must be emptied first is returned.
private func remove(
    _ name: [UInt8], in directory: CInt, path: String
) throws(SystemError) -> (node: OpenNode, name: [CChar])? {
    let place = path + "/" + String(decoding: name, as: UTF8.self)
    let name = (name + [0]).map { CChar(bitPattern: $0) }
    var status = stat()
    do {
        try check("fstatat", on: place) { fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) }
    } catch {
        guard error.errno == ENOENT else { throw error }
        return nil
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
        try check("unlinkat", on: place) { unlinkat(directory, name, 0) }
        return nil
    }
    let number = try check("openat", on: place) {
        openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    }
    let node = OpenNode(OwnedDescriptor(takingOwnershipOf: number), path: place)
    try check("fchmod", on: place) { fchmod(number, 0o700) }
    node.rest = try names(in: number, path: place)
    return (node, name)
}
