import Glibc

/// A node of a tree that is walked.
struct TreeNode: Hashable, Sendable {
    /// What it is, and for a directory whether its entries come or were there.
    enum Kind: Hashable, Sendable {
        case directoryStart
        case directoryEnd
        case link
        case other
    }

    let path: String
    let kind: Kind
    let mode: mode_t
}

/// Visits a tree of one's own: directories before and behind what is in them, no link followed.
///
/// Paths are resolved again for every node, so nobody else may be able to change the tree.
///
/// - Parameters:
///   - path: The top.
///   - visit: Takes the next node.
/// - Throws: ``InputError`` when something cannot be read, or what `visit` throws.
func walkTree(_ path: String, _ visit: (TreeNode) throws -> Void) throws {
    var open: [(node: TreeNode, rest: [[UInt8]])] = []
    try enter(path)
    while let (node, rest) = open.last {
        if let name = rest.last {
            open[open.count - 1].rest.removeLast()
            try enter(node.path + "/" + String(decoding: name, as: UTF8.self))
        } else {
            open.removeLast()
            try visit(TreeNode(path: node.path, kind: .directoryEnd, mode: node.mode))
        }
    }

    func enter(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw InputError(call: "lstat", path: path) }
        let kind: TreeNode.Kind
        switch status.st_mode & S_IFMT {
        case S_IFDIR: kind = .directoryStart
        case S_IFLNK: kind = .link
        default: kind = .other
        }
        let node = TreeNode(path: path, kind: kind, mode: status.st_mode & 0o7777)
        try visit(node)
        guard kind == .directoryStart else { return }
        open.append((node, try directoryEntries(path).reversed()))
    }
}

/// Removes a tree of one's own, read-only directories too.
func removeTree(_ path: String) throws {
    try walkTree(path) { node in
        switch node.kind {
        case .directoryStart: try succeed("chmod", node.path, chmod(node.path, 0o700))
        case .directoryEnd: try succeed("rmdir", node.path, rmdir(node.path))
        case .link, .other: try succeed("unlink", node.path, unlink(node.path))
        }
    }
}

/// Throws what `errno` says when a call failed.
func succeed(_ call: String, _ path: String, _ result: CInt) throws(InputError) {
    guard result == 0 else { throw InputError(call: call, path: path) }
}
