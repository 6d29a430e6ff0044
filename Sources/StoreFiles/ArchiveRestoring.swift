public import ArchiveFormat
import Glibc
public import SystemCalls

/// Makes the tree that an archive holds, as a visitor of the archive.
///
/// Every node is made new, by one name in a directory that is already open; nothing is replaced and no
/// link is followed. Modes become 0444 or 0555 and times 1, as every object of a store has them.
public struct ArchiveRestorer: NARVisitor {
    /// What a visitor of an archive may fail with here.
    public typealias Failure = SystemError

    private let parent: CInt
    private var name: [UInt8]
    private let path: String
    private var open: [OpenNode] = []
    private var file: OpenNode?
    private var isExecutable = false

    /// Makes the top as `name` in a directory.
    ///
    /// - Parameters:
    ///   - name: One component, which must not exist.
    ///   - directory: A descriptor of the directory; stays the caller's and must outlive this value.
    ///   - path: What to call the directory in messages.
    public init(name: [UInt8], in directory: CInt, path: String) {
        self.name = name
        parent = directory
        self.path = path
    }

    private var place: String {
        (open.last?.path ?? path) + "/" + String(decoding: name, as: UTF8.self)
    }

    private func withParent<R>(
        _ body: (CInt, UnsafePointer<CChar>) throws(SystemError) -> R
    ) throws(SystemError) -> R {
        let terminated = (name + [0]).map { CChar(bitPattern: $0) }
        let result = terminated.withUnsafeBufferPointer { bytes -> Result<R, SystemError> in
            guard let name = bytes.baseAddress else { preconditionFailure("a NUL is there") }
            return Result { () throws(SystemError) in
                guard let directory = open.last else { return try body(parent, name) }
                return try directory.withNumber { (number) throws(SystemError) in
                    try body(number, name)
                }
            }
        }
        return try result.get()
    }

    /// Makes the file, empty and private.
    public mutating func regular(isExecutable: Bool, size: UInt64) throws(SystemError) {
        let place = place
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let number = try withParent { (parent, name) throws(SystemError) in
            try check("openat", on: place) { openat(parent, name, flags, 0o600) }
        }
        file = OpenNode(OwnedDescriptor(takingOwnershipOf: number), path: place)
        self.isExecutable = isExecutable
    }

    /// Writes the next bytes.
    public mutating func contents(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        guard let file else { preconditionFailure("contents belong to a file") }
        try file.withNumber { (number) throws(SystemError) in
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = UnsafeRawBufferPointer(rebasing: rest)
                let count = try check("write", on: file.path) {
                    write(number, piece.baseAddress, piece.count)
                }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Gives the file its mode and time.
    public mutating func endOfFile() throws(SystemError) {
        guard let file else { preconditionFailure("the end belongs to a file") }
        let mode: mode_t = isExecutable ? 0o555 : 0o444
        try finish(file, mode: mode)
        self.file = nil
    }

    /// Makes the link.
    public mutating func symbolicLink(target: [UInt8]) throws(SystemError) {
        let place = place
        let target = (target + [0]).map { CChar(bitPattern: $0) }
        try withParent { (parent, name) throws(SystemError) in
            try check("symlinkat", on: place) { symlinkat(target, parent, name) }
            var times = Self.times
            try check("utimensat", on: place) {
                utimensat(parent, name, &times, AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    /// Makes the directory, private while it is filled.
    public mutating func directory() throws(SystemError) {
        let place = place
        let number = try withParent { (parent, name) throws(SystemError) in
            try check("mkdirat", on: place) { mkdirat(parent, name, 0o700) }
            return try check("openat", on: place) {
                openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
        }
        open.append(OpenNode(OwnedDescriptor(takingOwnershipOf: number), path: place))
    }

    /// Names the node that comes next.
    public mutating func entry(name: [UInt8]) { self.name = name }

    /// Gives the directory its mode and time.
    public mutating func endOfDirectory() throws(SystemError) {
        guard let directory = open.popLast() else { preconditionFailure("no directory is open") }
        try finish(directory, mode: 0o555)
    }

    /// The kernel's `UTIME_OMIT`, a macro that Swift does not see.
    private static let omitted = 0x3fff_fffe

    /// The access time stays; the modification time becomes 1.
    private static var times: [timespec] {
        [timespec(tv_sec: 0, tv_nsec: omitted), timespec(tv_sec: 1, tv_nsec: 0)]
    }

    private func finish(_ node: OpenNode, mode: mode_t) throws(SystemError) {
        try node.withNumber { (number) throws(SystemError) in
            try check("fchmod", on: node.path) { fchmod(number, mode) }
            var times = Self.times
            try check("futimens", on: node.path) { futimens(number, &times) }
        }
    }
}
