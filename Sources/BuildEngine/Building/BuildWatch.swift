import Glibc
import LaunchModel
import StoreModel
import SystemCalls

/// Watches a builder that runs: reads what it writes, keeps the limits, and waits for the proof that all of
/// it is dead.
struct BuildWatch {
    /// What a build may take; nothing means no limit.
    struct Limits: Hashable, Sendable {
        /// Seconds.
        var wallTime: UInt64?
        /// Seconds.
        var silence: UInt64?
        /// Bytes.
        var logSize: UInt64?
    }

    let session: LauncherSession
    let job: BuildJob
    let log: BuildLog
    let limits: Limits
    /// Explains and keeps what the builder was denied.
    let denials: DenialRecorder

    /// Starts the builder and waits for its end; the build's phase is `ended` or `failed` afterwards.
    func run() throws(BuildFailure) -> BuildEnd {
        let answer = try engine { () throws(EngineError) in
            try session.send(.start(session.id))
            return try session.answer()
        }
        let pipe: SharedDescriptor
        switch answer.event {
        case .started:
            guard let descriptor = answer.descriptors.first else {
                throw .engine(.launcherGone("no descriptor came with 'started'"))
            }
            pipe = descriptor
        case .ended(_, let end): return end
        case .refused(_, let refusal): throw .refused(refusal)
        case let event: throw .engine(.launcherGone("it answered '\(event)' to 'start'"))
        }
        try system { () throws(SystemError) in
            try pipe.withNumber { (number) throws(SystemError) in
                _ = try check("fcntl") { fcntl(number, F_SETFL, O_NONBLOCK) }
            }
        }
        let (end, failure) = try watch(pipe)
        // Everything is dead, so what is in the pipe is all there will ever be. The end of a pipe is
        // not the end of a build, and a build may be over while its pipe is full.
        var isOpen = true
        while isOpen {
            if try read(pipe, isOpen: &isOpen) == 0 { break }
            if failure != nil { break }
        }
        try tellDenials(of: end)
        if let last = try system({ () throws(SystemError) in try log.finish() }) { job.tell(last) }
        if let failure { throw failure }
        if let limit = limits.logSize, log.size > limit { throw .logTooLong(limit) }
        return end
    }

    /// Ends the log with what was denied, and keeps it for `kiln policy why`.
    private func tellDenials(of end: BuildEnd) throws(BuildFailure) {
        guard let record = denials.record(of: end) else { return }
        try system { () throws(SystemError) in
            for note in record.lines { for line in try log.note(note) { job.tell(line) } }
            try record.write(in: denials.directory)
        }
    }

    /// Reads until the launcher says that the build is over, and why it was killed if it was.
    private func watch(_ pipe: SharedDescriptor) throws(BuildFailure) -> (BuildEnd, BuildFailure?) {
        let start = ContinuousClock.now
        var lastSound = start
        var isOpen = true
        var failure: BuildFailure?
        while true {
            let left = failure == nil ? timeLeft(start: start, lastSound: lastSound) : nil
            let message = try engine { () throws(EngineError) in
                try pipe.withNumber { (number) throws(EngineError) in
                    try session.next(
                        orReadable: isOpen ? number : nil, milliseconds: left,
                        noticesCancel: failure == nil)
                }
            }
            if let message {
                switch message.event {
                case .ended(_, let end): return (end, failure)
                case .refused(_, let refusal): throw .refused(refusal)
                case let event:
                    throw .engine(.launcherGone("it said '\(event)' while a builder ran"))
                }
            }
            // What a killed builder still writes is read, so that nothing waits for the pipe, up to the
            // limit, and thrown away above it.
            if isOpen, try read(pipe, isOpen: &isOpen) > 0 { lastSound = .now }
            guard failure == nil else { continue }
            failure = reasonToKill(start: start, lastSound: lastSound)
            if failure != nil {
                try engine { () throws(EngineError) in try session.send(.kill(session.id)) }
            }
        }
    }

    private func reasonToKill(
        start: ContinuousClock.Instant, lastSound: ContinuousClock.Instant
    ) -> BuildFailure? {
        if job.isCancelled { return .cancelled }
        if let limit = limits.logSize, log.size > limit { return .logTooLong(limit) }
        let now = ContinuousClock.now
        if let limit = limits.wallTime, now - start >= .seconds(limit) { return .tooSlow(limit) }
        if let limit = limits.silence, now - lastSound >= .seconds(limit) { return .silent(limit) }
        return nil
    }

    /// Milliseconds to the next limit, rounded up; nothing if there is none.
    private func timeLeft(
        start: ContinuousClock.Instant, lastSound: ContinuousClock.Instant
    ) -> CInt? {
        var due: [ContinuousClock.Instant] = []
        if let limit = limits.wallTime { due.append(start + .seconds(limit)) }
        if let limit = limits.silence { due.append(lastSound + .seconds(limit)) }
        guard let first = due.min() else { return nil }
        let left = (first - .now) / .milliseconds(1)
        return CInt(min(max(left + 1, 0), 3_600_000))
    }

    /// Reads what is there, and returns how many bytes it was.
    private func read(_ pipe: SharedDescriptor, isOpen: inout Bool) throws(BuildFailure) -> Int {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = try system { () throws(SystemError) -> Int? in
            do throws(SystemError) {
                return try pipe.withNumber { (number) throws(SystemError) in
                    try check("read") { Glibc.read(number, &buffer, buffer.count) }
                }
            } catch {
                guard error.errno == EAGAIN else { throw error }
                return nil
            }
        }
        guard let count else { return 0 }
        guard count > 0 else {
            isOpen = false
            return 0
        }
        // One byte more than allowed tells that there was more; the rest is not kept.
        var kept = count
        if let limit = limits.logSize {
            kept = min(count, Int(limit + 1 - min(limit + 1, log.size)))
        }
        let lines = try system { () throws(SystemError) in
            try buffer.withUnsafeBytes { bytes in
                Result { () throws(SystemError) in
                    try log.add(UnsafeRawBufferPointer(rebasing: bytes[..<kept]))
                }
            }.get()
        }
        for line in lines { job.tell(line) }
        return count
    }

    private func engine<R>(_ body: () throws(EngineError) -> R) throws(BuildFailure) -> R {
        do {
            return try body()
        } catch {
            throw .engine(error)
        }
    }

    private func system<R>(_ body: () throws(SystemError) -> R) throws(BuildFailure) -> R {
        do {
            return try body()
        } catch {
            throw .engine(.system(error))
        }
    }
}
