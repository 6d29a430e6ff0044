import BuildEngine
import DaemonWire
import DerivationFormat
import Goals
import LocalStore
import StoreModel
import SystemCalls

extension Session {
    /// Builds, and fails if anything fails.
    func build(
        _ paths: [DerivedPath], _ mode: WorkerRequest.BuildMode
    ) throws(DaemonError) -> Reply {
        let outcomes = try outcomes(of: paths, mode)
        let failures = outcomes.filter { !$0.result.status.isSuccess }.map(\.result.message)
        // One derivation may be asked for several times.
        var told: Set<String> = []
        let messages = failures.filter { told.insert($0).inserted }
        guard messages.isEmpty else { throw .failed(messages.joined(separator: "\n")) }
        return .done
    }

    /// Builds, and tells what became of each path.
    func buildWithResults(
        _ paths: [DerivedPath], _ mode: WorkerRequest.BuildMode
    ) throws(DaemonError) -> Reply {
        let outcomes = try outcomes(of: paths, mode)
        let context = context
        return Reply {
            $0.list(outcomes) { writer, outcome in
                writer.derivedPath(outcome.path, context)
                writer.buildResult(outcome.result, context)
            }
        }
    }

    /// Builds a derivation that is sent in full, its inputs being valid already.
    func build(
        _ derivation: Derivation, at path: StorePath, _ mode: WorkerRequest.BuildMode
    ) throws(DaemonError) -> Reply {
        let isFixed = derivation.outputs.values.allSatisfy { output in
            if case .fixed = output { true } else { false }
        }
        let outcomes: [Outcome]
        if isFixed {
            // What it makes is proved by its content, so it may be anybody's; its file is made here.
            let info = try inEngine { () throws(EngineError) in
                try engine.addFile(
                    name: derivation.name + ".drv",
                    contents: aterm(of: derivation, in: self.context.store),
                    references: derivation.inputSources, keptAliveBy: roots)
            }
            outcomes = try self.outcomes(of: [.built(info.path, outputs: nil)], mode)
        } else {
            guard isTrusted else {
                throw .failed(
                    "only trusted users may build '\(path)' without its inputs' derivations, because "
                        + "nothing proves what its outputs are; copy the derivation and build that")
            }
            try inEngine { () throws(EngineError) in
                try engine.trustDerivation(derivation, at: path)
            }
            defer { engine.forgetDerivation(at: path) }
            outcomes = try self.outcomes(of: [.built(path, outputs: nil)], mode)
        }
        guard let outcome = outcomes.first else {
            throw .failed("the build of '\(path)' was given up")
        }
        let context = context
        return Reply { $0.buildResult(outcome.result, context) }
    }

    private func outcomes(
        of paths: [DerivedPath], _ mode: WorkerRequest.BuildMode
    ) throws(DaemonError) -> [Outcome] {
        guard mode == .normal else {
            throw .failed("builds can be neither repaired nor checked here yet")
        }
        let request = try inEngine { () throws(EngineError) in
            try engine.request(paths, for: client, options: options, keptAliveBy: roots)
        }
        do throws(WireError) {
            return try follow(request)
        } catch {
            request.cancel()
            throw .connection(error)
        }
    }

    /// Tells the client what happens until its request is over.
    ///
    /// - Throws: An error of the connection, also when the client has gone away meanwhile.
    private func follow(_ request: BuildRequest) throws(WireError) -> [Outcome] {
        let builds = engine.nextActivity().rawValue
        try send(
            .startActivity(
                id: builds, level: 0, type: Activity.builds, text: "", fields: [], parent: 0))
        while true {
            let found: [Readiness]
            do {
                found = try peer.socket.withNumber { (socket) throws(SystemError) in
                    try request.withDescriptor { (news) throws(SystemError) in
                        try poll([(news, .readable), (socket, .peerGone)], milliseconds: nil)
                    }
                }
            } catch {
                throw .stream(errno: error.errno)
            }
            guard found[1].intersection(.peerGone).isEmpty else {
                throw .truncated(at: peer.reader.offset)
            }
            var writer = WireWriter()
            var end: [Outcome]?
            for news in request.news() {
                if case .finished(let outcomes) = news {
                    end = outcomes
                } else {
                    tell(news, builds, in: &writer)
                }
            }
            if end != nil { writer.message(.stopActivity(id: builds), context) }
            try peer.send(&writer)
            if let end { return end }
        }
    }

    /// Numbers of the protocol.
    private enum Activity {
        static let builds: UInt64 = 104
        static let build: UInt64 = 105
        static let logLine: UInt64 = 101
        static let progress: UInt64 = 105
        static let informative: UInt64 = 3
    }

    private func tell(_ news: BuildNews, _ builds: UInt64, in writer: inout WireWriter) {
        switch news {
        case .started(let activity, let path):
            let full = "\(context.store.path(of: path))"
            writer.message(
                .startActivity(
                    id: activity.rawValue, level: Activity.informative, type: Activity.build,
                    text: "building '\(full)'",
                    fields: [.text(full), .text(""), .integer(1), .integer(1)], parent: 0),
                context)
        case .line(let activity, let line):
            tell(String(decoding: line, as: UTF8.self), of: activity, in: &writer)
        case .linesDropped(let activity, let count):
            tell(
                "(\(count) lines are not shown; the log has them)", of: activity, in: &writer)
        case .stopped(let activity):
            writer.message(.stopActivity(id: activity.rawValue), context)
        case .progress(let numbers):
            writer.message(
                .result(
                    id: builds, type: Activity.progress,
                    fields: [
                        .integer(numbers.done), .integer(numbers.expected),
                        .integer(numbers.running), .integer(numbers.failed),
                    ]), context)
        case .finished: break
        }
    }

    private func tell(_ line: String, of activity: ActivityID, in writer: inout WireWriter) {
        guard context.version >= ProtocolVersion(minor: 20) else {
            writer.message(.line(line), context)
            return
        }
        writer.message(
            .result(id: activity.rawValue, type: Activity.logLine, fields: [.text(line)]), context)
    }
}
