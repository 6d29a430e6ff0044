import Glibc
import SystemCalls

/// A cgroup of version 2 in which builds get cgroups of their own, if this process may make one.
///
/// It is below the process's own, so it is wherever the process was put. It holds no process itself.
///
/// - Returns: The directory's path; nothing where there is no version 2, no `cgroup.kill` (Linux 5.14),
///   or no right to make one. Builds are then killed by their pid namespace alone.
func makeCgroupPlace() throws(HostSetupError) -> String? {
    guard let place = try cgroupPlace() else { return nil }
    // Whoever owns the one above may move processes out of it, also those of other users.
    guard isOwn(String(place.dropLast("/kiln".count))) else { return nil }
    if mkdir(place, 0o755) == -1, errno != EEXIST { return nil }
    // Another user's, and every one before Linux 5.14, is of no use.
    return isOwn(place) && access(place, W_OK) == 0 && access(place + "/cgroup.kill", F_OK) == 0
        ? place : nil
}

private func isOwn(_ path: String) -> Bool {
    var found = stat()
    return lstat(path, &found) == 0 && (found.st_uid == 0 || found.st_uid == getuid())
}

/// Where ``makeCgroupPlace()`` would be, whether or not this process may make it.
func cgroupPlace() throws(HostSetupError) -> String? {
    guard let mount = try mountPoint(), let own = try ownGroup() else { return nil }
    return mount + (own == "/" ? "" : own) + "/kiln"
}

/// Whether a launcher that this process started would have a cgroup for each build.
public func wouldUseCgroups() throws(HostSetupError) -> Bool {
    guard let place = try cgroupPlace() else { return false }
    let parent = String(place.dropLast("/kiln".count))
    return isOwn(parent) && access(parent, W_OK) == 0
}

private func mountPoint() throws(HostSetupError) -> String? {
    for line in try readLines(of: "/proc/self/mountinfo") {
        // ids, device, root, mount point, options, tags, a dash, then the type.
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, dash > 4 else {
            continue
        }
        if fields[dash + 1] == "cgroup2", fields[3] == "/" { return String(fields[4]) }
    }
    return nil
}

private func ownGroup() throws(HostSetupError) -> String? {
    for line in try readLines(of: "/proc/self/cgroup") where line.hasPrefix("0::/") {
        return String(line.dropFirst(3))
    }
    return nil
}

/// The lines of a file of the kernel's; none if it is missing.
func readLines(of path: String) throws(HostSetupError) -> [String] {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    let file = OwnedDescriptor(takingOwnershipOf: number)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    try system { () throws(SystemError) in
        try file.withNumber { (number) throws(SystemError) in
            while true {
                let count = try check("read", on: path) { read(number, &buffer, buffer.count) }
                if count == 0 { return }
                bytes += buffer[..<count]
            }
        }
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
}
