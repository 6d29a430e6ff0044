import DaemonWire
import StoreModel

/// What a build needs that is not there.
struct MissingPaths: Hashable, Sendable {
    /// Derivations that will be built.
    var toBuild: Set<StorePath>
    /// Objects that will be fetched.
    var toSubstitute: Set<StorePath>
    /// Objects that nobody knows how to get.
    var unknown: Set<StorePath>
}

/// What a collection of garbage did.
struct CollectionResult: Hashable, Sendable {
    /// The full paths that were deleted, or that were asked about.
    var paths: [String]
    /// The bytes that became free.
    var freed: UInt64
}

extension WorkerClient {
    /// Says what is different for this connection.
    func setOptions(_ options: ClientOptions) throws(ClientError) {
        try ask(.setOptions(options)) { (_, _) throws(WireError) in }
    }

    /// What is known of a path; nothing if it is not valid.
    func pathInfo(_ path: StorePath) throws(ClientError) -> ValidPathInfo? {
        try ask(.queryPathInfo(path)) { (reader, context) throws(WireError) in
            try reader.bool() ? try reader.pathInfo(of: path, context) : nil
        }
    }

    /// Those of `paths` that are valid.
    func validPaths(among paths: Set<StorePath>) throws(ClientError) -> Set<StorePath> {
        try ask(.queryValidPaths(paths, substitute: false)) {
            (reader, context) throws(WireError) in try reader.storePaths(context)
        }
    }

    /// The valid paths that refer to a path.
    func referrers(of path: StorePath) throws(ClientError) -> Set<StorePath> {
        try ask(.queryReferrers(path)) { (reader, context) throws(WireError) in
            try reader.storePaths(context)
        }
    }

    /// The paths of a derivation's outputs, as far as they are known.
    func outputs(of derivation: StorePath) throws(ClientError) -> [OutputName: StorePath] {
        try ask(.queryDerivationOutputMap(derivation)) { (reader, context) throws(WireError) in
            var outputs: [OutputName: StorePath] = [:]
            for _ in 0..<(try reader.integer(limit: WireLimits.list)) {
                let at = reader.offset
                guard let name = OutputName(try reader.string(limit: WireLimits.short)) else {
                    throw .malformed("the name of an output", at: at)
                }
                if let path = try reader.optionalStorePath(context) { outputs[name] = path }
            }
            return outputs
        }
    }

    /// What of `paths` and what they need is not there.
    func missing(_ paths: [DerivedPath]) throws(ClientError) -> MissingPaths {
        try ask(.queryMissing(paths)) { (reader, context) throws(WireError) in
            let missing = MissingPaths(
                toBuild: try reader.storePaths(context),
                toSubstitute: try reader.storePaths(context),
                unknown: try reader.storePaths(context))
            // The bytes to download and to unpack.
            for _ in 0..<2 { _ = try reader.integer() }
            return missing
        }
    }

    /// Makes paths valid.
    ///
    /// - Returns: What became of each; goals that were never started are left out.
    func build(_ paths: [DerivedPath]) throws(ClientError) -> [(DerivedPath, BuildResult)] {
        try ask(.buildPathsWithResults(paths, .normal)) { (reader, context) throws(WireError) in
            try reader.list { (reader) throws(WireError) in
                (try reader.derivedPath(context), try reader.buildResult(context))
            }
        }
    }

    /// Keeps a path from being collected for as long as the connection lasts.
    func addTemporaryRoot(_ path: StorePath) throws(ClientError) {
        try ask(.addTemporaryRoot(path)) { (reader, _) throws(WireError) in _ = try reader.integer()
        }
    }

    /// Keeps what a symbolic link points at from being collected for as long as the link is there.
    func addIndirectRoot(link: [UInt8]) throws(ClientError) {
        try ask(.addIndirectRoot(link)) { (reader, _) throws(WireError) in
            _ = try reader.integer()
        }
    }

    /// Looks for damage; what is found is told as messages.
    ///
    /// - Returns: Whether something is wrong.
    func verify(checkContents: Bool) throws(ClientError) -> Bool {
        try ask(.verifyStore(checkContents: checkContents, repair: false)) {
            (reader, _) throws(WireError) in try reader.bool()
        }
    }

    /// Deletes objects that nothing needs.
    func delete(_ paths: Set<StorePath>) throws(ClientError) -> CollectionResult {
        let request = WorkerRequest.collectGarbage(
            .deleteSpecific, paths: paths, ignoresLiveness: false, maximumFreed: .max)
        return try ask(request) { (reader, _) throws(WireError) in
            let paths = try reader.list { (reader) throws(WireError) in
                try reader.text(limit: WireLimits.short)
            }
            let result = CollectionResult(paths: paths, freed: try reader.integer())
            _ = try reader.integer()
            return result
        }
    }
}
