import CLinux
import LaunchModel

/// The directories that the launcher opened once, checked, and keeps.
///
/// Every name that it resolves later is one component in one of these, or in a directory below them that
/// it made itself.
final class Places {
    let store: Descriptor
    let incoming: Descriptor
    let userPool: Descriptor
    /// Kept build directories.
    let kept: Descriptor
    let trash: Descriptor
    /// This launcher's own directory in `work`, locked for as long as it lives.
    let work: Descriptor
    /// This launcher's own directory in `staging`.
    let staging: Descriptor
    let cgroup: Descriptor?
    /// The number of ``cgroup``, lent.
    var cgroupNumber: CInt? {
        switch cgroup {
        case .some(let directory): directory.number
        case .none: nil
        }
    }
    /// The host's `/dev/null`, checked by its number.
    let null: Descriptor
    /// A proc of the launcher's own.
    let proc: Descriptor
    private let allWork: Descriptor
    private let allStaging: Descriptor
    /// The name of ``work`` and ``staging``.
    private let instance: [UInt8]
    /// What the names of this launcher's cgroups begin with.
    var cgroupPrefix: [UInt8] { Self.cgroupPrefix(of: instance) }

    private static func cgroupPrefix(of instance: [UInt8]) -> [UInt8] {
        bytes("kiln-") + instance + bytes("-")
    }

    /// Opens and checks all of them, kills what dead launchers left running, and moves what they left behind
    /// to the trash.
    init(_ configuration: LauncherConfiguration) throws(Refusal) {
        let directories = configuration.directories
        let check = PlaceCheck(mode: configuration.mode)
        store = try check.open(directories.store, isStore: true)
        try check.store(store.number, directories.store, pool: configuration.pool)
        incoming = try check.open(directories.incoming, owner: configuration.engineUser)
        userPool =
            switch configuration.mode {
            case .privileged: try check.open(directories.userPool)
            case .rootless: try check.open(directories.state)
            }
        let opened = try Self.openCgroup(directories.cgroup)
        let cgroups: CInt? =
            switch opened {
            case .some(let directory): directory.number
            case .none: nil
            }
        cgroup = consume opened
        null = try refusing(.hostFeature, bytes("/dev/null")) { () throws(Failure) in
            let null = try LauncherCore.open(workingDirectory, bytes("/dev/null"), CLinux_O_RDWR)
            let found = try fileStatus(of: null.number)
            guard found.isType(CLinux_S_IFCHR), found.represents == 0x103 else {
                throw Failure(errno: Int32(CLinux_EINVAL))
            }
            return null
        }
        proc = try Self.openProc(configuration.mode)
        let state = try check.open(directories.state)
        trash = try Self.ownDirectory("trash", in: state.number)
        kept = try Self.ownDirectory("kept", in: state.number)
        allWork = try Self.ownDirectory("work", in: state.number)
        allStaging = try Self.ownDirectory("staging", in: state.number)
        try Self.clear(
            work: allWork.number, staging: allStaging.number, cgroups: cgroups, into: trash.number)
        var name: [UInt8] = []
        work = try Self.instance(in: allWork.number, &name)
        instance = name
        let stagingParent = allStaging.number
        staging = try refusing(.stateDirectory, bytes("staging")) { () throws(Failure) in
            try makeDirectory(stagingParent, name, mode: 0o700)
        }
        try proveRename(directories.store)
    }

    /// Moves this launcher's own directories, and what is left in them, to the trash; it makes no new ones.
    func leave() throws(Failure) {
        try moveAside(instance, in: allStaging.number, to: trash.number)
        try moveAside(instance, in: allWork.number, to: trash.number)
    }

    private static func openCgroup(_ path: [UInt8]?) throws(Refusal) -> Descriptor? {
        guard let path else { return nil }
        return try refusing(.hostFeature, path) { () throws(Failure) in
            let how = flags(CLinux_O_RDONLY, CLinux_O_DIRECTORY, CLinux_O_CLOEXEC)
            let directory = Descriptor(
                owning: try LauncherCore.check(
                    CLinux_openat(workingDirectory, terminated(path), how, 0)))
            let type = try LauncherCore.check(CLinux_file_system_type(directory.number))
            guard Int64(type) == CLinux_CGROUP2_SUPER_MAGIC else {
                throw Failure(errno: Int32(CLinux_EINVAL))
            }
            return directory
        }
    }

    /// A proc that nobody can have mounted something over; an ordinary user has to trust the host's.
    private static func openProc(
        _ mode: LauncherConfiguration.Mode
    ) throws(Refusal) -> Descriptor {
        try refusing(.hostFeature, bytes("/proc")) { () throws(Failure) in
            let proc: Descriptor
            switch mode {
            case .privileged:
                proc = try newFileSystem(
                    "proc", [("subset", bytes("pid"))],
                    attributes: [
                        CLinux_MOUNT_ATTR_NOSUID, CLinux_MOUNT_ATTR_NODEV, CLinux_MOUNT_ATTR_NOEXEC,
                    ])
            case .rootless:
                proc = try LauncherCore.open(
                    workingDirectory, bytes("/proc"), CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            }
            let type = try LauncherCore.check(CLinux_file_system_type(proc.number))
            guard Int64(type) == CLinux_PROC_SUPER_MAGIC else {
                throw Failure(errno: Int32(CLinux_EINVAL))
            }
            return proc
        }
    }

    /// A directory that only the launcher may enter, made if it is missing.
    private static func ownDirectory(
        _ name: StaticString, in state: CInt
    ) throws(Refusal) -> Descriptor {
        try refusing(.stateDirectory, bytes(name)) { () throws(Failure) in
            let made = CLinux_mkdirat(state, c(name), 0o700)
            if Int64(made) != -CLinux_EEXIST { try LauncherCore.check(made) }
            let directory = try LauncherCore.open(
                state, bytes(name), CLinux_O_RDONLY | CLinux_O_DIRECTORY)
            let found = try fileStatus(of: directory.number)
            guard found.user == 0, found.mode & 0o077 == 0 else {
                throw Failure(errno: Int32(CLinux_EPERM))
            }
            return directory
        }
    }

    /// A new directory for this launcher, locked; `name` becomes what it is called.
    ///
    /// Between making and locking it another launcher may take it for a dead one's and move it away, so
    /// it is looked up once more, and another one made if it is gone.
    private static func instance(
        in work: CInt, _ name: inout [UInt8]
    ) throws(Refusal) -> Descriptor {
        do throws(Failure) {
            for _ in 0..<16 {
                name = try randomName()
                try LauncherCore.check(CLinux_mkdirat(work, terminated(name), 0o700))
                let opened = CLinux_openat(
                    work, terminated(name),
                    flags(
                        CLinux_O_RDONLY, CLinux_O_DIRECTORY, CLinux_O_NOFOLLOW, CLinux_O_CLOEXEC),
                    0)
                guard Int64(opened) != -CLinux_ENOENT else { continue }
                let directory = Descriptor(owning: try LauncherCore.check(opened))
                let locked = CLinux_flock(
                    directory.number, flags(CLinux_LOCK_EX, CLinux_LOCK_NB))
                guard Int64(locked) != -CLinux_EAGAIN else { continue }
                try LauncherCore.check(locked)
                var found = CLinux_status()
                let looked = CLinux_fstatat(
                    work, terminated(name), &found, flags(CLinux_AT_SYMLINK_NOFOLLOW))
                guard Int64(looked) != -CLinux_ENOENT else { continue }
                try LauncherCore.check(looked)
                guard found.isSameFile(as: try fileStatus(of: directory.number)) else { continue }
                return directory
            }
        } catch {
            throw error.refusal(.stateDirectory, bytes("work"))
        }
        throw Refusal(.stateDirectory, errno: Int32(CLinux_EAGAIN), subject: bytes("work"))
    }

    /// Moves the directories of launchers that died to the trash.
    ///
    /// Their builds die with them, and what does not is killed here; a user that still has a process is not
    /// lent.
    private static func clear(
        work: CInt, staging: CInt, cgroups: CInt?, into trash: CInt
    ) throws(Refusal) {
        try refusing(.stateDirectory, bytes("work")) { () throws(Failure) in
            var live: [[UInt8]] = []
            for name in try names(in: work) {
                let opened = CLinux_openat(
                    work, terminated(name),
                    flags(
                        CLinux_O_RDONLY, CLinux_O_DIRECTORY, CLinux_O_NOFOLLOW, CLinux_O_CLOEXEC),
                    0)
                guard Int64(opened) != -CLinux_ENOENT else { continue }
                let directory = Descriptor(owning: try LauncherCore.check(opened))
                let locked = CLinux_flock(
                    directory.number, flags(CLinux_LOCK_EX, CLinux_LOCK_NB))
                guard Int64(locked) != -CLinux_EAGAIN else {
                    live.append(name)
                    continue
                }
                try LauncherCore.check(locked)
                if let cgroups {
                    try BuildCgroup.clear(cgroups, prefix: cgroupPrefix(of: name))
                }
                try moveAside(name, in: work, to: trash)
            }
            // A launcher makes its work directory first, so one that is alive was seen above, or made
            // its staging directory after it was listed here.
            for name in try names(in: staging) where !live.contains(name) {
                var found = CLinux_status()
                let looked = CLinux_fstatat(
                    work, terminated(name), &found, flags(CLinux_AT_SYMLINK_NOFOLLOW))
                guard Int64(looked) == -CLinux_ENOENT else { continue }
                try moveAside(name, in: staging, to: trash)
            }
        }
    }

    /// Shows that objects can be published by a rename: that both directories are on one mount.
    ///
    /// Two mounts of one file system have the same device number and cannot be renamed between.
    private func proveRename(_ path: [UInt8]) throws(Refusal) {
        try refusing(.storePermissions, path) { () throws(Failure) in
            let name = bytes(".kiln-") + (try randomName())
            _ = try makeDirectory(staging.number, name, mode: 0o700)
            try rename(name, in: staging.number, to: name, in: store.number)
            try LauncherCore.check(
                CLinux_unlinkat(store.number, terminated(name), flags(CLinux_AT_REMOVEDIR)))
        }
    }
}

/// Renames one component, replacing nothing.
func rename(
    _ name: [UInt8], in from: CInt, to newName: [UInt8], in to: CInt
) throws(Failure) {
    try check(
        CLinux_renameat2(
            from, terminated(name), to, terminated(newName),
            unsignedFlags(CLinux_RENAME_NOREPLACE)))
}

/// Renames one component to a name in `trash` that nobody can guess; nothing happens if it is gone.
func moveAside(_ name: [UInt8], in directory: CInt, to trash: CInt) throws(Failure) {
    do {
        try rename(name, in: directory, to: try randomName(), in: trash)
    } catch {
        guard error.isErrno(CLinux_ENOENT) else { throw error }
    }
}

/// A new instance of a file system, mounted nowhere yet.
func newFileSystem(
    _ type: StaticString, _ options: [(StaticString, [UInt8])], attributes: [Int64]
) throws(Failure) -> Descriptor {
    let context = Descriptor(
        owning: try check(CLinux_fsopen(c(type), unsignedFlags(CLinux_FSOPEN_CLOEXEC))))
    for (key, value) in options {
        try check(CLinux_fsconfig_string(context.number, c(key), terminated(value)))
    }
    try check(CLinux_fsconfig_create(context.number))
    var sum: Int64 = 0
    for attribute in attributes { sum |= attribute }
    return Descriptor(
        owning: try check(
            CLinux_fsmount(
                context.number, unsignedFlags(CLinux_FSMOUNT_CLOEXEC), unsignedFlags(sum))))
}
