import Glibc

/// The sole owner of one open file descriptor.
public struct OwnedDescriptor: ~Copyable, Sendable {
    private let number: CInt

    /// Takes ownership of `number`, which must be open and owned by nobody else.
    public init(takingOwnershipOf number: CInt) {
        precondition(number >= 0, "no descriptor is negative")
        self.number = number
    }

    /// Lends the number for as long as `body` runs.
    public borrowing func withNumber<R: ~Copyable, E: Error>(
        _ body: (CInt) throws(E) -> R
    ) throws(E) -> R {
        try body(number)
    }

    deinit {
        // Linux frees the number even when close(2) fails. EBADF means that somebody closed it before
        // us, and the number may be another file by now, so that is fatal.
        if close(number) == -1 && errno == EBADF { fatalError("double close of \(number)") }
    }
}
