import Glibc
import LaunchModel
import LocalStore
import SystemCalls

/// Makes the directories of a store that are missing, and gives the engine those that it works in.
///
/// Runs as root before any request is read (or as the caller, for whom nothing changes hands). Every
/// directory is opened in its parent, never by way of a link, and checked before anything is done in it:
/// a store that is somebody else's is left as it is.
///
/// Source: design, §8, the table of owners.
struct StoreDirectories {
    let layout: StoreLayout
    let engine: EngineIdentity
    /// Whose directories are acceptable, besides root's and, where it works, the engine's.
    let trusted: Set<UInt32>

    /// What a directory must be before it is used.
    private enum Condition {
        /// Nobody but its owner can change what is in it.
        case closed
        /// Its owner is acceptable; its mode is looked at elsewhere, or is the administrator's affair.
        case owned
        /// Like ``owned``, or an engine's already.
        case engines
    }

    /// Makes them.
    func make() throws(HostSetupError) {
        let root = try openRoot()
        let nix = try directory("nix", in: root, layout.root)
        let path = layout.root + "/nix"
        _ = try directory("store", in: nix, path, .owned)
        let variable = try directory("var", in: nix, path)
        let state = try directory("nix", in: variable, path + "/var")
        for name in ["db", "gcroots", "profiles", "temproots"] {
            let made = try directory(
                name, in: state, layout.state, name == "profiles" ? .closed : .engines)
            guard name != "profiles" else {
                // They stay root's; the engine only reads them.
                _ = try directory(
                    "per-user", in: made, layout.state + "/profiles", .owned)
                continue
            }
            // The files first: in a directory that is the engine's already, what has such a name is the
            // engine's choice, and not to be given away by root.
            if name == "db" {
                let path = layout.state + "/db"
                if try status(of: made, path).st_uid == engine.user.rawValue {
                    try removeReserve(in: made, path)
                } else {
                    try giveFiles(in: made, path)
                }
            }
            try giveToEngine(made, layout.state + "/" + name)
            if name == "gcroots" {
                let automatic = try directory(
                    "auto", in: made, layout.state + "/gcroots", .engines)
                try giveToEngine(automatic, layout.state + "/gcroots/auto")
                let perUser = try directory(
                    "per-user", in: made, layout.state + "/gcroots", .engines)
                try giveToEngine(perUser, layout.state + "/gcroots/per-user")
            }
        }
        let lock = try file("gc.lock", in: state, layout.state)
        try giveToEngine(lock, layout.state + "/gc.lock")
        let log = try directory("log", in: variable, path + "/var")
        let nixLog = try directory("nix", in: log, path + "/var/log", .engines)
        try giveToEngine(nixLog, layout.log)
        let drvs = try directory("drvs", in: nixLog, layout.log, .engines)
        try giveToEngine(drvs, layout.log + "/drvs")
        let kiln = try directory("kiln", in: variable, path + "/var")
        _ = try directory("control", in: kiln, layout.kiln, mode: 0o700)
        let incoming = try directory("incoming", in: kiln, layout.kiln, .engines, mode: 0o700)
        try giveToEngine(incoming, layout.incoming)
        let denials = try directory("denials", in: kiln, layout.kiln, .engines)
        try giveToEngine(denials, layout.denials)
    }

    private func openRoot() throws(HostSetupError) -> OwnedDescriptor {
        let path = layout.root.isEmpty ? "/" : layout.root
        let root = try system { () throws(SystemError) in
            OwnedDescriptor(
                takingOwnershipOf: try SystemCalls.check("open", on: path) {
                    open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                })
        }
        try check(root, path, .closed)
        return root
    }

    private func directory(
        _ name: String, in parent: borrowing OwnedDescriptor, _ path: String,
        _ condition: Condition = .closed, mode: mode_t = 0o755
    ) throws(HostSetupError) -> OwnedDescriptor {
        let shown = path + "/" + name
        let made = try system { () throws(SystemError) in
            try parent.withNumber { (number) throws(SystemError) in
                if mkdirat(number, name, mode) == -1, errno != EEXIST {
                    throw SystemError(call: "mkdirat", path: shown, errno: errno)
                }
                return OwnedDescriptor(
                    takingOwnershipOf: try SystemCalls.check("openat", on: shown) {
                        openat(number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                    })
            }
        }
        try check(made, shown, condition)
        return made
    }

    private func check(
        _ directory: borrowing OwnedDescriptor, _ path: String, _ condition: Condition
    ) throws(HostSetupError) {
        let found = try status(of: directory, path)
        var owners = trusted.union([0])
        // The account of the engine may have been made, or removed, since the last time.
        if condition == .engines {
            owners.formUnion([engine.user.rawValue, AutomaticUsers.reserved])
        }
        guard owners.contains(found.st_uid) else {
            throw .unsafeDirectory(
                path: path, problem: "belongs to the user \(found.st_uid), whose store this is",
                repair: "chown root '\(path)', or choose a --root elsewhere")
        }
        guard condition != .closed || found.st_mode & 0o022 == 0 else {
            throw .unsafeDirectory(
                path: path, problem: "can be written by others, who could replace the store",
                repair: "chmod go-w '\(path)', or choose a --root elsewhere")
        }
    }

    private func status(
        of file: borrowing OwnedDescriptor, _ path: String
    ) throws(HostSetupError) -> stat {
        try system { () throws(SystemError) in
            try file.withNumber { (number) throws(SystemError) in
                var found = stat()
                try SystemCalls.check("fstat", on: path) { fstat(number, &found) }
                return found
            }
        }
    }

    private func file(
        _ name: String, in parent: borrowing OwnedDescriptor, _ path: String
    ) throws(HostSetupError) -> OwnedDescriptor {
        try system { () throws(SystemError) in
            try parent.withNumber { (number) throws(SystemError) in
                OwnedDescriptor(
                    takingOwnershipOf: try SystemCalls.check("openat", on: path + "/" + name) {
                        openat(number, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
                    })
            }
        }
    }

    /// The database's files, which root's own Nix may have made; SQLite keeps their owner from then on.
    private func giveFiles(
        in database: borrowing OwnedDescriptor, _ path: String
    ) throws(HostSetupError) {
        for name in [
            "db.sqlite", "db.sqlite-wal", "db.sqlite-shm", "schema", "big-lock", "reserved",
        ] {
            try system { () throws(SystemError) in
                try database.withNumber { (number) throws(SystemError) in
                    let opened = openat(number, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
                    if opened == -1, errno == ENOENT { return }
                    guard opened >= 0 else {
                        throw SystemError(call: "openat", path: path + "/" + name, errno: errno)
                    }
                    let file = OwnedDescriptor(takingOwnershipOf: opened)
                    try give(file, path + "/" + name)
                }
            }
        }
    }

    /// The room that root's Nix reserves anew whenever it collects; nothing is in it.
    private func removeReserve(
        in database: borrowing OwnedDescriptor, _ path: String
    ) throws(HostSetupError) {
        try system { () throws(SystemError) in
            try database.withNumber { (number) throws(SystemError) in
                var found = stat()
                let shown = path + "/reserved"
                if fstatat(number, "reserved", &found, AT_SYMLINK_NOFOLLOW) == -1, errno == ENOENT {
                    return
                }
                guard found.st_uid != engine.user.rawValue else { return }
                try SystemCalls.check("unlinkat", on: shown) { unlinkat(number, "reserved", 0) }
            }
        }
    }

    private func giveToEngine(
        _ file: borrowing OwnedDescriptor, _ path: String
    ) throws(HostSetupError) {
        do {
            try give(file, path)
        } catch {
            throw .system(error)
        }
    }

    private func give(_ file: borrowing OwnedDescriptor, _ path: String) throws(SystemError) {
        try file.withNumber { (number) throws(SystemError) in
            var found = stat()
            try SystemCalls.check("fstat", on: path) { fstat(number, &found) }
            // A file with a second name could be one of somebody else's.
            guard found.st_mode & S_IFMT == S_IFDIR || found.st_nlink == 1 else {
                throw SystemError(call: "fchown", path: path, errno: EMLINK)
            }
            guard found.st_uid != engine.user.rawValue else { return }
            try SystemCalls.check("fchown", on: path) {
                fchown(number, engine.user.rawValue, engine.group.rawValue)
            }
        }
    }
}
