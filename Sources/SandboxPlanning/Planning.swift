import Hashing
public import LaunchModel
import StoreModel

/// What the launcher is asked for to run one build.
///
/// Pure: everything that a builder can tell follows from the derivation, its closure and the settings.
///
/// Source: `reference/nix-features.md` §3 and §4.
public func plan(
    _ build: ResolvedBuild, settings: BuildSettings
) throws(PlanningFault) -> LaunchRequest {
    let derivation = build.derivation
    guard derivation.system == settings.system || settings.extraSystems.contains(derivation.system)
    else {
        throw .system(derivation: build.path, wanted: derivation.system, have: settings.system)
    }
    let attributes = try DerivationAttributes(of: derivation)
    let missing = try attributes.requiredSystemFeatures().subtracting(settings.systemFeatures)
    guard missing.isEmpty else {
        throw .features(derivation: build.path, missing: missing.sorted())
    }
    guard !derivation.builder.bytes.starts(with: "builtin:".utf8) else {
        throw .builtinBuilder(derivation.builder)
    }
    for (name, output) in derivation.outputs where output.path == nil {
        throw .unresolvedOutput(name)
    }

    for (name, value) in derivation.environment
    where name.bytes.contains(0) || (value.bytes.contains(0) && attributes.structured == nil) {
        throw .nul("the variable '\(name)'")
    }
    for argument in [derivation.builder] + derivation.arguments where argument.bytes.contains(0) {
        throw .nul("the builder or one of its arguments")
    }

    let rewriting = Rewriting(outputs: build.outputs, in: settings.store)
    var planner = BuilderEnvironment(build: build, settings: settings, attributes: attributes)
    try planner.fill()
    let builder = rewriting(derivation.builder.bytes)
    let zeroth = builder.split(separator: UInt8(ascii: "/")).last.map { [UInt8]($0) } ?? builder
    let is32Bit = derivation.system == "i686-linux" && settings.system == "x86_64-linux"
    var request = LaunchRequest(
        inputs: build.closure.keys.sorted().map(\.name), outputs: build.outputs.map(\.path.name),
        builder: builder, arguments: [zeroth] + derivation.arguments.map { rewriting($0.bytes) },
        environment: planner.variables.sorted { $0.key < $1.key }.map {
            rewriting($0.key.bytes) + [UInt8(ascii: "=")] + rewriting($0.value.bytes)
        },
        files: planner.files.map { .init(name: $0.name, contents: rewriting($0.contents)) },
        buildDirectory: settings.buildDirectory.bytes, personality: is32Bit ? .linux32 : .native,
        keepsFailed: settings.keepsFailed)
    // Such a build may have had somebody to talk to, who may have got a descriptor from it.
    if build.isFixedOutput { request.handOver = .copied }
    return request
}

/// The variables and files of a builder, filled in the order in which later ones win.
struct BuilderEnvironment {
    let build: ResolvedBuild
    let settings: BuildSettings
    let attributes: DerivationAttributes
    var variables: [ByteString: ByteString] = [:]
    var files: [LaunchRequest.BuildFile] = []

    mutating func fill() throws(PlanningFault) {
        let directory = settings.buildDirectory
        variables["PATH"] = "/path-not-set"
        variables["HOME"] = "/homeless-shelter"
        variables["NIX_STORE"] = ByteString(settings.store.bytes)
        variables["NIX_BUILD_CORES"] = ByteString("\(settings.cores)")
        if attributes.structured != nil {
            try addStructuredAttributes()
        } else {
            try addVariables()
            try addGraphFiles()
        }
        variables["NIX_BUILD_TOP"] = directory
        for name: ByteString in ["TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
            variables[name] = directory
        }
        if build.isFixedOutput {
            variables["NIX_OUTPUT_CHECKED"] = "1"
            for name in try attributes.impureVariables() {
                variables[name] = settings.impureVariables[name] ?? ""
            }
        }
        variables["NIX_LOG_FD"] = "2"
        variables["TERM"] = "xterm-256color"
    }

    /// The derivation's own variables; the values of some go into files.
    private mutating func addVariables() throws(PlanningFault) {
        let inFiles = try attributes.variablesPassedAsFiles()
        for (name, value) in build.derivation.environment {
            guard inFiles.contains(name) else {
                variables[name] = value
                continue
            }
            let file = ".attr-" + NixBase32.encode(Digest.of(.sha256, name.bytes).bytes)
            files.append(.init(name: [UInt8](file.utf8), contents: value.bytes))
            variables[ByteString(name.bytes + [UInt8]("Path".utf8))] =
                inBuildDirectory(ByteString(file))
        }
        files.sort { $0.name.lexicographicallyPrecedes($1.name) }
    }

    func inBuildDirectory(_ file: ByteString) -> ByteString {
        ByteString(settings.buildDirectory.bytes + [UInt8(ascii: "/")] + file.bytes)
    }
}
