public import ArchiveFormat
import Glibc
public import SystemCalls

/// Why a tree cannot be archived, or an archive not be unpacked.
public enum StoreFileError: Error, Hashable, Sendable {
    /// A system call failed.
    case system(SystemError)
    /// The file is neither regular, a directory, nor a symbolic link.
    case fileType(String)
    /// The file became another, or another size, while it was read.
    case changed(String)
    /// Directories are nested deeper than allowed.
    case tooDeep(String, limit: Int)
    /// The bytes are not an archive.
    case archive(NARFault)
}

/// Tells the archive of the tree at a path, in pieces.
///
/// The walk is by descriptors: no name is resolved but in a directory that is already open, and no link
/// is followed, the top one neither. It keeps one descriptor a level.
///
/// - Parameters:
///   - path: The top of the tree.
///   - limits: How deep it may be; a deeper archive could not be read again.
///   - body: Takes the next bytes; the buffer is only valid during the call.
/// - Throws: ``StoreFileError`` when a file cannot be read, or has no place in an archive.
public func archive(
    _ path: String, limits: NARLimits = NARLimits(), _ body: (UnsafeRawBufferPointer) -> Void
) throws(StoreFileError) {
    var walk = ArchiveWalk(top: path, limits: limits)
    try walk.run(body) { (walk) throws in try walk.node([UInt8](path.utf8), in: nil, body) }
}

/// Tells the archive of the tree whose top is open, in pieces.
///
/// - Parameters:
///   - top: A descriptor of a directory or regular file that is open for reading, or of a symbolic
///     link that was opened with `O_PATH`; stays the caller's.
///   - path: What to call it in messages.
///   - limits: How deep it may be.
///   - body: Takes the next bytes; the buffer is only valid during the call.
/// - Throws: ``StoreFileError`` when a file cannot be read, or has no place in an archive.
public func archive(
    of top: CInt, calling path: String, limits: NARLimits = NARLimits(),
    _ body: (UnsafeRawBufferPointer) -> Void
) throws(StoreFileError) {
    var walk = ArchiveWalk(top: path, limits: limits)
    try walk.run(body) { (walk) throws in try walk.opened(top, body) }
}

/// A tree that is being archived.
private struct ArchiveWalk {
    let top: String
    let limits: NARLimits
    var writer = NARWriter()
    var open: [OpenNode] = []
    /// As large as the largest file so far, up to 1 MiB.
    var buffer: [UInt8] = []

    init(top: String, limits: NARLimits) {
        self.top = top
        self.limits = limits
    }

    mutating func run(
        _ body: (UnsafeRawBufferPointer) -> Void, from start: (inout ArchiveWalk) throws -> Void
    ) throws(StoreFileError) {
        do {
            try start(&self)
            while let directory = open.last {
                if let name = directory.rest.popLast() {
                    writer.entry(name: name)
                    try node(name, in: directory, body)
                } else {
                    open.removeLast()
                    writer.endDirectory()
                }
                flush(body)
            }
            flush(body)
        } catch let error as SystemError {
            throw .system(error)
        } catch let error as StoreFileError {
            throw error
        } catch {
            preconditionFailure("the walk throws nothing else")
        }
    }

    private mutating func flush(_ body: (UnsafeRawBufferPointer) -> Void) {
        writer.take().withUnsafeBytes(body)
    }

    /// Adds what a name means in a directory, or in the working directory.
    mutating func node(
        _ name: [UInt8], in directory: OpenNode?, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws {
        let place = directory?.path(of: name) ?? top
        let name = (name + [0]).map { CChar(bitPattern: $0) }
        guard let directory else {
            try visit(name, in: AT_FDCWD, place: place, body)
            return
        }
        try directory.withNumber { try visit(name, in: $0, place: place, body) }
    }

    private mutating func visit(
        _ name: [CChar], in parent: CInt, place: String, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws {
        var status = stat()
        try check("fstatat", on: place) { fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) }
        switch status.st_mode & S_IFMT {
        case S_IFLNK: try link(name, in: parent, place: place)
        case S_IFREG, S_IFDIR:
            // A name may mean a FIFO by now, which would block, or a terminal, which would become ours.
            let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            let number = try check("openat", on: place) { openat(parent, name, flags) }
            let descriptor = OwnedDescriptor(takingOwnershipOf: number)
            var opened = stat()
            try check("fstat", on: place) { fstat(number, &opened) }
            guard opened.st_ino == status.st_ino, opened.st_dev == status.st_dev else {
                throw StoreFileError.changed(place)
            }
            try content(of: descriptor, opened, place: place, body)
        default: throw StoreFileError.fileType(place)
        }
    }

    /// Adds the top, which somebody else opened.
    mutating func opened(_ number: CInt, _ body: (UnsafeRawBufferPointer) -> Void) throws {
        var status = stat()
        try check("fstat", on: top) { fstat(number, &status) }
        switch status.st_mode & S_IFMT {
        case S_IFLNK: try link([0], in: number, place: top)
        case S_IFREG, S_IFDIR:
            let copy = try check("fcntl", on: top) { fcntl(number, F_DUPFD_CLOEXEC, 0) }
            let descriptor = OwnedDescriptor(takingOwnershipOf: copy)
            if status.st_mode & S_IFMT == S_IFREG {
                // The position is shared with whoever opened it.
                try check("lseek", on: top) { lseek(copy, 0, SEEK_SET) }
            }
            try content(of: descriptor, status, place: top, body)
        default: throw StoreFileError.fileType(top)
        }
    }

    private mutating func link(_ name: [CChar], in parent: CInt, place: String) throws {
        var target = [CChar](repeating: 0, count: Int(NARLimits.targetLength) + 1)
        let count = try check("readlinkat", on: place) {
            readlinkat(parent, name, &target, target.count)
        }
        writer.symbolicLink(target: target[..<count].map { UInt8(bitPattern: $0) })
    }

    private mutating func content(
        of descriptor: consuming OwnedDescriptor, _ status: stat, place: String,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws {
        guard status.st_mode & S_IFMT == S_IFDIR else {
            try file(descriptor, status, place: place, body)
            return
        }
        guard open.count < limits.depth else {
            throw StoreFileError.tooDeep(place, limit: limits.depth)
        }
        writer.beginDirectory()
        let directory = OpenNode(descriptor, path: place)
        directory.rest = try directory.withNumber { (number) throws(SystemError) in
            try names(in: number, path: place).reversed()
        }
        open.append(directory)
    }

    private mutating func file(
        _ descriptor: borrowing OwnedDescriptor, _ status: stat, place: String,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws {
        writer.beginFile(
            isExecutable: status.st_mode & S_IXUSR != 0, size: UInt64(status.st_size))
        flush(body)
        // Never empty, so that more than was announced is noticed.
        let wanted = min(max(Int(status.st_size) + 1, 4096), 1 << 20)
        if buffer.count < wanted { buffer = [UInt8](repeating: 0, count: wanted) }
        var left = Int(status.st_size)
        try descriptor.withNumber { number in
            while true {
                let count = try check("read", on: place) { read(number, &buffer, buffer.count) }
                if count == 0 { break }
                left -= count
                guard left >= 0 else { throw StoreFileError.changed(place) }
                buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            }
        }
        guard left == 0 else { throw StoreFileError.changed(place) }
        writer.endFile()
    }
}

extension StoreFileError: CustomStringConvertible {
    /// One sentence that says what was refused, and where.
    public var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .fileType(let path): "\(path): neither a regular file, a directory nor a symbolic link"
        case .changed(let path): "\(path): changed while it was read"
        case .tooDeep(let path, let limit): "\(path): directories are nested deeper than \(limit)"
        case .archive(let fault): "\(fault)"
        }
    }
}
