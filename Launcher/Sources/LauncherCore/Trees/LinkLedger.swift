/// Files of the outputs that have several names, and what was done to them.
///
/// Rule: every name of every inode must lie in the outputs, or somebody outside shares the file.
struct LinkLedger {
    /// What became of a file when its first name was taken.
    enum Fate {
        case untouched
        /// It is the new owner's, and nobody can write to it.
        case taken
        /// Somebody can write to it, so each name gets a copy.
        case copied
    }

    private struct Entry {
        let links: UInt32
        var seen: UInt32
        var fate: Fate
    }

    private var entries: [UInt64: Entry] = [:]

    /// Notes that one name of a file was seen; does nothing for directories and single names.
    mutating func note(_ status: FileStatus) {
        guard status.kind != .directory, status.links > 1 else { return }
        let inode = status.identity.inode
        var entry = entries[inode] ?? Entry(links: status.links, seen: 0, fate: .untouched)
        entry.seen += 1
        entries[inode] = entry
    }

    /// Files that have a name which was not seen.
    var unbalanced: [UInt64] {
        var inodes: [UInt64] = []
        for (inode, entry) in entries where entry.seen != entry.links { inodes.append(inode) }
        return inodes
    }

    /// What became of a file; nothing if it was never noted.
    func fate(of status: FileStatus) -> Fate? { entries[status.identity.inode]?.fate }

    /// Says what became of a file.
    mutating func record(_ fate: Fate, of status: FileStatus) {
        entries[status.identity.inode]?.fate = fate
    }
}
