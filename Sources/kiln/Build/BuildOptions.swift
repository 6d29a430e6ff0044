import ArgumentParser
import DaemonWire
import Glibc

/// How `kiln build` builds.
struct BuildOptions: ParsableArguments {
    @Option(
        name: [.customShort("j", allowingJoined: true), .customLong("max-jobs")],
        help: "How many derivations are built at once (default: one a processor, at most 4).")
    var jobs: Int?

    @Option(
        help: """
            How many processors one build is told to use; 0 is all \
            (default: the processors divided by --max-jobs).
            """)
    var cores: Int?

    @Flag(name: [.customShort("k"), .long], help: "Go on with the rest when a build fails.")
    var keepGoing = false

    @Flag(name: [.customShort("K"), .long], help: "Keep the directories of failed builds.")
    var keepFailed = false

    @Option(
        name: .customLong("build-users-group"),
        help: ArgumentHelp(
            "The group whose members builds run as (default: nixbld, if it has members).",
            discussion: "For root only; everybody else's builds run as themselves.",
            valueName: "group"))
    var buildGroup: String?

    @Option(
        name: .customLong("build-users"),
        help: ArgumentHelp(
            "Build as at most so many users that have no account.", valueName: "count"))
    var automaticUsers: UInt16?

    @Option(help: "The profile to build under, instead of the one that policy chooses.")
    var profile: String?

    @Flag(name: [.customShort("L"), .long], help: "Print every line of every log.")
    var printBuildLogs = false

    @Flag(help: "Tell failures only.")
    var quiet = false

    @Flag(help: "Tell what the engine says besides.")
    var verbose = false

    func validate() throws {
        if let jobs, !(1...4096).contains(jobs) {
            throw ValidationError("--max-jobs is from 1 to 4096")
        }
        if let cores, !(0...4096).contains(cores) {
            throw ValidationError("--cores is from 0 to 4096")
        }
        if let automaticUsers, !(1...128).contains(automaticUsers) {
            throw ValidationError("--build-users is from 1 to 128")
        }
        if buildGroup != nil, automaticUsers != nil {
            throw ValidationError("--build-users-group and --build-users exclude each other")
        }
        if quiet, verbose { throw ValidationError("--quiet and --verbose exclude each other") }
    }

    /// How many builds run at once.
    func maximumJobs(processors: Int) -> Int { jobs ?? min(4, max(1, processors)) }

    /// How many processors one build is told to use.
    func buildCores(processors: Int) -> Int {
        cores ?? max(1, processors / maximumJobs(processors: processors))
    }

    /// How much is told.
    var detail: ProgressDisplay.Detail { quiet ? .quiet : verbose ? .verbose : .normal }

    /// What the engine or daemon is told.
    ///
    /// - Parameters:
    ///   - processors: How many processors there are.
    ///   - recipeProfile: The profile that the recipe asks for.
    /// - Returns: The options of the connection.
    func clientOptions(processors: Int, recipeProfile: String?) -> ClientOptions {
        var options = ClientOptions(
            keepsFailed: keepFailed, keepsGoing: keepGoing, verbosity: detail.verbosity,
            maximumJobs: UInt64(maximumJobs(processors: processors)),
            cores: UInt64(buildCores(processors: processors)))
        if let profile = profile ?? recipeProfile { options.settings["kiln-profile"] = profile }
        return options
    }
}

/// How many processors this machine has.
func processorCount() -> Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }
