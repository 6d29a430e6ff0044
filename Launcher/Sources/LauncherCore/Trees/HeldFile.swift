import CLinux
import LaunchModel

/// A file that is open for as long as somebody holds this.
///
/// Walks keep a stack of them, which an array of noncopyable descriptors cannot be. Every call is a
/// method, so the descriptor cannot be closed while a call uses it. All of this belongs to one thread.
final class HeldFile {
    private let number: CInt
    private let isOwned: Bool

    /// Takes ownership of an open descriptor.
    init(takingOwnershipOf number: CInt) {
        precondition(number >= 0, "no descriptor is negative")
        self.number = number
        isOwned = true
    }

    /// Uses a descriptor that stays the caller's and outlives this.
    init(borrowing number: CInt) {
        precondition(number >= 0, "no descriptor is negative")
        self.number = number
        isOwned = false
    }

    deinit {
        // Linux frees the number even when close(2) fails. EBADF means that somebody closed it before
        // us, and the number may be another file by now, so that is fatal.
        if isOwned && CLinux_close(number) == -Int(CLinux_files.badDescriptor) {
            fatalError("double close")
        }
    }

    /// What the kernel says of the file.
    func status() throws(Failure) -> FileStatus {
        var raw = CLinux_FileStatus()
        try check(CLinux_statx(number, &raw))
        return FileStatus(raw)
    }
}

// MARK: - Opening

extension HeldFile {
    /// What a file is opened for.
    enum Access {
        /// To know what it is; nothing is read and no device is touched.
        case place
        /// To read a regular file.
        case contents
        /// To read the names in a directory.
        case names
    }

    /// Opens one entry, which may be anything for ``Access/place``.
    ///
    /// A symbolic link is opened itself and never followed, and mounts are never entered: EXDEV.
    func open(_ name: FileName, for access: Access) throws(Failure) -> HeldFile {
        let files = CLinux_files
        let flags: CInt =
            switch access {
            case .place: files.path
            // A FIFO or a device may have taken the file's place; neither may block us.
            case .contents: files.readOnly | files.nonBlocking | files.noTerminal
            case .names: files.readOnly | files.directory
            }
        return try open(name.terminated, flags: flags, mode: 0, resolve: files.beneath)
    }

    /// Opens the directory that this one is in.
    ///
    /// The caller compares it with the one that it expects.
    func openParent() throws(Failure) -> HeldFile {
        let files = CLinux_files
        return try open(
            [0x2e, 0x2e, 0], flags: files.readOnly | files.directory, mode: 0, resolve: 0)
    }

    /// Makes a new regular file, mode 0600, open for writing.
    func create(_ name: FileName) throws(Failure) -> HeldFile {
        let files = CLinux_files
        return try open(
            name.terminated, flags: files.writeOnly | files.create | files.exclusive, mode: 0o600,
            resolve: files.beneath)
    }

    private func open(_ path: [CChar], flags: CInt, mode: UInt64, resolve: UInt) throws(Failure)
        -> HeldFile
    {
        let files = CLinux_files
        let flags = UInt64(flags | files.noFollow | files.closeOnExec)
        let resolve = UInt64(resolve | files.noSymlinks | files.noMagicLinks | files.noCrossing)
        var attempts = 0
        while true {
            let result = CLinux_openat2(number, path, flags, mode, UInt64(resolve))
            attempts += 1
            // A rename elsewhere can make the kernel unsure of what is beneath; it says so.
            if result == -Int(files.again), attempts < 32 { continue }
            return HeldFile(takingOwnershipOf: CInt(try check(result)))
        }
    }
}

// MARK: - Changing the file itself

extension HeldFile {
    /// Gives the file to `owner`; also clears the set-id bits of a regular file.
    func change(owner: FileOwner) throws(Failure) {
        try check(CLinux_fchownat(number, owner.user.rawValue, owner.group.rawValue))
    }

    /// Sets the mode, and reads back that rights that are to be gone are gone.
    ///
    /// Not for ``Access/place``.
    func change(mode: UInt32) throws(Failure) {
        try check(CLinux_fchmod(number, mode))
        let now = try status()
        guard now.permissions == mode, !now.hasSetID else {
            throw Failure(errno: Int32(CLinux_EPERM))
        }
    }

    /// Sets both times.
    func change(time: FileTime) throws(Failure) {
        try check(CLinux_utimensat(number, time.seconds, time.nanoseconds))
    }

    /// Whether it is proved that nobody can write to this regular file through an open descriptor or
    /// mapping, wherever that is.
    ///
    /// The kernel refuses a read lease while one exists. It also refuses where leases are not
    /// supported, which proves nothing, so that is no as well.
    ///
    /// Source: fcntl(2), "Leases".
    func provesNoWriter() -> Bool { CLinux_testReadLease(number) >= 0 }

    /// The names of the extended attributes.
    func attributeNames() throws(Failure) -> [[UInt8]] {
        var size = CLinux_flistxattr(number, nil, 0)
        if size == 0 || size == -Int(CLinux_files.notSupported) { return [] }
        // The kernel's own limit of a list; asked for in one call, because the size may change.
        var list = [UInt8](repeating: 0, count: 65_536)
        size = try check(CLinux_flistxattr(number, &list, UInt(list.count)))
        return list[..<size].split(separator: 0).map { [UInt8]($0) }
    }

    /// Removes one extended attribute.
    func removeAttribute(_ name: [UInt8]) throws(Failure) {
        try check(CLinux_fremovexattr(number, name + [0]))
    }

    /// Where a symbolic link points.
    func linkTarget() throws(Failure) -> [UInt8] {
        // Longer than any target, so a full buffer cannot be a target that was cut.
        var buffer = [UInt8](repeating: 0, count: 4097)
        let count = try check(CLinux_readlinkat(number, c(""), &buffer, buffer.count))
        guard count < buffer.count else { throw Failure(errno: CLinux_files.nameTooLong) }
        return [UInt8](buffer[..<count])
    }
}

// MARK: - Changing a directory

extension HeldFile {
    /// Renames an entry into a directory that has no such entry yet.
    func rename(_ name: FileName, into target: HeldFile, as newName: FileName) throws(Failure) {
        try check(
            CLinux_renameat2(
                number, name.terminated, target.number, newName.terminated, CLinux_files.noReplace))
    }

    /// Renames an entry over another one.
    func rename(_ name: FileName, replacing old: FileName, in target: HeldFile) throws(Failure) {
        try check(CLinux_renameat2(number, name.terminated, target.number, old.terminated, 0))
    }

    /// Removes an entry that is not a directory.
    func unlink(_ name: FileName) throws(Failure) {
        try check(CLinux_unlinkat(number, name.terminated, 0))
    }

    /// Removes an empty directory.
    func removeDirectory(_ name: FileName) throws(Failure) {
        try check(CLinux_unlinkat(number, name.terminated, CLinux_files.removeDirectory))
    }

    /// Makes a directory, mode 0700, and opens it.
    func makeDirectory(_ name: FileName) throws(Failure) -> HeldFile {
        try check(CLinux_mkdirat(number, name.terminated, 0o700))
        return try open(name, for: .names)
    }

    /// Makes a symbolic link.
    func makeLink(_ name: FileName, to target: [UInt8]) throws(Failure) {
        try check(CLinux_symlinkat(LauncherCore.terminated(target), number, name.terminated))
    }

    /// Reads names from where the last call ended; an empty result is the end.
    ///
    /// - Parameter buffer: Scratch space of at least 4 KiB.
    /// - Returns: The names, without `.` and `..`.
    /// - Throws: ``Failure`` if the directory cannot be read, or EIO if what it holds are no names.
    func readNames(with buffer: inout [UInt8]) throws(Failure) -> [FileName] {
        let count = try check(CLinux_getdents64(number, &buffer, buffer.count))
        var names: [FileName] = []
        var offset = 0
        while offset < count {
            // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name, NUL.
            guard count - offset >= 20 else { throw Failure(errno: CLinux_files.inputOutput) }
            let length = Int(buffer[offset + 16]) | Int(buffer[offset + 17]) << 8
            guard length >= 20, length <= count - offset else {
                throw Failure(errno: CLinux_files.inputOutput)
            }
            let name = buffer[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
            offset += length
            if name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) { continue }
            // Anything else that is no name comes from a file system that cannot be trusted.
            guard let parsed = FileName(parsing: [UInt8](name)) else {
                throw Failure(errno: CLinux_files.inputOutput)
            }
            names.append(parsed)
        }
        return names
    }

    /// Reads the names from the first one again.
    func rewind() throws(Failure) { try check(CLinux_lseek(number, 0)) }
}

// MARK: - Copying

extension HeldFile {
    /// Copies at most `size` bytes from the start of `source` to this empty file.
    ///
    /// - Returns: How many bytes there are now.
    func copyContents(of source: HeldFile, size: UInt64) throws(Failure) -> UInt64 {
        if CLinux_ficlone(number, source.number) >= 0 { return try status().size }
        var copied: UInt64 = 0
        while copied < size {
            let wanted = UInt(min(size - copied, 1 << 30))
            let result = CLinux_copy_file_range(source.number, number, wanted)
            if result < 0, copied == 0, isUnsupported(Int32(truncatingIfNeeded: -result)) {
                return try copyThroughMemory(of: source, size: size)
            }
            let count = try check(result)
            // Some file systems answer zero instead of refusing; reading finds out what is the matter.
            if count == 0, copied == 0 { return try copyThroughMemory(of: source, size: size) }
            if count == 0 { break }
            copied += UInt64(count)
        }
        return copied
    }

    private func isUnsupported(_ code: Int32) -> Bool {
        let files = CLinux_files
        return code == files.crossesDevices || code == files.invalid || code == files.notImplemented
            || code == files.notSupported || code == files.permission
    }

    private func copyThroughMemory(of source: HeldFile, size: UInt64) throws(Failure) -> UInt64 {
        var buffer = [UInt8](repeating: 0, count: 131_072)
        var copied: UInt64 = 0
        while copied < size {
            let wanted = UInt(min(size - copied, UInt64(buffer.count)))
            let count = try check(CLinux_read(source.number, &buffer, Int(wanted)))
            if count == 0 { break }
            var written = 0
            while written < count {
                written += try buffer[written..<count].withUnsafeBufferPointer {
                    (bytes) throws(Failure) -> Int in
                    try check(CLinux_write(number, bytes.baseAddress, bytes.count))
                }
            }
            copied += UInt64(count)
        }
        return copied
    }
}
