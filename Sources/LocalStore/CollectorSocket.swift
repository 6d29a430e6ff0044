import Glibc
import StoreModel
import SystemCalls

/// The socket of a collector that runs, which must hear of new roots before it deletes them.
///
/// Source: `reference/nix-features.md` §12, "GC socket".
enum CollectorSocket {
    /// Tells a running collector about a root and waits until it has taken note.
    ///
    /// - Returns: False if there is no collector any more, or none yet: look at the lock again.
    static func announce(_ root: StorePath, in layout: StoreLayout) throws(SystemError) -> Bool {
        let place = layout.collectorSocketDirectory
        do throws(SystemError) {
            // By descriptor, because a socket's address is shorter than a path may be.
            let directory = try openFile(place, O_RDONLY | O_DIRECTORY)
            let connection = try directory.withNumber { (number) throws(SystemError) in
                try connect(to: "/proc/self/fd/\(number)/socket", place: place)
            }
            return try connection.withNumber { (number) throws(SystemError) in
                let line = layout.logicalStore.path(of: root).bytes + [UInt8(ascii: "\n")]
                let sent = try check("send", on: place) {
                    send(number, line, line.count, CInt(MSG_NOSIGNAL))
                }
                guard sent == line.count else { return false }
                var answer: UInt8 = 0
                let count = try check("read", on: place) { read(number, &answer, 1) }
                return count == 1 && answer == UInt8(ascii: "1")
            }
        } catch {
            switch error.errno {
            case ECONNREFUSED, ENOENT, EPIPE, ECONNRESET: return false
            default: throw error
            }
        }
    }

    private static func connect(
        to path: String, place: String
    ) throws(SystemError) -> SharedDescriptor {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let number = try check("socket") { Glibc.socket(AF_UNIX, type, 0) }
        let socket = SharedDescriptor(OwnedDescriptor(takingOwnershipOf: number))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            precondition(path.utf8.count < bytes.count, "a path in /proc is short")
            bytes.copyBytes(from: path.utf8)
        }
        try socket.withNumber { (number) throws(SystemError) in
            try check("connect", on: place) {
                withUnsafePointer(to: address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
            }
        }
        return socket
    }
}
