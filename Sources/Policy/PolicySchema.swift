import Diagnostics

/// The keys of a profile.
///
/// `*` stands for a name that the profile chooses.
enum PolicySchema {
    /// The number that `schema` must have.
    static let number = 1

    static let keys: [[String]] = [
        "schema", "extends", "description",
        "identity.hostname", "identity.uid", "identity.gid",
        "network.mode",
        "filesystem.root_size", "filesystem.tmp_size", "filesystem.shm", "filesystem.shell",
        "mounts.*.from", "mounts.*.to", "mounts.*.optional", "mounts.*.follow",
        "mounts.*.enabled",
        "devices.null", "devices.zero", "devices.full", "devices.random", "devices.urandom",
        "devices.tty", "devices.kvm",
        "syscalls.default", "syscalls.foreign", "syscalls.*",
        "syscalls.rule.*.calls", "syscalls.rule.*.deny_when", "syscalls.rule.*.allow_when",
        "syscalls.rule.*.action", "syscalls.rule.*.reason", "syscalls.rule.*.enabled",
        "syscalls.rule.*.log",
        "limits.open_files", "limits.core", "limits.file_size", "limits.processes",
        "limits.wall_time", "limits.silent_time", "limits.log_size",
        "env.set.*",
        "outputs.max_size", "outputs.max_entries", "outputs.max_depth", "outputs.always_copy",
    ].map { $0.split(separator: ".").map(String.init) }

    /// Keys that the design knows and this version cannot enforce: refused rather than ignored.
    static let unavailable: [(prefix: [String], message: String)] = [
        (["limits", "memory"], noCgroup), (["limits", "swap"], noCgroup),
        (["limits", "tasks"], noCgroup),
        (["limits", "cpu"], noCgroup), (["limits", "cpu_weight"], noCgroup),
        (["limits", "io_weight"], noCgroup), (["limits", "missing_controller"], noCgroup),
        (["network", "dns"], later), (["network", "log"], later),
        (["network", "allow"], later), (["network", "deny"], later),
        (["capabilities"], "no sandbox has capabilities in this version"),
        (["namespaces"], "the namespaces are not for a profile to choose in this version"),
        (["audit"], later),
    ].map { ($0.0, $0.1) }

    private static let noCgroup =
        "the host cannot enforce this: cgroups are not available in this version"
    private static let later = "not available in this version"

    /// What is wrong with a path, if something is.
    static func fault(_ path: [String], isTable: Bool) -> (message: String, suggestion: String?)? {
        for (pattern, message) in unavailable where begins(path, with: pattern) {
            // What is inside a refused table is refused with it.
            return path.count == pattern.count ? ("`\(spell(path))`: \(message)", nil) : nil
        }
        if keys.contains(where: { fits(path, $0) }) { return nil }
        if hasKeys(below: path) {
            return isTable ? nil : ("`\(spell(path))` is a table, not a value", nil)
        }
        let parent = Array(path.dropLast())
        // Only the outermost unknown name is reported.
        guard parent.isEmpty || hasKeys(below: parent) else { return nil }
        let siblings = Set(
            keys.filter { isParent(parent, of: $0) }.map { $0[parent.count] }.filter { $0 != "*" })
        let place = parent.isEmpty ? "at the top" : "in [\(spell(parent))]"
        let guess = nearest(path[path.count - 1], in: siblings).map { "did you mean `\($0)`?" }
        return (
            "unknown key `\(path[path.count - 1])` \(place)",
            guess ?? "known here: \(siblings.sorted().joined(separator: ", "))"
        )
    }

    private static func hasKeys(below path: [String]) -> Bool {
        keys.contains { isParent(path, of: $0) }
    }

    private static func isParent(_ path: [String], of pattern: [String]) -> Bool {
        pattern.count > path.count && fits(path, Array(pattern.prefix(path.count)))
    }

    private static func begins(_ path: [String], with pattern: [String]) -> Bool {
        path.count >= pattern.count && fits(Array(path.prefix(pattern.count)), pattern)
    }

    private static func fits(_ path: [String], _ pattern: [String]) -> Bool {
        path.count == pattern.count && zip(path, pattern).allSatisfy { $0 == $1 || $1 == "*" }
    }

    /// A path as a person writes it.
    static func spell(_ path: [String]) -> String {
        path.map { part in
            part.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
                    || (0x61...0x7A).contains($0)
                    || $0 == 0x2D || $0 == 0x5F
            } ? part : "\"\(part)\""
        }.joined(separator: ".")
    }
}
