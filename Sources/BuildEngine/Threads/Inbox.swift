import Synchronization
import SystemCalls

/// Messages to one thread, which may wait for descriptors at the same time.
final class Inbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let bell: Doorbell

    init() throws(SystemError) { bell = try Doorbell() }

    /// Adds a message; never blocks.
    func push(_ message: Message) {
        let wasEmpty = messages.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if wasEmpty { bell.ring() }
    }

    /// Everything that came since the last call, in order; never blocks.
    func take() -> [Message] {
        bell.clear()
        return messages.withLock { messages in
            let taken = messages
            messages = []
            return taken
        }
    }

    /// Waits until there is a message, or another descriptor is ready, or the time is over.
    ///
    /// - Returns: What was found of the other descriptor.
    @discardableResult
    func wait(
        or other: (number: CInt, for: Readiness)? = nil, milliseconds: CInt? = nil
    ) throws(SystemError) -> Readiness {
        try bell.withNumber { (number) throws(SystemError) in
            var wanted: [(number: CInt, for: Readiness)] = [(number, .readable)]
            if let other { wanted.append(other) }
            let found = try poll(wanted, milliseconds: milliseconds)
            return other == nil ? [] : found[1]
        }
    }

    /// Lends the descriptor that is readable while messages wait.
    func withNumber<R, E: Error>(_ body: (CInt) throws(E) -> R) throws(E) -> R {
        try bell.withNumber(body)
    }
}
