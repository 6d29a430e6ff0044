import ArgumentParser
import Glibc

/// Input or usage that cannot be worked with; ends the command with status 2.
struct InputError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// A system call that failed on `path`; reads `errno`, so nothing may come in between.
    init(call: String, path: String) {
        description = "\(path): \(String(cString: strerror(errno))) (\(call))"
    }
}

/// Prints one line on standard error.
func printError(_ line: String) {
    let bytes = [UInt8]((line + "\n").utf8)
    // There is nobody left to tell when standard error itself cannot be written.
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
