import ArgumentParser
import DaemonWire
import DerivationFormat
import Policy
import StoreModel

/// `kiln build`.
struct BuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Builds recipes and derivations.",
        discussion: """
            Prints the path of every output, one a line. Ends with status 0 when everything is there, \
            1 when something failed, and 2 when it was asked wrongly. No link is made unless \
            --out-link asks for one.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var options: BuildOptions

    @Flag(help: "Print the steps of the launch and why each is done; build nothing.")
    var explain = false

    @Flag(help: "Print one JSON array with what became of everything.")
    var json = false

    @Option(
        name: [.customShort("o"), .customLong("out-link")],
        help: ArgumentHelp(
            "Make symbolic links to the outputs, which keep them from being collected.",
            valueName: "link"))
    var outLink: String?

    @Flag(name: .customLong("no-out-link"), help: "Make no link, as is the default.")
    var noOutLink = false

    @Argument(
        help: ArgumentHelp(
            "FILE.toml or FILE.toml#name, PATH.drv or PATH.drv^output, or a store path.",
            valueName: "target"))
    var targets: [String]

    func validate() throws {
        if noOutLink, outLink != nil {
            throw ValidationError("--out-link and --no-out-link exclude each other")
        }
        if explain, json { throw ValidationError("--explain and --json exclude each other") }
    }

    func run() throws {
        let root = try store.storeRoot()
        let request = try BuildRequest(targets, in: root)
        if explain {
            let profile = options.profile ?? request.profile
            for line in try explainLaunch(
                under: chooseProfile(isFixedOutput: false, requested: profile),
                policies: store.policies)
            {
                print(line)
            }
            return
        }
        let processors = processorCount()
        let session = try Session.open(
            EngineOptions(
                root: root,
                maximumJobs: UInt64(options.maximumJobs(processors: processors)),
                cores: UInt64(options.buildCores(processors: processors)),
                policies: store.policies, buildGroup: options.buildGroup,
                automaticUsers: options.automaticUsers))
        let display = ProgressDisplay(options.detail, printsLogs: options.printBuildLogs)
        defer { display.finish() }
        let report = try session.run {
            let client = session.client
            try client.setOptions(
                options.clientOptions(processors: processors, recipeProfile: request.profile))
            try client.add(all: request.uploads)
            client.onMessage = display.handle
            client.channel.whileWaiting = display.tick
            defer {
                client.channel.whileWaiting = nil
                display.finish()
            }
            display.expect(try client.missing(request.wanted).toBuild.count)
            let report = try session.build(request.wanted)
            if let outLink, report.isSuccess {
                try session.makeLinks(outLinks(outLink, for: report.items))
            }
            return report
        }
        try tell(report, display.state, root)
    }

    private func tell(_ report: BuildReport, _ state: ProgressState, _ root: StoreRoot) throws {
        if json {
            var report = report
            try report.readDenials(in: root)
            print(report.json.text)
        }
        var logOptions: [String] = []
        if store.root != nil { logOptions = ["--root", root.path] }
        for item in report.items {
            if item.isSuccess {
                if !json { for output in item.outputs { print(fullPath(output.path)) } }
                continue
            }
            let lines = failureLines(
                item, tail: state.tail(of: item.path), logOptions: logOptions)
            for line in lines { printError(line) }
        }
        if !report.isSuccess { throw ExitCode(1) }
    }
}

/// What the arguments of a command ask for, read as the user who runs it.
struct BuildRequest: Sendable {
    /// What to send first, each after what it refers to.
    var uploads: [Upload] = []
    /// What is asked for, in order, each once.
    var wanted: [DerivedPath] = []
    /// The profile that a recipe asks for.
    var profile: String?

    /// Reads recipes and store paths.
    init(_ targets: [String], in root: StoreRoot) throws(InputError) {
        var seen: Set<DerivedPath> = []
        for argument in targets {
            var found: [DerivedPath] = []
            switch try BuildTarget(argument, in: root) {
            case .recipe(let file, let select):
                let recipe = try EvaluatedRecipe(file: file, select: select)
                uploads += recipe.uploads
                found = recipe.wanted
                if let new = recipe.profile {
                    guard profile == nil || profile == new else {
                        throw InputError(
                            "\(file): asks for the profile '\(new)', another recipe for "
                                + "'\(profile ?? "")'; build them one at a time")
                    }
                    profile = new
                }
            case .derivation(let path, let outputs): found = [.built(path, outputs: outputs)]
            case .object(let path): found = [.opaque(path)]
            }
            wanted += found.filter { seen.insert($0).inserted }
        }
    }
}

extension Session {
    /// Builds, and finds out the paths of what was built.
    func build(_ wanted: [DerivedPath]) throws(ClientError) -> BuildReport {
        var results: [DerivedPath: BuildResult] = [:]
        for (target, result) in try client.build(wanted) { results[target] = result }
        var report = BuildReport()
        for target in wanted {
            let result = results[target]
            var outputs: [(String, StorePath)] = []
            switch target {
            case _ where result?.status.isSuccess != true: break
            case .opaque(let path): outputs = [(OutputName.out.description, path)]
            case .built(let path, let names):
                var paths = result?.outputs ?? [:]
                if names.map({ paths.count < $0.count }) ?? true {
                    // Daemons leave out what was valid before.
                    paths.merge(try client.outputs(of: path)) { first, _ in first }
                }
                outputs = paths.filter { names?.contains($0.key) ?? true }
                    .sorted { $0.key < $1.key }.map { ($0.key.description, $0.value) }
            }
            report.items.append(BuildReport.Item(target: target, result: result, outputs: outputs))
        }
        return report
    }
}
