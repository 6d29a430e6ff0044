import CLinux
import Glibc

/// Puts bytes into memory that nobody can change any more, to be handed to another process.
///
/// The four seals mean that its receiver may map or read it twice and find the same bytes.
///
/// - Parameters:
///   - name: What the kernel calls it in `/proc`.
///   - bytes: What is in it.
/// - Returns: A descriptor of the memory, at its beginning, sealed against writing, growing, shrinking
///   and further seals.
/// - Throws: ``SystemError`` when there is no memory, or no descriptor left.
public func sealedMemory(
    named name: String, holding bytes: [UInt8]
) throws(SystemError) -> OwnedDescriptor {
    let number = CInt(
        try checkKernel("memfd_create", on: name) { CLinux_memfd_create(name) })
    let memory = OwnedDescriptor(takingOwnershipOf: number)
    var written = 0
    while written < bytes.count {
        written += try check("pwrite", on: name) {
            bytes.withUnsafeBytes { buffer in
                let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                return pwrite(number, rest.baseAddress, rest.count, off_t(written))
            }
        }
    }
    try checkKernel("fcntl", on: name) { CLinux_seal(number) }
    return memory
}

/// All bytes of memory that somebody else filled, from its beginning.
///
/// - Parameters:
///   - memory: The memory, or any file; its position stays.
///   - limit: The most bytes.
/// - Returns: The bytes.
/// - Throws: ``SystemError``, with `EFBIG` for more.
public func contents(
    of memory: SharedDescriptor, limit: Int
) throws(SystemError) -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = try check("pread") {
            memory.withNumber { pread($0, &buffer, buffer.count, off_t(content.count)) }
        }
        if count == 0 { return content }
        guard content.count + count <= limit else {
            throw SystemError(call: "pread", path: nil, errno: EFBIG)
        }
        content += buffer[..<count]
    }
}
