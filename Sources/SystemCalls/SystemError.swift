import Glibc

/// One system call that failed, with what it was applied to.
public struct SystemError: Error, Hashable, Sendable {
    /// The call, by the name of its manual page.
    public let call: String
    /// What it was applied to, where there is a name for it.
    public let path: String?
    /// What the kernel said.
    public let errno: Int32

    /// Puts an error together.
    public init(call: String, path: String?, errno: Int32) {
        self.call = call
        self.path = path
        self.errno = errno
    }
}

extension SystemError: CustomStringConvertible {
    /// Such as `openat '/x': No such file or directory`.
    public var description: String {
        let place = path.map { " '\($0)'" } ?? ""
        return "\(call)\(place): \(Self.text(of: errno))"
    }

    /// What the C library says about an errno.
    public static func text(of errno: Int32) -> String { String(cString: strerror(errno)) }
}

/// Runs one system call, again while a signal interrupts it.
///
/// `errno` is read before anything else can run, so no clean-up can change it.
///
/// - Parameters:
///   - call: The call, by the name of its manual page.
///   - path: What it is applied to, for the error.
///   - body: The call itself; -1 means that it failed.
/// - Returns: What the call returned.
/// - Throws: ``SystemError`` with what the kernel said.
@discardableResult
public func check<R: SignedInteger>(
    _ call: String, on path: @autoclosure () -> String? = nil, _ body: () -> R
) throws(SystemError) -> R {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code != EINTR { throw SystemError(call: call, path: path(), errno: code) }
    }
}

/// Runs one call of `CLinux`, again while a signal interrupts it.
///
/// Those return what the kernel returns, the negative of an errno for a failure, and leave `errno` alone.
///
/// - Parameters:
///   - call: The call, by the name of its manual page.
///   - path: What it is applied to, for the error.
///   - body: The call itself.
/// - Returns: What the call returned, never negative.
/// - Throws: ``SystemError`` with what the kernel said.
@discardableResult
public func checkKernel(
    _ call: String, on path: @autoclosure () -> String? = nil, _ body: () -> Int
) throws(SystemError) -> Int {
    while true {
        let result = body()
        if result >= 0 { return result }
        if result != -Int(EINTR) {
            throw SystemError(call: call, path: path(), errno: Int32(truncatingIfNeeded: -result))
        }
    }
}
