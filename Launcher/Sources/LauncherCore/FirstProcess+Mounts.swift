import CLinux
import LaunchModel

/// The attributes of everything that a builder may only read.
private let readOnly: UInt64 =
    UInt64(CLinux_MOUNT_ATTR_RDONLY | CLinux_MOUNT_ATTR_NOSUID | CLinux_MOUNT_ATTR_NODEV)
private let noSetIDNoDevices = UInt64(CLinux_MOUNT_ATTR_NOSUID | CLinux_MOUNT_ATTR_NODEV)

/// Sets attributes of a mount, and makes it private.
private func setAttributes(
    _ mount: CInt, _ attributes: UInt64, recursively: Bool = false
) throws(Failure) {
    let how = unsignedFlags(CLinux_AT_EMPTY_PATH, recursively ? CLinux_AT_RECURSIVE : 0)
    try check(
        CLinux_mount_setattr(mount, c(""), how, attributes, 0, UInt64(CLinux_MS_PRIVATE)))
}

/// Attaches a mount to one component of a directory.
private func attach(_ mount: CInt, to name: [UInt8], in directory: CInt) throws(Failure) {
    try check(
        CLinux_move_mount(
            mount, c(""), directory, terminated(name),
            unsignedFlags(CLinux_MOVE_MOUNT_F_EMPTY_PATH)))
}

/// A copy of the mount that shows a place, attached nowhere.
private func cloneTree(_ directory: CInt, _ path: [UInt8], _ more: Int64 = 0) throws(Failure)
    -> Descriptor
{
    Descriptor(
        owning: try check(
            CLinux_open_tree(
                directory, terminated(path),
                unsignedFlags(
                    CLinux_OPEN_TREE_CLONE, CLinux_OPEN_TREE_CLOEXEC, CLinux_AT_SYMLINK_NOFOLLOW,
                    more))))
}

/// A place to be made in the sandbox.
private enum Place { case directory, file }

extension FirstProcess {
    func makeMountsPrivate() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try check(
                CLinux_mount(
                    nil, c("/"), nil, UInt(CLinux_MS_REC | CLinux_MS_PRIVATE)))
        }
    }

    mutating func mountRoot() throws(StepFailure) {
        let size = decimal(plan.profile.rootSize)
        let made = try applied(to: []) { () throws(Failure) in
            let root = try newFileSystem(
                "tmpfs", [("size", size), ("mode", bytes("0755")), ("nr_inodes", bytes("1m"))],
                attributes: [CLinux_MOUNT_ATTR_NOSUID, CLinux_MOUNT_ATTR_NODEV])
            // Mounts can only be cloned and attached below one that is attached. This place of the host
            // is gone with all others when the root changes.
            try check(
                CLinux_move_mount(
                    root.number, c(""), workingDirectory, c("/"),
                    unsignedFlags(CLinux_MOVE_MOUNT_F_EMPTY_PATH)))
            return try check(CLinux_dup_from(root.number, 3))
        }
        root = CInt(made)
    }

    mutating func mountStore() throws(StepFailure) {
        let path = plan.logicalStore
        try applied(to: path) { () throws(Failure) in
            try setAttributes(plan.outTree, noSetIDNoDevices)
            try mount(plan.outTree, as: .directory, path)
        }
        store = plan.outTree
        writable.append(path)
    }

    /// Inputs are clones of one clone of the store's mount, which carries their attributes.
    func mountInputs() throws(StepFailure) {
        let hidden = bytes("/.store")
        try applied(to: hidden) { () throws(Failure) in
            try setAttributes(plan.storeTree, readOnly)
            try mount(plan.storeTree, as: .directory, hidden)
        }
        for input in plan.request.inputs {
            try applied(to: input.bytes) { () throws(Failure) in try mountInput(input.bytes) }
        }
        try applied(to: hidden) { () throws(Failure) in
            try check(CLinux_fchdir(root))
            try check(CLinux_umount2(c(".store"), flags(CLinux_MNT_DETACH)))
            try check(CLinux_unlinkat(root, c(".store"), flags(CLinux_AT_REMOVEDIR)))
            try check(CLinux_chdir(c("/")))
        }
    }

    private func mountInput(_ name: [UInt8]) throws(Failure) {
        let object = try cloneTree(plan.storeTree, name)
        let found = try fileStatus(of: object.number)
        guard found.user == 0 else { throw Failure(errno: Int32(CLinux_EPERM)) }
        if found.isType(CLinux_S_IFLNK) {
            // A link cannot be mounted; it is made again, and the sticky bit keeps it.
            try copyLink(object.number, c(""), to: name, in: store)
        } else if found.isType(CLinux_S_IFDIR) {
            try check(CLinux_mkdirat(store, terminated(name), 0o555))
            try attach(object.number, to: name, in: store)
        } else if found.isType(CLinux_S_IFREG) {
            try makeFile(name, in: store)
            try attach(object.number, to: name, in: store)
        } else {
            throw Failure(errno: Int32(CLinux_EINVAL))
        }
    }

    mutating func mountBuildDirectory() throws(StepFailure) {
        let path = plan.request.buildDirectory
        try applied(to: path) { () throws(Failure) in
            try setAttributes(plan.buildTree, noSetIDNoDevices)
            try mount(plan.buildTree, as: .directory, path)
        }
        writable.append(path)
    }

    func mountHostPlaces() throws(StepFailure) {
        for mount in plan.profile.hostMounts {
            try applied(to: mount.source) { () throws(Failure) in try mountHostPlace(mount) }
        }
    }

    private func mountHostPlace(_ mount: HostMount) throws(Failure) {
        let follow = mount.followsLink ? 0 : CLinux_AT_SYMLINK_NOFOLLOW
        let opened = CLinux_open_tree(
            workingDirectory, terminated(mount.source),
            unsignedFlags(
                CLinux_OPEN_TREE_CLONE, CLinux_OPEN_TREE_CLOEXEC, CLinux_AT_RECURSIVE, follow))
        if Int64(opened) == -CLinux_ENOENT, mount.presence == .optional { return }
        let tree = Descriptor(owning: try check(opened))
        let found = try fileStatus(of: tree.number)
        if found.isType(CLinux_S_IFLNK) {
            var parent = mount.target
            var name: [UInt8] = []
            while let last = parent.popLast(), last != UInt8(ascii: "/") { name.append(last) }
            name.reverse()
            let directory = try place(.directory, parent)
            try copyLink(tree.number, c(""), to: name, in: directory.number)
            return
        }
        try setAttributes(tree.number, readOnly, recursively: true)
        let kind = found.isType(CLinux_S_IFDIR) ? Place.directory : Place.file
        try self.mount(tree.number, as: kind, mount.target)
    }

    func mountDevices() throws(StepFailure) {
        for device in plan.profile.devices {
            let (name, number) = device.node
            try applied(to: bytes(name)) { () throws(Failure) in
                let tree = try cloneTree(workingDirectory, bytes("/dev/") + bytes(name))
                let found = try fileStatus(of: tree.number)
                guard found.isType(CLinux_S_IFCHR), found.represents == number else {
                    throw Failure(errno: Int32(CLinux_EINVAL))
                }
                try setAttributes(
                    tree.number,
                    UInt64(CLinux_MOUNT_ATTR_NOSUID | CLinux_MOUNT_ATTR_NOEXEC))
                try mount(tree.number, as: .file, bytes("/dev/") + bytes(name))
            }
        }
    }

    mutating func mountProc() throws(StepFailure) {
        let opened = try applied(to: bytes("/proc")) { () throws(Failure) in
            let proc = try newFileSystem(
                "proc", [],
                attributes: [
                    CLinux_MOUNT_ATTR_NOSUID, CLinux_MOUNT_ATTR_NODEV, CLinux_MOUNT_ATTR_NOEXEC,
                ])
            try mount(proc.number, as: .directory, bytes("/proc"))
            let limits = try open(
                proc.number, bytes("sys"), CLinux_O_PATH | CLinux_O_DIRECTORY)
            let result = try check(CLinux_dup_from(limits.number, 3))
            try mask(proc.number)
            return result
        }
        namespaceLimits = CInt(opened)
    }

    /// Covers what a builder has no business with: settings can be read only, and the rest is empty.
    private func mask(_ proc: CInt) throws(Failure) {
        let readable: [StaticString] = [
            "sys", "irq", "bus", "fs", "acpi", "asound", "driver", "scsi",
        ]
        for name in readable {
            let opened = CLinux_open_tree(
                proc, c(name),
                unsignedFlags(CLinux_OPEN_TREE_CLONE, CLinux_OPEN_TREE_CLOEXEC))
            if Int64(opened) == -CLinux_ENOENT { continue }
            let tree = Descriptor(owning: try check(opened))
            try setAttributes(tree.number, readOnly | UInt64(CLinux_MOUNT_ATTR_NOEXEC))
            try attach(tree.number, to: bytes(name), in: proc)
        }
        let hidden: [StaticString] = [
            "kcore", "keys", "key-users", "timer_list", "sched_debug", "latency_stats", "kallsyms",
            "interrupts", "softirqs", "sysrq-trigger", "kmsg", "kpagecount", "kpageflags",
            "kpagecgroup", "vmallocinfo", "slabinfo",
        ]
        let empty = bytes(".empty")
        try makeFile(empty, in: root)
        for name in hidden {
            var found = CLinux_status()
            let looked = CLinux_fstatat(
                proc, c(name), &found, flags(CLinux_AT_SYMLINK_NOFOLLOW))
            if Int64(looked) == -CLinux_ENOENT { continue }
            try check(looked)
            let tree = try cloneTree(root, empty)
            try setAttributes(tree.number, readOnly)
            try attach(tree.number, to: bytes(name), in: proc)
        }
        try check(CLinux_unlinkat(root, terminated(empty), 0))
    }

    mutating func mountTemporaryPlaces() throws(StepFailure) {
        let sizes = [
            (bytes("/tmp"), max(plan.profile.temporarySize, 1 << 20)),
            (bytes("/dev/shm"), max(plan.profile.sharedMemorySize, 1 << 20)),
        ]
        for (path, size) in sizes {
            try applied(to: path) { () throws(Failure) in
                let made = try newFileSystem(
                    "tmpfs", [("size", decimal(size)), ("mode", bytes("1777"))],
                    attributes: [CLinux_MOUNT_ATTR_NOSUID, CLinux_MOUNT_ATTR_NODEV])
                try mount(made.number, as: .directory, path)
            }
            writable.append(path)
        }
        try applied(to: bytes("/dev/pts")) { () throws(Failure) in
            let made = try newFileSystem(
                "devpts",
                [("ptmxmode", bytes("0666")), ("mode", bytes("0620")), ("max", bytes("64"))],
                attributes: [CLinux_MOUNT_ATTR_NOSUID, CLinux_MOUNT_ATTR_NOEXEC])
            try mount(made.number, as: .directory, bytes("/dev/pts"))
            let dev = try place(.directory, bytes("/dev"))
            let links: [(StaticString, StaticString)] = [
                ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
            ]
            for (name, target) in links {
                try check(CLinux_symlinkat(c(target), dev.number, c(name)))
            }
        }
        writable.append(bytes("/dev/pts"))
        for device in plan.profile.devices {
            writable.append(bytes("/dev/") + bytes(device.node.name))
        }
        writable.append(bytes("/proc"))
    }

    /// The text that Nix writes, so that programs see the same names everywhere.
    ///
    /// Source: `reference/nix-features.md` §5.3.
    func writeEtc() throws(StepFailure) {
        let user = decimal(UInt64(plan.profile.sandboxUser))
        let group = decimal(UInt64(plan.profile.sandboxGroup))
        let colon = [UInt8(ascii: ":")]
        var passwd = bytes("root:x:0:0:Nix build user:/build:/noshell\nnixbld:x:")
        passwd += user + colon + group
        passwd += bytes(":Nix build user:/build:/noshell\nnobody:x:65534:65534:Nobody:/:/noshell\n")
        let groups =
            bytes("root:x:0:\nnixbld:!:") + group + bytes(":\nnogroup:x:65534:\n")
        let hosts = bytes("127.0.0.1 localhost\n::1 localhost\n")
        for (name, text) in [
            (bytes("passwd"), passwd), (bytes("group"), groups), (bytes("hosts"), hosts),
        ] {
            try applied(to: bytes("/etc/") + name) { () throws(Failure) in
                let etc = try place(.directory, bytes("/etc"))
                let how = CLinux_O_WRONLY | CLinux_O_CREAT | CLinux_O_EXCL
                let file = try open(etc.number, name, how, mode: 0o444)
                try write(file.number, text)
            }
        }
    }

    func makeRootReadOnly() throws(StepFailure) {
        try applied(to: []) { () throws(Failure) in
            try setAttributes(root, readOnly)
        }
    }

    mutating func changeRoot() throws(StepFailure) {
        rootStatus = try applied(to: []) { () throws(Failure) in
            let found = try fileStatus(of: root)
            try check(CLinux_fchdir(root))
            try check(CLinux_pivot_root(c("."), c(".")))
            try check(CLinux_umount2(c("."), flags(CLinux_MNT_DETACH)))
            try check(CLinux_chdir(c("/")))
            return found
        }
    }

    /// Reads the kernel's list of mounts: everything that was asked for, and nothing else, is there and
    /// private, and read-only unless it is a place that the builder may write to.
    func verifyMounts() throws(StepFailure) {
        var found = CLinux_status()
        let list = try applied(to: bytes("/proc/self/mountinfo")) { () throws(Failure) in
            try check(CLinux_fstatat(workingDirectory, c("/"), &found, 0))
            let file = Descriptor(
                owning: try check(
                    CLinux_openat(
                        workingDirectory, c("/proc/self/mountinfo"),
                        flags(CLinux_O_RDONLY, CLinux_O_CLOEXEC), 0)))
            return try readStream(file.number, limit: 64 << 20)
        }
        guard found.isSameFile(as: rootStatus) else { throw StepFailure(errno: CLinux_EXDEV) }
        let expected = ExpectedMounts(
            writable: writable, store: plan.logicalStore, inputs: plan.request.inputs,
            trees: plan.profile.hostMounts.map { $0.target } + [bytes("/proc")])
        try expected.verify(list)
    }

    /// Makes a place in the sandbox's root and attaches a mount to it.
    private func mount(_ mount: CInt, as kind: Place, _ path: [UInt8]) throws(Failure) {
        // A name of its own: a temporary would be closed before the call.
        let target = try place(kind, path)
        try check(
            CLinux_move_mount(
                mount, c(""), target.number, c(""),
                unsignedFlags(CLinux_MOVE_MOUNT_F_EMPTY_PATH, CLinux_MOVE_MOUNT_T_EMPTY_PATH)))
    }

    /// Makes a place in the sandbox's root, and opens it; what exists stays.
    ///
    /// No component may be a link or lie on another mount: no place is made where a builder, or a
    /// directory of the host, could have a say.
    private func place(_ kind: Place, _ path: [UInt8]) throws(Failure) -> Descriptor {
        let resolve = UInt64(
            CLinux_RESOLVE_BENEATH | CLinux_RESOLVE_NO_SYMLINKS | CLinux_RESOLVE_NO_XDEV)
        let how = UInt64(CLinux_O_PATH | CLinux_O_CLOEXEC | CLinux_O_NOFOLLOW)
        var current = Descriptor(owning: try check(CLinux_dup_from(root, 3)))
        var components: [[UInt8]] = []
        var name: [UInt8] = []
        for byte in path + [UInt8(ascii: "/")] {
            if byte == UInt8(ascii: "/") {
                if !name.isEmpty { components.append(name) }
                name = []
            } else {
                name.append(byte)
            }
        }
        for (index, component) in components.enumerated() {
            if index == components.count - 1, kind == .file {
                try makeFile(component, in: current.number, mayExist: true)
            } else {
                let made = CLinux_mkdirat(current.number, terminated(component), 0o755)
                if Int64(made) != -CLinux_EEXIST { try check(made) }
            }
            current = Descriptor(
                owning: try check(
                    CLinux_openat2(current.number, terminated(component), how, 0, resolve)))
        }
        return current
    }

    private func makeFile(
        _ name: [UInt8], in directory: CInt, mayExist: Bool = false
    ) throws(Failure) {
        let how = CLinux_O_WRONLY | CLinux_O_CREAT | (mayExist ? 0 : CLinux_O_EXCL)
        _ = try open(directory, name, how, mode: 0o444)
    }

    private func copyLink(
        _ directory: CInt, _ link: UnsafePointer<CChar>, to name: [UInt8], in target: CInt
    ) throws(Failure) {
        var text = [CChar](repeating: 0, count: 4097)
        let count = try check(CLinux_readlinkat(directory, link, &text, text.count - 1))
        guard count < text.count - 1 else { throw Failure(errno: Int32(CLinux_EINVAL)) }
        text[count] = 0
        try check(CLinux_symlinkat(text, target, terminated(name)))
    }
}

extension Device {
    /// The name in `/dev` and the number that the kernel gives it, `major << 8 | minor`.
    var node: (name: StaticString, number: UInt64) {
        switch self {
        case .null: ("null", 1 << 8 | 3)
        case .zero: ("zero", 1 << 8 | 5)
        case .full: ("full", 1 << 8 | 7)
        case .random: ("random", 1 << 8 | 8)
        case .urandom: ("urandom", 1 << 8 | 9)
        case .tty: ("tty", 5 << 8 | 0)
        case .kvm: ("kvm", 10 << 8 | 232)
        }
    }
}
