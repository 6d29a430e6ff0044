import Glibc
import LaunchModel
import LocalStore
import SandboxPlanning
import StoreModel
import SystemCalls

/// One build from its inputs to registered outputs, on a thread of its own.
///
/// The locks of all outputs are held from before it begins until after it ends.
struct Build {
    private let parts: EngineParts
    private let job: BuildJob
    private var store: LocalStore { parts.inspector.store }

    init(_ parts: EngineParts, _ job: BuildJob) {
        self.parts = parts
        self.job = job
    }

    /// Builds; whatever happens, the launcher has nothing left of it that was not asked to go.
    func run() -> BuildResult {
        var log: BuildLog?
        var kept: String?
        var result = BuildResult(status: .built, timesBuilt: 1, startTime: now)
        defer { job.stop() }
        do throws(BuildFailure) {
            let build = try prepare()
            log = try startLog()
            var policies = parts.policies.value
            while try !attempt(build, under: policies, log, &result, &kept) {
                policies = parts.policies.value
            }
            result.outputs = build.derivation.outputs.compactMapValues(\.path)
        } catch {
            result.status = error.status
            result.message = error.message(of: job.path, log: log)
            result.message += deniedLines(of: log)
            if let kept { result.message += "\nthe build directory is kept: \(kept)" }
        }
        result.stopTime = now
        return result
    }

    /// What of the denials goes with a failure's message.
    private func deniedLines(of log: BuildLog?) -> String {
        guard let log else { return "" }
        let shown = log.notes.prefix(BuildLog.noteCount)
        return shown.map { "\n\($0)" }.joined()
            + (log.notes.count > shown.count ? "\nand more: kiln policy why \(job.path)" : "")
    }

    /// Builds under the policies of one generation.
    ///
    /// - Returns: Whether it was built; false when the launcher has newer policies than these, so that nothing
    ///   has happened yet.
    private func attempt(
        _ build: ResolvedBuild, under policies: CurrentPolicies.Value, _ log: BuildLog?,
        _ result: inout BuildResult, _ kept: inout String?
    ) throws(BuildFailure) -> Bool {
        let session = try engine { () throws(EngineError) in try parts.launcher.session() }
        defer { session.abandon() }
        job.attach(session)
        do throws(BuildFailure) {
            let end = try launch(build, under: policies, in: session, log: log, &result)
            try check(end)
            try publish(build, in: session)
            return true
        } catch {
            if case .refused(let refusal) = error, refusal.reason == .staleGeneration,
                parts.policies.value.generation != policies.generation
            {
                return false
            }
            kept = keepDirectory(of: session)
            throw error
        }
    }

    private var now: Int64 { Int64(time(nil)) }

    // MARK: Before the builder runs

    private func prepare() throws(BuildFailure) -> ResolvedBuild {
        try checkCancelled()
        let build = try BuildInputs(store: store, derivations: parts.inspector.derivations)
            .resolve(job.path)
        try keepAlive(build)
        try clearOutputs(of: build)
        return build
    }

    /// Keeps the derivation and its outputs alive, for everybody who waits for them.
    private func keepAlive(_ build: ResolvedBuild) throws(BuildFailure) {
        var paths = build.outputs.map(\.path)
        if !parts.inspector.derivations.isSent(job.path) { paths.append(job.path) }
        let audience = job.audience
        do throws(LocalStoreError) {
            for path in paths {
                for request in audience { try request.roots?.add(path) }
                if audience.isEmpty || audience.contains(where: { $0.roots == nil }) {
                    try store.addTemporaryRoot(path)
                }
            }
        } catch {
            throw .engine(.store(error))
        }
    }

    /// Removes what lies at the place of an output and is not valid.
    private func clearOutputs(of build: ResolvedBuild) throws(BuildFailure) {
        for (name, path) in build.outputs where job.outputs.contains(name) {
            let place = store.object(at: path)
            var status = stat()
            do {
                try SystemCalls.check("lstat", on: place) { lstat(place, &status) }
            } catch {
                guard error.errno == ENOENT else { throw .engine(.system(error)) }
                continue
            }
            // The scheduler knows this too; but what is valid must not go, whoever is wrong.
            let isValid: Bool
            do {
                isValid = try store.isValid(path)
            } catch {
                throw .engine(.store(error))
            }
            guard !isValid else { throw .refused(Refusal(.nameTaken, subject: path.bytes)) }
            try engine { () throws(EngineError) in try parts.locks.trash(path.name) }
        }
    }

    private func startLog() throws(BuildFailure) -> BuildLog {
        do {
            try DenialRecord.remove(of: job.path, in: store.layout.denials)
            return try BuildLog(of: job.path, in: store.layout.log)
        } catch {
            throw .engine(.system(error))
        }
    }

    private func profile(
        of build: ResolvedBuild, in profiles: EngineProfiles
    ) throws(BuildFailure) -> EngineProfile {
        let name = profiles.name(asked: job.options.profile, isFixedOutput: build.isFixedOutput)
        guard let profile = profiles.byName[name] else { throw .unknownProfile(name) }
        return profile
    }

    // MARK: The builder

    private func launch(
        _ build: ResolvedBuild, under policies: CurrentPolicies.Value,
        in session: LauncherSession, log: BuildLog?, _ result: inout BuildResult
    ) throws(BuildFailure) -> BuildEnd {
        guard let log else { preconditionFailure("a build has a log") }
        let profile = try profile(of: build, in: policies.profiles)
        var settings = parts.configuration.settings
        settings.keepsFailed = settings.keepsFailed || job.options.keepsFailed
        if let cores = job.options.cores { settings.cores = cores }
        let request: [UInt8]
        do {
            request = try plan(build, settings: settings).encoded
        } catch {
            throw .planning(error)
        }
        guard request.count <= LaunchRequest.encodingLimit else {
            throw .engine(.tooLarge(job.path.baseName, limit: LaunchRequest.encodingLimit))
        }
        try takeUser(session, request, profile.number, policies.generation)
        try checkCancelled()
        job.start()
        result.startTime = now
        let watch = BuildWatch(
            session: session, job: job, log: log,
            limits: .init(
                wallTime: shortest(profile.wallTime, job.options.wallTime),
                silence: shortest(profile.silence, job.options.silence),
                logSize: profile.logSize),
            denials: DenialRecorder(
                denials: profile.denials, derivation: job.path, startTime: result.startTime,
                directory: store.layout.denials))
        let end = try watch.run()
        result.userTime = end.userTime
        result.systemTime = end.systemTime
        return end
    }

    /// The shorter limit; 0 is none, as in settings.
    private func shortest(_ first: UInt64?, _ second: UInt64?) -> UInt64? {
        [first, second].compactMap { $0 }.filter { $0 > 0 }.min()
    }

    /// Gets a build user for the build, waiting in line for one.
    private func takeUser(
        _ session: LauncherSession, _ request: [UInt8], _ profile: ProfileNumber,
        _ generation: Generation
    ) throws(BuildFailure) {
        let memory: SharedDescriptor
        do {
            memory = SharedDescriptor(try sealedMemory(named: "launch-request", holding: request))
        } catch {
            throw .engine(.system(error))
        }
        let users = parts.launcher.users
        users.join(session)
        defer { users.leave(session) }
        while true {
            while !users.isFirst(session) {
                try engine { () throws(EngineError) in
                    _ = try session.next(milliseconds: 1000, noticesCancel: true)
                }
                try checkCancelled()
            }
            let freed = users.freed
            let answer = try engine { () throws(EngineError) in
                try memory.withNumber { (number) throws(EngineError) in
                    try session.send(
                        .prepare(session.id, generation, profile),
                        descriptors: [number])
                }
                return try session.answer()
            }
            switch answer.event {
            case .prepared: return
            case .refused(_, let refusal): throw .refused(refusal)
            case .noUser:
                // A user of this engine frees one; one of another engine does so without a word.
                while users.freed == freed {
                    let isWoken = try engine { () throws(EngineError) in
                        try session.wait(milliseconds: 1000)
                    }
                    try checkCancelled()
                    if !isWoken { break }
                }
            case let event: throw .engine(.launcherGone("it answered '\(event)' to 'prepare'"))
            }
        }
    }

    private func check(_ end: BuildEnd) throws(BuildFailure) {
        switch end.builder {
        case .exited(0): return
        case .exited(let status): throw .exited(status)
        case .signaled(let signal): throw .signaled(signal)
        case .notStarted(let refusal): throw .refused(refusal)
        case .killed: throw .died
        }
    }

    // MARK: The outputs

    private func publish(
        _ build: ResolvedBuild, in session: LauncherSession
    ) throws(BuildFailure) {
        try checkCancelled()
        let answer = try engine { () throws(EngineError) in
            try session.send(.takeOutputs(session.id))
            return try session.answer()
        }
        let kinds: [ObjectKind]
        switch answer.event {
        case .taken(_, let taken): kinds = taken
        case .refused(_, let refusal): throw .refused(refusal)
        case let event: throw .engine(.launcherGone("it answered '\(event)' to 'takeOutputs'"))
        }
        guard kinds.count == build.outputs.count else {
            throw .engine(.launcherGone("it took \(kinds.count) of \(build.outputs.count) outputs"))
        }
        let scanned = try scanAll(build, kinds, answer.descriptors)
        let checked: CheckedOutputs
        do {
            checked = try checkOutputs(
                scanned, of: build, in: store.layout.logicalStore, registrationTime: now)
        } catch {
            throw .outputs(error)
        }
        try checkCancelled()
        var infos: [ValidPathInfo] = []
        for (index, output) in build.outputs.enumerated() where job.outputs.contains(output.name) {
            guard let info = checked.infos[output.name] else { continue }
            infos.append(info)
            let answer = try engine { () throws(EngineError) in
                try session.send(.publish(session.id, output: UInt16(index)))
                return try session.answer()
            }
            switch answer.event {
            case .published: continue
            case .refused(_, let refusal): throw .refused(refusal)
            case let event: throw .engine(.launcherGone("it answered '\(event)' to 'publish'"))
            }
        }
        do {
            try store.register(infos)
        } catch {
            throw .engine(.store(error))
        }
    }

    private func scanAll(
        _ build: ResolvedBuild, _ kinds: [ObjectKind], _ descriptors: [SharedDescriptor]
    ) throws(BuildFailure) -> [OutputName: ScannedOutput] {
        let candidates = Set(build.closure.keys).union(build.outputs.map(\.path))
        var scanned: [OutputName: ScannedOutput] = [:]
        for (index, output) in build.outputs.enumerated() {
            var promise: ContentAddress?
            if case .fixed(_, let address)? = build.derivation.outputs[output.name] {
                promise = address
            }
            let discards: Bool
            do {
                discards = try DerivationAttributes(of: build.derivation)
                    .discardsReferences(of: output.name)
            } catch {
                throw .planning(error)
            }
            do {
                scanned[output.name] = try scan(
                    descriptors[index], kinds[index], path: output.path,
                    candidates: discards ? [] : candidates, promise: promise)
            } catch {
                throw .unreadable(error)
            }
        }
        return scanned
    }

    /// Has the directory of a failed build copied aside, if that is wanted and anything ran.
    ///
    /// - Returns: Where it is, or why it is nowhere; nothing if it is not wanted.
    private func keepDirectory(of session: LauncherSession) -> String? {
        guard job.options.keepsFailed, !job.isCancelled else { return nil }
        switch session.phase {
        case .ended, .taken, .failed: break
        case .unknown, .prepared, .running, .ending, .taking, .discarding, .keeping: return nil
        }
        do throws(EngineError) {
            try session.send(.keep(session.id))
            switch try session.answer().event {
            case .kept(_, let name):
                return store.layout.kiln + "/kept/" + String(decoding: name, as: UTF8.self)
            case .refused(_, let refusal): return "nowhere, because \(refusal)"
            case let event: throw .launcherGone("it answered '\(event)' to 'keep'")
            }
        } catch {
            return "nowhere, because \(error)"
        }
    }

    // MARK: Helpers

    private func checkCancelled() throws(BuildFailure) {
        if job.isCancelled { throw .cancelled }
    }

    private func engine<R>(_ body: () throws(EngineError) -> R) throws(BuildFailure) -> R {
        do {
            return try body()
        } catch {
            throw .engine(error)
        }
    }
}
