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

/// Every mount that a sandbox may have, and how many there are.
struct ExpectedMounts {
    /// Places that the builder may write to, each mounted exactly once; devices and proc among them.
    let writable: [[UInt8]]
    /// The store's path, and the objects below it, each mounted at most once: a link is no mount.
    let store: [UInt8]
    let inputs: [StoreObjectName]
    /// Places where any number of mounts may be, all of them read-only: the host's, and what covers proc.
    let trees: [[UInt8]]

    /// Checks every line of `/proc/self/mountinfo`.
    ///
    /// A line is: ids, device, root, mount point, options, tags such as `shared:1`, a dash, and what is
    /// mounted. A mount with a tag shares its events with another one; none of a sandbox's may. All are
    /// `nosuid`, and `nodev` unless they are below `/dev`.
    ///
    /// - Parameter list: The list, as the kernel prints it.
    /// - Throws: ``StepFailure`` with the line that is not as it must be, or the place that is missing.
    func verify(_ list: [UInt8]) throws(StepFailure) {
        var missing = writable + [[UInt8(ascii: "/")]]
        var objects = Set(inputs.map { $0.bytes })
        for line in list.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 7)
            guard fields.count == 8, fields[6].elementsEqual(bytes("-")),
                accepts(unescaped(fields[4]), fields[5], &missing, &objects)
            else { throw StepFailure(errno: CLinux_EPERM, [UInt8](line)) }
        }
        if let place = missing.first { throw StepFailure(errno: CLinux_ENOENT, place) }
    }

    private func accepts(
        _ point: [UInt8], _ text: ArraySlice<UInt8>, _ missing: inout [[UInt8]],
        _ objects: inout Set<[UInt8]>
    ) -> Bool {
        let options = text.split(separator: UInt8(ascii: ","))
        func has(_ name: StaticString) -> Bool {
            options.contains { $0.elementsEqual(bytes(name)) }
        }
        guard has("nosuid"), has("nodev") || point.starts(with: bytes("/dev/")) else {
            return false
        }
        let isWritable = writable.contains(point)
        guard has("ro") || isWritable else { return false }
        if let index = missing.firstIndex(of: point) {
            missing.remove(at: index)
            return true
        }
        // A second mount at the same place would hide the first.
        guard !isWritable, point != [UInt8(ascii: "/")] else { return false }
        let inStore = store + [UInt8(ascii: "/")]
        if point.starts(with: inStore), objects.remove([UInt8](point[inStore.count...])) != nil {
            return true
        }
        return trees.contains { point == $0 || point.starts(with: $0 + [UInt8(ascii: "/")]) }
    }

    /// A path as it is: the kernel writes white space and the backslash as three digits of base 8.
    private func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var path: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), rest.count >= 3 else {
                path.append(byte)
                continue
            }
            var value: UInt8 = 0
            for digit in rest.prefix(3) { value = value &* 8 &+ (digit &- UInt8(ascii: "0")) }
            rest = rest.dropFirst(3)
            path.append(value)
        }
        return path
    }
}
