import DequeModule
import Glibc
import Synchronization

/// Threads that do what is handed to them, in order of arrival.
///
/// A thread is started when work waits and none is idle, up to the limit; it stays until ``finish()``.
final class WorkerPool: @unchecked Sendable {
    typealias Work = @Sendable () -> Void

    private let limit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Only touched with the mutex held.
    private var waiting: Deque<Work> = []
    private var threads: [Thread] = []
    private var idle = 0
    private var isFinishing = false

    init(limit: Int) {
        precondition(limit > 0)
        self.limit = limit
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

    /// Hands work over; never blocks.
    func run(_ work: @escaping Work) {
        pthread_mutex_lock(mutex)
        waiting.append(work)
        if idle < waiting.count, threads.count < limit {
            threads.append(Thread { [self] in serve() })
        }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Does what waits, then ends every thread and waits for it.
    func finish() {
        pthread_mutex_lock(mutex)
        isFinishing = true
        let threads = threads
        self.threads = []
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
        for thread in threads { thread.join() }
    }

    private func serve() {
        pthread_mutex_lock(mutex)
        while true {
            if let work = waiting.popFirst() {
                pthread_mutex_unlock(mutex)
                work()
                pthread_mutex_lock(mutex)
            } else if isFinishing {
                break
            } else {
                idle += 1
                pthread_cond_wait(condition, mutex)
                idle -= 1
            }
        }
        pthread_mutex_unlock(mutex)
    }
}
