/// Why a profile was not compiled.
public enum PolicyCompileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The architecture is not one that a kernel has as its own.
    case notNative(profile: String)
    /// No candidate for `/bin/sh` is a regular file.
    case noShell(profile: String, candidates: [String])
    /// The candidate for `/bin/sh` that was found may not be used.
    case unusableShell(profile: String, path: String, reason: String)
    /// The seccomp program is longer than the kernel takes.
    case tooLong(profile: String, instructions: Int, limit: Int)
    /// A call of libseccomp, or of the kernel for it, failed; the number is the kernel's, positive.
    case libseccomp(profile: String, call: String, errno: Int32)
    /// Two profiles have the same name.
    case duplicate(profile: String)
    /// The kernel would not take the program that was compiled.
    case invalidProgram(profile: String, fault: String)
    /// There are more profiles than a request can number.
    case tooMany(count: Int, limit: Int)

    /// What was refused, where, and what to do.
    public var description: String {
        switch self {
        case .notNative(let profile):
            "profile `\(profile)`: filters are compiled for x86_64 and aarch64 kernels only"
        case .noShell(let profile, let candidates):
            "profile `\(profile)`: none of \(candidates.joined(separator: ", ")) is a regular file, "
                + "and one must become /bin/sh; install a statically linked shell (Debian package "
                + "busybox-static) or set `filesystem.shell = []`"
        case .unusableShell(let profile, let path, let reason):
            "profile `\(profile)`: \(path) cannot become /bin/sh: it \(reason); name another file in "
                + "`filesystem.shell` or install one (Debian package busybox-static)"
        case .tooLong(let profile, let instructions, let limit):
            "profile `\(profile)`: its filter has \(instructions) instructions, and the kernel takes "
                + "\(limit); give it fewer rules or shorter conditions"
        case .invalidProgram(let profile, let fault):
            "profile `\(profile)`: the kernel would not take its filter: \(fault)"
        case .libseccomp(let profile, let call, let code):
            "profile `\(profile)`: \(call) failed: \(errorText(code))"
        case .duplicate(let profile): "there are two profiles named `\(profile)`"
        case .tooMany(let count, let limit):
            "there are \(count) profiles, and \(limit) is the most"
        }
    }
}
