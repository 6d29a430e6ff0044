import CLinux
import LaunchModel

/// The sole owner of one open file descriptor.
@frozen @usableFromInline struct Descriptor: ~Copyable {
    /// The number, lent for as long as the owner lives.
    @usableFromInline let number: CInt

    /// Takes ownership of `number`, which must be open and owned by nobody else.
    @usableFromInline init(owning number: CInt) {
        precondition(number >= 0, "no descriptor is negative")
        self.number = number
    }

    /// Takes ownership of what a call returned.
    init(owning result: Int) { self.init(owning: CInt(truncatingIfNeeded: result)) }

    /// Gives the number up without closing it.
    consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }

    deinit {
        // Linux frees the number even when close(2) fails. EBADF means that somebody closed it before
        // us, and the number may be another file by now, so that is fatal.
        if Int64(CLinux_close(number)) == -CLinux_EBADF { fatalError("double close") }
    }
}

/// A number for diagnosis that the kernel returned instead of a result.
struct Failure: Error, Hashable {
    let errno: Int32

    /// Whether there was nothing of the name.
    var isAbsence: Bool { isErrno(CLinux_ENOENT) }

    func isErrno(_ number: Int64) -> Bool { Int64(errno) == number }

    /// The failure as the reason why something was not done.
    func refusal(_ reason: Refusal.Reason, _ subject: [UInt8] = []) -> Refusal {
        Refusal(reason, errno: errno, subject: subject)
    }
}

/// Lets a result of the kernel through, and throws its failures.
///
/// No handler for signals is ever installed, so nothing is interrupted by one.
@discardableResult
func check(_ result: Int) throws(Failure) -> Int {
    guard result >= 0 else { throw Failure(errno: Int32(truncatingIfNeeded: -result)) }
    return result
}

/// Lets a result of the kernel through; a failure becomes a refusal.
@discardableResult
func check(
    _ reason: Refusal.Reason, _ subject: @autoclosure () -> [UInt8] = [], _ result: Int
) throws(Refusal) -> Int {
    guard result >= 0 else {
        throw Refusal(reason, errno: Int32(truncatingIfNeeded: -result), subject: subject())
    }
    return result
}

/// Flags as the calls take them.
func flags(_ all: Int64...) -> CInt {
    var sum: Int64 = 0
    for flag in all { sum |= flag }
    return CInt(truncatingIfNeeded: sum)
}

/// Flags as the newer calls take them.
func unsignedFlags(_ all: Int64...) -> UInt32 {
    var sum: Int64 = 0
    for flag in all { sum |= flag }
    return UInt32(truncatingIfNeeded: sum)
}

/// Bytes with the NUL at the end that the kernel wants; they must not hold one.
func terminated(_ bytes: [UInt8]) -> [CChar] {
    var text: [CChar] = []
    text.reserveCapacity(bytes.count + 1)
    for byte in bytes { text.append(CChar(bitPattern: byte)) }
    text.append(0)
    return text
}

/// The bytes of a literal.
func bytes(_ text: StaticString) -> [UInt8] {
    [UInt8](UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
}

/// A literal as the kernel takes it; literals end in NUL.
func c(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

/// A number as text.
func decimal(_ number: UInt64) -> [UInt8] {
    var digits: [UInt8] = []
    var rest = number
    repeat {
        digits.append(UInt8(ascii: "0") + UInt8(rest % 10))
        rest /= 10
    } while rest > 0
    digits.reverse()
    return digits
}

/// A name that nobody can guess: 128 random bits as 32 characters of base 16.
func randomName() throws(Failure) -> [UInt8] {
    var random = [UInt8](repeating: 0, count: 16)
    let count = try check(
        random.withUnsafeMutableBytes { CLinux_getrandom($0.baseAddress, $0.count) })
    guard count == random.count else { throw Failure(errno: Int32(CLinux_EAGAIN)) }
    var name: [UInt8] = []
    let digits = bytes("0123456789abcdef")
    for byte in random {
        name.append(digits[Int(byte >> 4)])
        name.append(digits[Int(byte & 15)])
    }
    return name
}

/// What fstat(2) says of a descriptor, whatever it is open for.
func fileStatus(of fd: CInt) throws(Failure) -> CLinux_status {
    var status = CLinux_status()
    try check(CLinux_fstatat(fd, c(""), &status, flags(CLinux_AT_EMPTY_PATH)))
    return status
}

extension CLinux_status {
    /// Whether the file is of this type, `S_IF…`.
    func isType(_ type: Int64) -> Bool { Int64(mode) & CLinux_S_IFMT == type }

    /// Whether both describe the same file.
    func isSameFile(as other: CLinux_status) -> Bool {
        device == other.device && inode == other.inode
    }
}

/// Opens one component of a directory, not following a link, close-on-exec.
func open(
    _ directory: CInt, _ name: [UInt8], _ how: Int64, mode: UInt32 = 0
) throws(Failure) -> Descriptor {
    let how = flags(how, CLinux_O_NOFOLLOW, CLinux_O_CLOEXEC)
    return Descriptor(owning: try check(CLinux_openat(directory, terminated(name), how, mode)))
}

/// Makes a directory that must not exist, and opens it.
func makeDirectory(_ directory: CInt, _ name: [UInt8], mode: UInt32) throws(Failure) -> Descriptor {
    try check(CLinux_mkdirat(directory, terminated(name), mode))
    return try open(directory, name, CLinux_O_RDONLY | CLinux_O_DIRECTORY)
}

/// Writes all of `bytes`.
func write(_ fd: CInt, _ bytes: [UInt8]) throws(Failure) {
    var offset = 0
    while offset < bytes.count {
        offset += try check(
            bytes.withUnsafeBytes {
                CLinux_write(fd, $0.baseAddress.map { $0 + offset }, $0.count - offset)
            })
    }
}

/// Reads at most `limit` bytes to the end of a file, from its start.
///
/// - Returns: The bytes, or nothing if there are more.
func readAll(_ fd: CInt, limit: Int) throws(Failure) -> [UInt8]? {
    var content: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = try check(
            piece.withUnsafeMutableBytes {
                CLinux_pread(fd, $0.baseAddress, $0.count, UInt64(content.count))
            })
        if count == 0 { return content }
        guard content.count + count <= limit else { return nil }
        content += piece[..<count]
    }
}

/// Reads `size` bytes from the start of a file into one piece of memory, and leaves them nowhere else.
///
/// - Throws: EIO if the file is shorter.
func readExactly(_ fd: CInt, _ size: Int) throws(Failure) -> [UInt8] {
    var content = [UInt8](repeating: 0, count: size)
    var offset = 0
    while offset < size {
        let count = try check(
            content.withUnsafeMutableBytes {
                CLinux_pread(
                    fd, $0.baseAddress.map { $0 + offset }, $0.count - offset, UInt64(offset))
            })
        guard count > 0 else { throw Failure(errno: CLinux_files.inputOutput) }
        offset += count
    }
    return content
}

/// The names in a directory, without `.` and `..`, in the kernel's order.
///
/// Reads through a descriptor of its own, so the position of `directory` does not matter.
func names(in directory: CInt) throws(Failure) -> [[UInt8]] {
    let stream = try open(directory, [UInt8(ascii: ".")], CLinux_O_RDONLY | CLinux_O_DIRECTORY)
    var found: [[UInt8]] = []
    var buffer = [UInt8](repeating: 0, count: 32 << 10)
    while true {
        let count = try check(
            buffer.withUnsafeMutableBytes {
                CLinux_getdents64(stream.number, $0.baseAddress, $0.count)
            })
        if count == 0 { return found }
        // struct linux_dirent64: inode and offset of 8 bytes, length of 2, type of 1, name with NUL.
        var entry = 0
        while entry + 19 <= count {
            let length = Int(buffer[entry + 16]) | Int(buffer[entry + 17]) << 8
            guard length >= 20, entry + length <= count else { return found }
            var name: [UInt8] = []
            var index = entry + 19
            while index < entry + length, buffer[index] != 0 {
                name.append(buffer[index])
                index += 1
            }
            if name != [0x2e], name != [0x2e, 0x2e] { found.append(name) }
            entry += length
        }
    }
}

/// Runs `body`; what the kernel refused becomes the reason why something was not done.
@discardableResult
func refusing<R: ~Copyable>(
    _ reason: Refusal.Reason, _ subject: [UInt8] = [], _ body: () throws(Failure) -> R
) throws(Refusal) -> R {
    do {
        return try body()
    } catch {
        throw error.refusal(reason, subject)
    }
}

/// The directory that relative names are resolved in: `/`, where the launcher lives.
var workingDirectory: CInt { CInt(truncatingIfNeeded: CLinux_AT_FDCWD) }
