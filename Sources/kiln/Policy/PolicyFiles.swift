import Glibc
import Policy

/// The directory of policies that counts when nobody names one.
func defaultPolicies() throws -> String {
    do throws(UntrustedFile) { return try PolicyLocation.find() } catch {
        throw InputError("\(error)")
    }
}

/// Whether a path is a directory.
func isDirectory(_ path: String) throws -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { throw InputError(call: "stat", path: path) }
    return status.st_mode & S_IFMT == S_IFDIR
}

/// The policies of a directory, as a daemon of the caller would take them.
func trustedSources(_ path: String) throws -> [PolicySource] {
    // The caller named the directory, by whatever links; what counts is where it is.
    guard let resolved = realpath(path, nil) else { throw InputError(call: "realpath", path: path) }
    defer { free(resolved) }
    let bytes = [UInt8](
        UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map(UInt8.init))
    let sources: [PolicySource]
    do throws(UntrustedFile) {
        sources = try readPolicyDirectory(bytes, trustedOwner: geteuid())
    } catch {
        throw InputError("\(error)")
    }
    guard !sources.isEmpty else { throw InputError("\(path): holds no policies (*.toml)") }
    return sources
}

/// One policy file as a source named `name`.
func source(_ name: String, _ path: String) throws -> PolicySource {
    guard let text = String(validating: try readFile(path, limit: 256 << 10), as: UTF8.self) else {
        throw InputError("\(path): is not UTF-8")
    }
    return PolicySource(name: name, file: path, text: text)
}
