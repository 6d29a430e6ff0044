import Glibc

/// What a poll found of one descriptor.
public struct Readiness: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: Int16

    /// Takes the kernel's bits.
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// Something can be read, an end perhaps.
    public static let readable = Readiness(rawValue: Int16(POLLIN))
    /// The peer will send no more (`POLLRDHUP`), or is gone, or the descriptor is broken.
    public static let peerGone = Readiness(rawValue: 0x2000 | Int16(POLLHUP | POLLERR))
}

/// Waits until one of the descriptors is ready.
///
/// - Parameters:
///   - wanted: Numbers that are open during the call, with what is waited for.
///   - milliseconds: The longest time; nothing means without end.
/// - Returns: What was found of each, in order; nothing found of any means that the time is over.
/// - Throws: ``SystemError`` when the kernel cannot wait for them.
public func poll(
    _ wanted: [(number: CInt, for: Readiness)], milliseconds: CInt?
) throws(SystemError) -> [Readiness] {
    var entries = wanted.map { pollfd(fd: $0.number, events: $0.for.rawValue, revents: 0) }
    // A signal starts the time anew, which only makes it longer.
    try check("poll") { Glibc.poll(&entries, nfds_t(entries.count), milliseconds ?? -1) }
    return entries.map { Readiness(rawValue: $0.revents) }
}
