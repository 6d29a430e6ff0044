/// One open descriptor that several owners keep: it is closed when the last one lets go.
///
/// For places that cannot hold an ``OwnedDescriptor``, such as arrays and messages between threads.
public final class SharedDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// Shares what `descriptor` owned.
    public init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

    /// Lends the number for as long as `body` runs.
    public func withNumber<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try descriptor.withNumber(body)
    }
}
