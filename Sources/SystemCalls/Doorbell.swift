import Glibc

/// Wakes a thread that polls: one side rings, the other has a descriptor that becomes readable.
public final class Doorbell: Sendable {
    private let inside: SharedDescriptor
    private let outside: SharedDescriptor

    /// Makes a bell that is silent.
    public init() throws(SystemError) { (inside, outside) = try socketPair(.datagrams) }

    /// Makes the descriptor readable until ``clear()``; never blocks.
    public func ring() {
        var byte: UInt8 = 1
        // A bell whose queue is full rings already; nothing else can go wrong between two own sockets.
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        outside.withNumber { number in _ = Glibc.send(number, &byte, 1, flags) }
    }

    /// Silences the bell; what rings afterwards is not lost.
    public func clear() {
        var bytes: [UInt8] = [0]
        inside.withNumber { number in
            while recv(number, &bytes, 1, CInt(MSG_DONTWAIT)) > 0 {}
        }
    }

    /// Lends the number to poll for reading.
    public func withNumber<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try inside.withNumber(body)
    }
}
