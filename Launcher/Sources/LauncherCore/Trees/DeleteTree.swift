import CLinux
import LaunchModel

/// What became of a tree that was to be deleted.
enum DeleteResult: Equatable {
    /// There is nothing of that name any more.
    case deleted
    /// This is why there still is; everything before that is deleted.
    case refused(Refusal)
}

/// Deletes one entry of a directory and everything below it.
///
/// Goes by descriptors, one step at a time, follows no link and enters no other file system. The tree
/// should be where nobody else can reach it; if somebody can, they can make this fail and make it delete
/// what they put there, and nothing else.
///
/// Runs in a worker that has the capabilities FOWNER and DAC_OVERRIDE, so modes are no obstacle.
///
/// - Parameters:
///   - directory: The directory that holds the entry.
///   - name: The entry; it is no error if there is none.
/// - Returns: Whether it is gone, or the first error.
func deleteTree(in directory: CInt, name: [UInt8]) -> DeleteResult {
    guard let top = FileName(parsing: name) else {
        return .refused(Refusal(.systemCall, subject: name))
    }
    var deletion = TreeDeletion(in: HeldFile(borrowing: directory))
    do throws(TreeFault) {
        try deletion.delete(top)
        return .deleted
    } catch {
        return .refused(error.refusal)
    }
}

/// A deletion under way.
///
/// It keeps no list that grows with a directory: names are read by the bufferful, and a directory that
/// was let go is simply read from the start again, since what was done in it is gone.
private struct TreeDeletion {
    /// How often a directory that is not empty at its end is read again, before somebody must be adding
    /// to it.
    private static let attempts = 16

    private struct Level {
        var names: [FileName] = []
        var attempts = 0
    }

    private var stack: DirectoryStack
    private var levels: [Level] = []
    private var buffer = [UInt8](repeating: 0, count: 32_768)

    init(in base: HeldFile) { stack = DirectoryStack(base: base) }

    mutating func delete(_ top: FileName) throws(TreeFault) {
        try remove(top)
        while !levels.isEmpty {
            let last = levels.count - 1
            if let name = levels[last].names.popLast() {
                try remove(name)
                continue
            }
            let directory = stack.current
            do {
                levels[last].names = try directory.readNames(with: &buffer)
            } catch {
                throw TreeFault(error, at: stack.path(of: nil))
            }
            if levels[last].names.isEmpty { try finish() }
        }
    }

    /// Removes an entry of the current directory, or goes into it if it is a directory itself.
    private mutating func remove(_ name: FileName) throws(TreeFault) {
        let directory = stack.current
        do {
            try directory.unlink(name)
            return
        } catch {
            if error.isAbsence { return }
            guard error.errno == CLinux_files.isDirectory else {
                throw TreeFault(error, at: stack.path(of: name))
            }
        }
        let (child, identity) = try at(stack.path(of: name)) {
            () throws(Failure) -> (HeldFile, FileIdentity) in
            let outer = try directory.status().identity.device
            let child = try directory.open(name, for: .names)
            let identity = try child.status().identity
            guard identity.device == outer else {
                throw Failure(errno: CLinux_files.crossesDevices)
            }
            return (child, identity)
        }
        levels.append(Level())
        // What is let go has to be read again when the walk comes back to it.
        if let depth = stack.enter(name, child, identity: identity) { levels[depth - 1].names = [] }
    }

    /// Leaves a directory whose end was reached, and removes it.
    private mutating func finish() throws(TreeFault) {
        let left = stack.current
        let name: FileName
        do {
            name = try stack.leave()
        } catch {
            throw TreeFault(error, at: stack.path(of: nil))
        }
        do {
            try stack.current.removeDirectory(name)
            levels.removeLast()
            return
        } catch {
            if error.isAbsence {
                levels.removeLast()
                return
            }
            let last = levels.count - 1
            levels[last].attempts += 1
            guard error.errno == CLinux_files.notEmpty, levels[last].attempts < Self.attempts else {
                throw TreeFault(error, at: stack.path(of: name))
            }
        }
        // File systems may leave entries out while others are removed, so it is read again.
        let identity = try at(stack.path(of: name)) { () throws(Failure) -> FileIdentity in
            try left.rewind()
            return try left.status().identity
        }
        if let depth = stack.enter(name, left, identity: identity) { levels[depth - 1].names = [] }
    }
}
