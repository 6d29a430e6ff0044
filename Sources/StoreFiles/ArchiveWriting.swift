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
    var writer = NARWriter()
    var open: [OpenNode] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    func flush() { writer.take().withUnsafeBytes(body) }
    do {
        try node([UInt8](path.utf8), in: nil)
        while let directory = open.last {
            if let name = directory.rest.popLast() {
                writer.entry(name: name)
                try node(name, in: directory)
            } else {
                open.removeLast()
                writer.endDirectory()
            }
            flush()
        }
        flush()
    } catch let error as SystemError {
        throw .system(error)
    } catch let error as StoreFileError {
        throw error
    } catch {
        preconditionFailure("the walk throws nothing else")
    }

    func node(_ name: [UInt8], in directory: OpenNode?) throws {
        let place = directory?.path(of: name) ?? path
        let parent = { (body: (CInt) throws -> Void) in
            if let directory { try directory.withNumber(body) } else { try body(AT_FDCWD) }
        }
        let terminated = name + [0]
        try parent { parent in
            try terminated.withUnsafeBufferPointer { bytes in
                try bytes.withMemoryRebound(to: CChar.self) { name in
                    guard let name = name.baseAddress else { return }
                    try visit(name, in: parent, place: place)
                }
            }
        }
    }

    func visit(_ name: UnsafePointer<CChar>, in parent: CInt, place: String) throws {
        var status = stat()
        try check("fstatat", on: place) { fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) }
        switch status.st_mode & S_IFMT {
        case S_IFLNK:
            var target = [CChar](repeating: 0, count: Int(NARLimits.targetLength) + 1)
            let count = try check("readlinkat", on: place) {
                readlinkat(parent, name, &target, target.count)
            }
            writer.symbolicLink(target: target[..<count].map { UInt8(bitPattern: $0) })
        case S_IFREG, S_IFDIR:
            let isDirectory = status.st_mode & S_IFMT == S_IFDIR
            // A name may mean a FIFO by now, which would block, or a terminal, which would become ours.
            let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            let number = try check("openat", on: place) { openat(parent, name, flags) }
            let descriptor = OwnedDescriptor(takingOwnershipOf: number)
            var opened = stat()
            try check("fstat", on: place) { fstat(number, &opened) }
            guard opened.st_ino == status.st_ino, opened.st_dev == status.st_dev else {
                throw StoreFileError.changed(place)
            }
            if isDirectory {
                guard open.count < limits.depth else {
                    throw StoreFileError.tooDeep(place, limit: limits.depth)
                }
                writer.beginDirectory()
                let directory = OpenNode(descriptor, path: place)
                directory.rest = try names(in: number, path: place).reversed()
                open.append(directory)
            } else {
                try file(descriptor, opened, place: place)
            }
        default: throw StoreFileError.fileType(place)
        }
    }

    func file(_ descriptor: borrowing OwnedDescriptor, _ status: stat, place: String) throws {
        writer.beginFile(
            isExecutable: status.st_mode & S_IXUSR != 0, size: UInt64(status.st_size))
        flush()
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
