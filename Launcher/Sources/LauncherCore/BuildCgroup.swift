import CLinux
import LaunchModel

/// A cgroup of version 2 that holds the processes of one build and nothing else.
final class BuildCgroup {
    private let parent: CInt
    private let name: [UInt8]
    /// The directory, which `CLONE_INTO_CGROUP` takes.
    let directory: Descriptor
    /// `cgroup.events`; `POLLPRI` when it changes.
    let events: Descriptor
    private let kill: Descriptor

    /// Makes one in a directory that stays the caller's and outlives it.
    init(in parent: CInt, name: [UInt8]) throws(Failure) {
        let directory = try makeDirectory(parent, name, mode: 0o755)
        do {
            let events = try open(directory.number, bytes("cgroup.events"), CLinux_O_RDONLY)
            let kill = try open(directory.number, bytes("cgroup.kill"), CLinux_O_WRONLY)
            self.events = events
            self.kill = kill
        } catch {
            _ = CLinux_unlinkat(parent, terminated(name), flags(CLinux_AT_REMOVEDIR))
            throw error
        }
        self.directory = directory
        self.parent = parent
        self.name = name
    }

    /// Kills what is in the cgroups of a launcher that is dead, and removes them.
    ///
    /// - Throws: EBUSY if a process in one does not die.
    static func clear(_ parent: CInt, prefix: [UInt8]) throws(Failure) {
        for name in try names(in: parent) where name.starts(with: prefix) {
            let directory = try open(parent, name, CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            let kill = try open(directory.number, bytes("cgroup.kill"), CLinux_O_WRONLY)
            var removed = -Int(CLinux_EBUSY)
            for _ in 0..<500 {
                try write(kill.number, bytes("1"))
                removed = CLinux_unlinkat(parent, terminated(name), flags(CLinux_AT_REMOVEDIR))
                guard Int64(removed) == -CLinux_EBUSY else { break }
                _ = CLinux_poll(nil, 0, 10)
            }
            try check(removed)
        }
    }

    /// Kills every process in it, also those that are being forked.
    func killAll() throws(Failure) { try write(kill.number, bytes("1")) }

    /// Whether the kernel says that no process is in it.
    func isEmpty() throws(Failure) -> Bool {
        guard let text = try readAll(events.number, limit: 4096) else { return false }
        let empty = bytes("populated 0")
        guard text.count >= empty.count else { return false }
        for start in 0...(text.count - empty.count)
        where text[start..<start + empty.count].elementsEqual(empty) { return true }
        return false
    }

    /// Removes it; the kernel refuses while a process is in it.
    func remove() throws(Failure) {
        try check(CLinux_unlinkat(parent, terminated(name), flags(CLinux_AT_REMOVEDIR)))
    }
}
