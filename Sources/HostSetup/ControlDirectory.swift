import Glibc
public import LocalStore
public import SystemCalls

/// The directory in which the launchers of a store have sockets for root (or, without root, for the caller).
///
/// Nobody else may enter it, so the engine has no way to a launcher but its conversation. A launcher that ends
/// leaves its socket, on which nobody listens any more; whoever comes next removes it.
public struct ControlDirectory: Sendable {
    private let directory: SharedDescriptor
    private let path: String

    /// The most commands that wait to be let in.
    private static let backlog: CInt = 4

    /// Opens the directory of a store.
    ///
    /// - Throws: ``HostSetupError/unsafeDirectory(path:problem:repair:)`` when others may enter it, and
    ///   ``HostSetupError/system(_:)`` when it is not there or not for the caller.
    public init(of layout: StoreLayout) throws(HostSetupError) {
        let path = layout.control
        directory = try system { () throws(SystemError) in
            SharedDescriptor(
                OwnedDescriptor(
                    takingOwnershipOf: try check("open", on: path) {
                        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                    }))
        }
        self.path = path
        let found = try system { () throws(SystemError) in
            try directory.withNumber { (number) throws(SystemError) in
                var found = stat()
                try check("fstat", on: path) { fstat(number, &found) }
                return found
            }
        }
        guard found.st_uid == geteuid(), found.st_mode & 0o077 == 0 else {
            throw .unsafeDirectory(
                path: path, problem: "may be entered by others than the user \(geteuid())",
                repair: "chown \(geteuid()) '\(path)' && chmod 700 '\(path)'")
        }
    }

    /// Makes a socket of its own for one launcher, and removes those of launchers that have ended.
    public func listen() throws(HostSetupError) -> SharedDescriptor {
        try system { () throws(SystemError) in
            try directory.withNumber { (number) throws(SystemError) in
                // A socket is bound before somebody listens on it, and must not be taken for a dead one then.
                try check("flock", on: path) { flock(number, LOCK_EX) }
                defer { flock(number, LOCK_UN) }
                _ = try sockets(in: number)
                let name = String(UInt64.random(in: .min ... .max), radix: 16)
                let socket = try newSocket()
                try socket.withNumber { (socket) throws(SystemError) in
                    try withAddress(of: name, in: number) { (address, size) throws(SystemError) in
                        try check("bind", on: path + "/" + name) { bind(socket, address, size) }
                    }
                    try check("fchmodat", on: path + "/" + name) {
                        fchmodat(number, name, 0o600, 0)
                    }
                    try check("listen", on: path + "/" + name) {
                        Glibc.listen(socket, Self.backlog)
                    }
                }
                return SharedDescriptor(socket)
            }
        }
    }

    /// Connects to every launcher that runs.
    public func launchers() throws(HostSetupError) -> [PacketSocket] {
        try system { () throws(SystemError) in
            try directory.withNumber { (number) throws(SystemError) in
                try check("flock", on: path) { flock(number, LOCK_EX) }
                defer { flock(number, LOCK_UN) }
                return try sockets(in: number)
            }
        }
    }

    /// Connections to all sockets that somebody listens on; the others are removed.
    private func sockets(in directory: CInt) throws(SystemError) -> [PacketSocket] {
        var found: [PacketSocket] = []
        for name in try names(in: directory) {
            let socket = try newSocket()
            let code = try socket.withNumber { (socket) throws(SystemError) in
                try withAddress(of: name, in: directory) { (address, size) throws(SystemError) in
                    connect(socket, address, size) == 0 ? 0 : errno
                }
            }
            switch code {
            case 0: found.append(PacketSocket(socket))
            case ECONNREFUSED:
                try check("unlinkat", on: path + "/" + name) { unlinkat(directory, name, 0) }
            default: throw SystemError(call: "connect", path: path + "/" + name, errno: code)
            }
        }
        return found
    }

    private func newSocket() throws(SystemError) -> OwnedDescriptor {
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        return OwnedDescriptor(
            takingOwnershipOf: try check("socket") { socket(AF_UNIX, kind, 0) })
    }

    private func names(in directory: CInt) throws(SystemError) -> [String] {
        let copy = try check("openat", on: path) {
            openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        guard let stream = fdopendir(copy) else {
            let code = errno
            close(copy)
            throw SystemError(call: "fdopendir", path: path, errno: code)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                guard code == 0 else { throw SystemError(call: "readdir", path: path, errno: code) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// The address of a socket by way of the open directory: addresses are shorter than paths may be.
    @discardableResult
    private func withAddress<R>(
        of name: String, in directory: CInt,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> R
    ) throws(SystemError) -> R {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let place = [UInt8]("/proc/self/fd/\(directory)/\(name)".utf8)
        guard place.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(call: "connect", path: path + "/" + name, errno: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: place) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                Result { () throws(SystemError) in
                    try body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        return try result.get()
    }
}
