import CLinux

/// The directories from the top of a tree to the one that a walk is in, however deep that is.
///
/// Only the innermost ``window`` directories are held open. One that was let go is opened again through
/// `..` of its child when the walk comes back, and must be the same inode then.
struct DirectoryStack {
    /// How many directories are held open at most.
    static let window = 24

    private struct Level {
        let name: FileName
        let identity: FileIdentity
        var file: HeldFile?
    }

    private let base: HeldFile
    private var levels: [Level] = []
    /// The levels from here on are open.
    private var firstOpen = 0

    /// Starts in the directory that holds the top of the tree.
    init(base: HeldFile) { self.base = base }

    /// How many directories deep the walk is; zero in the base.
    var depth: Int { levels.count }

    /// The directory that the walk is in.
    var current: HeldFile {
        guard let last = levels.last else { return base }
        guard let file = last.file else { fatalError("the innermost directory is always open") }
        return file
    }

    /// What the innermost directory is called in the one around it.
    var currentName: FileName? { levels.last?.name }

    /// Goes into a directory, which was opened from ``current`` by `name`.
    ///
    /// - Returns: The depth of the directory that was let go for it, if one was.
    @discardableResult
    mutating func enter(_ name: FileName, _ file: HeldFile, identity: FileIdentity) -> Int? {
        levels.append(Level(name: name, identity: identity, file: file))
        guard levels.count - firstOpen > Self.window else { return nil }
        levels[firstOpen].file = nil
        firstOpen += 1
        return firstOpen
    }

    /// Goes back to the directory around this one.
    ///
    /// - Returns: What the directory that was left is called there.
    @discardableResult
    mutating func leave() throws(Failure) -> FileName {
        guard let left = levels.last else { fatalError("a walk never leaves its base") }
        let outer = levels.count - 2
        if outer >= 0, levels[outer].file == nil {
            let file = try current.openParent()
            guard try file.status().identity == levels[outer].identity else {
                throw Failure(errno: CLinux_files.stale)
            }
            levels[outer].file = file
            firstOpen = outer
        }
        levels.removeLast()
        if firstOpen > levels.count { firstOpen = levels.count }
        return left.name
    }

    /// The path of an entry of ``current``, from the base, for messages.
    func path(of name: FileName?) -> [UInt8] {
        var path: [UInt8] = []
        for level in levels {
            if !path.isEmpty { path.append(UInt8(ascii: "/")) }
            path += level.name.bytes
        }
        guard let name else { return path }
        if !path.isEmpty { path.append(UInt8(ascii: "/")) }
        return path + name.bytes
    }
}
