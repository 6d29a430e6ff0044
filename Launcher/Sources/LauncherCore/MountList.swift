import CLinux
import LaunchModel

/// Reads a file of the kernel's that has no size, to its end.
func readStream(_ fd: CInt, limit: Int) throws(Failure) -> [UInt8] {
    var content: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 32 << 10)
    while true {
        let count = try check(
            piece.withUnsafeMutableBytes { CLinux_read(fd, $0.baseAddress, $0.count) })
        if count == 0 { return content }
        guard content.count + count <= limit else { throw Failure(errno: Int32(CLinux_EMSGSIZE)) }
        content += piece[..<count]
    }
}

/// Checks every line of `/proc/self/mountinfo`.
///
/// A line is: ids, device, root, mount point, options, tags such as `shared:1`, a dash, and what is
/// mounted. A mount with a tag shares its events with another one; none of a sandbox's may.
///
/// - Parameters:
///   - mountList: The list, as the kernel prints it.
///   - writable: The mount points that need not be read-only.
/// - Throws: ``StepFailure`` with the line that is not as it must be.
func verify(mountList: [UInt8], writable: [[UInt8]]) throws(StepFailure) {
    var lines = 0
    for line in mountList.split(separator: UInt8(ascii: "\n")) {
        lines += 1
        let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 7)
        guard fields.count == 8, fields[6].elementsEqual(bytes("-")) else {
            throw StepFailure(errno: CLinux_EPERM, [UInt8](line))
        }
        let options = fields[5].split(separator: UInt8(ascii: ","))
        let isReadOnly = options.contains { $0.elementsEqual(bytes("ro")) }
        let hasNoSetID = options.contains { $0.elementsEqual(bytes("nosuid")) }
        let mayWrite = writable.contains { fields[4].elementsEqual($0) }
        guard hasNoSetID, isReadOnly || mayWrite else {
            throw StepFailure(errno: CLinux_EPERM, [UInt8](line))
        }
    }
    guard lines > 0 else { throw StepFailure(errno: CLinux_EINVAL) }
}
