import Glibc
import LaunchModel

/// Where policies are when nobody names a directory.
public enum PolicyLocation {
    /// The administrator's directory.
    public static let configured = "/etc/kiln/policies"

    /// Where this program is, without symbolic links.
    private static let thisProgram = "/proc/self/exe"

    /// The directory whose policies count. The first of these that is there:
    ///
    /// 1. `/etc/kiln/policies`, also when it then cannot be trusted or read: what an administrator has
    ///    restricted must not become looser because of a mistake;
    /// 2. `share/kiln/policies` beside the `bin` directory that this program is in;
    /// 3. `policies` in the checkout that this program was built in: the nearest directory above it that
    ///    holds both `Package.swift` and `policies/strict.toml`.
    ///
    /// Nothing is read and nothing is trusted yet; ``readPolicyDirectory(_:trustedOwner:)`` decides that.
    ///
    /// - Throws: ``UntrustedFile`` when none is there, or when it cannot be known whether one is.
    public static func find() throws(UntrustedFile) -> String {
        guard let resolved = realpath(thisProgram, nil) else {
            throw UntrustedFile(path: thisProgram, reason: "cannot be resolved: \(message(errno))")
        }
        defer { free(resolved) }
        return try find(configured: configured, program: String(cString: resolved))
    }

    /// The same for a program that is elsewhere; `program` has no symbolic links.
    static func find(configured: String, program: String) throws(UntrustedFile) -> String {
        if try exists(configured) { return configured }
        var directory = parent(program)
        let installed = parent(directory) + "/share/kiln/policies"
        if try exists(installed) { return installed }
        while true {
            let policies = directory + "/policies"
            if try exists(directory + "/Package.swift"), try exists(policies + "/strict.toml") {
                return policies
            }
            guard !directory.isEmpty else { break }
            directory = parent(directory)
        }
        throw UntrustedFile(
            path: configured,
            reason: "is not there, nor is \(installed), nor a checkout above \(program); "
                + "install the policies or name their directory")
    }

    /// The path without its last component; empty for the root.
    private static func parent(_ path: String) -> String {
        String(path.split(separator: "/").dropLast().reduce(into: "") { $0 += "/" + $1 })
    }

    private static func exists(_ path: String) throws(UntrustedFile) -> Bool {
        var status = stat()
        if lstat(path, &status) == 0 { return true }
        let code = errno
        guard code == ENOENT || code == ENOTDIR else {
            throw UntrustedFile(path: path, reason: "cannot be examined: \(message(code))")
        }
        return false
    }
}
