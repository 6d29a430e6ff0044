import Glibc

/// A thread that somebody waits for at the end.
final class Thread: @unchecked Sendable {
    // Written once before anybody else has the object.
    private var handle = pthread_t()

    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread; a process that cannot have one more has no way to go on.
    init(_ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(Start(body))
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        precondition(code == 0, "no thread can be started: \(String(cString: strerror(code)))")
    }

    /// Waits for the end of the thread; at most once.
    func join() {
        let code = pthread_join(handle, nil)
        precondition(code == 0, "a thread is waited for once")
    }

    /// Lets the thread clean up after itself; nobody can wait for it any more.
    func detach() {
        let code = pthread_detach(handle)
        precondition(code == 0, "a thread is let go once")
    }
}

/// A value that one thread gives and others wait for.
final class Promise<Value: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Only touched with the mutex held.
    private var value: Value?

    init() {
        var code = pthread_mutex_init(mutex, nil)
        precondition(code == 0)
        code = pthread_cond_init(condition, nil)
        precondition(code == 0)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Gives the value; the first one counts.
    func fulfil(_ value: Value) {
        pthread_mutex_lock(mutex)
        if self.value == nil { self.value = value }
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for the value.
    func wait() -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let value { return value }
            pthread_cond_wait(condition, mutex)
        }
    }
}
