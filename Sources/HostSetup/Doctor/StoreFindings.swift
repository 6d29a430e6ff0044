import Glibc
import LaunchModel
import SystemCalls

/// Whether a store at a root can be used, who builds there, and what starts Kiln.
///
/// - Parameters:
///   - root: The directory that holds `nix`; an absolute path without a slash at its end, `/` being empty.
///   - isRoot: Whether root asks.
/// - Returns: A finding for each property, in a fixed order.
public func storeFindings(root: String, isRoot: Bool) -> [Finding] {
    [storePermissions(root: root, isRoot: isRoot), space(root: root)]
        + (isRoot ? [users(), engineAccount()] : []) + [units()]
}

/// The place itself, or the last one above it that is there: the rest is made when it is needed.
private func nearestDirectory(to path: String) -> String {
    var place = path
    while access(place, F_OK) != 0, place != "/" {
        place = place.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        if place.isEmpty { place = "/" }
    }
    return place
}

private func storePermissions(root: String, isRoot: Bool) -> Finding {
    let store = root + "/nix/store"
    let place = nearestDirectory(to: store)
    do {
        try checkDirectory(place, trusted: isRoot ? [] : [getuid()], isStore: place == store)
        return Finding(
            "store", .ok,
            place == store
                ? "\(store), nobody else can replace it" : "\(store) will be made below \(place)")
    } catch {
        guard case .unsafeDirectory(let path, let problem, let repair) = error else {
            return Finding("store", .broken, "\(error)")
        }
        return Finding("store", .broken, "'\(path)' \(problem)", repair: repair)
    }
}

/// Below these a build is likely to fail in its middle.
private let leastSpace: UInt64 = 1 << 30
private let leastInodes: UInt64 = 100_000

private func space(root: String) -> Finding {
    let place = nearestDirectory(to: root + "/nix/store")
    var found = statvfs()
    guard statvfs(place, &found) == 0 else {
        return Finding("space", .broken, "'\(place)': \(String(cString: strerror(errno)))")
    }
    let bytes = UInt64(found.f_bavail) * UInt64(found.f_frsize)
    // A file system without a fixed number of inodes says 0.
    let inodes = found.f_files == 0 ? UInt64.max : UInt64(found.f_favail)
    guard bytes >= leastSpace, inodes >= leastInodes else {
        return Finding(
            "space", .weaker, "'\(place)' has \(bytes >> 20) MiB and \(inodes) inodes left",
            repair: "make room there")
    }
    return Finding("space", .ok, "\(bytes >> 30) GiB")
}

private func users() -> Finding {
    do {
        switch try BuildUserChoice.host.users() {
        case .group(_, let members):
            return Finding("build users", .ok, "\(members.count) members of nixbld")
        case .automatic(_, let count):
            return Finding("build users", .ok, "\(count) ids that no account has")
        case .caller: return Finding("build users", .ok, "the caller")
        }
    } catch {
        return Finding("build users", .broken, "\(error)")
    }
}

private func engineAccount() -> Finding {
    guard getpwnam(EngineIdentity.accountName) == nil else {
        return Finding("engine", .ok, "the account '\(EngineIdentity.accountName)'")
    }
    return Finding(
        "engine", .ok,
        "the reserved id \(AutomaticUsers.reserved); with an account its files have a name: "
            + "useradd -r -s /usr/sbin/nologin \(EngineIdentity.accountName)")
}

private func units() -> Finding {
    guard access("/run/systemd/system", F_OK) == 0 else {
        return Finding("units", .ok, "no systemd here: 'kiln build' starts what it needs")
    }
    let places = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
    guard places.contains(where: { access($0 + "/kiln.service", F_OK) == 0 }) else {
        return Finding("units", .ok, "no kiln.service: 'kiln build' starts what it needs")
    }
    return Finding("units", .ok, "kiln.service")
}

/// The host that this process runs on.
///
/// - Throws: ``HostSetupError`` when the list of mounts cannot be read.
public func thisHost() throws(HostSetupError) -> HostFacts {
    var name = utsname()
    uname(&name)
    let release = withUnsafePointer(to: &name.release) {
        $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
    }
    return HostFacts(
        kernel: release, isRoot: getuid() == 0,
        cgroup: try wouldUseCgroups() ? try cgroupPlace() : nil
    ) { path in
        do {
            let file = try readLines(of: path)
            return file.isEmpty ? nil : file.joined(separator: "\n")
        } catch {
            // What may not be read is not known, and told as such.
            return nil
        }
    }
}
