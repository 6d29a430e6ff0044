import Hashing
import StoreModel

/// The numbers of the worker protocol.
enum Operation: UInt64 {
    case isValidPath = 1
    case queryReferrers = 6
    case addToStore = 7
    case buildPaths = 9
    case ensurePath = 10
    case addTemporaryRoot = 11
    case addIndirectRoot = 12
    case findRoots = 14
    case setOptions = 19
    case collectGarbage = 20
    case queryAllValidPaths = 23
    case queryPathInfo = 26
    case queryPathFromHashPart = 29
    case queryValidPaths = 31
    case queryValidDerivers = 33
    case verifyStore = 35
    case buildDerivation = 36
    case narFromPath = 38
    case addToStoreNar = 39
    case queryMissing = 40
    case queryDerivationOutputMap = 41
    case addMultipleToStore = 44
    case buildPathsWithResults = 46
}

extension WireWriter {
    /// Appends a request; the stream of an upload follows apart.
    public mutating func request(_ request: WorkerRequest, _ context: WireContext) {
        switch request {
        case .isValidPath(let path): add(.isValidPath, path, context)
        case .queryReferrers(let path): add(.queryReferrers, path, context)
        case .ensurePath(let path): add(.ensurePath, path, context)
        case .addTemporaryRoot(let path): add(.addTemporaryRoot, path, context)
        case .queryPathInfo(let path): add(.queryPathInfo, path, context)
        case .queryValidDerivers(let path): add(.queryValidDerivers, path, context)
        case .narFromPath(let path): add(.narFromPath, path, context)
        case .queryDerivationOutputMap(let path): add(.queryDerivationOutputMap, path, context)
        case .findRoots: add(.findRoots)
        case .queryAllValidPaths: add(.queryAllValidPaths)
        case .addIndirectRoot(let link):
            add(.addIndirectRoot)
            string(link)
        case .queryPathFromHashPart(let part):
            add(.queryPathFromHashPart)
            text(part)
        case .addToStore(let name, let method, let algorithm, let references, let repair):
            add(.addToStore)
            text(name)
            text((method == .text ? "text:" : "fixed:" + method.prefix) + algorithm)
            storePaths(references, context)
            bool(repair)
        case .setOptions(let options):
            add(.setOptions)
            self.options(options, context)
        case .collectGarbage(let action, let paths, let ignoresLiveness, let maximum):
            add(.collectGarbage)
            integer(action.rawValue)
            storePaths(paths, context)
            bool(ignoresLiveness)
            for number in [maximum, 0, 0, 0] { integer(number) }
        case .queryValidPaths(let paths, let substitute):
            add(.queryValidPaths)
            storePaths(paths, context)
            if context.version >= ProtocolVersion(minor: 27) { bool(substitute) }
        case .verifyStore(let checkContents, let repair):
            add(.verifyStore)
            bool(checkContents)
            bool(repair)
        case .addToStoreNar(let info, let repair, let skipsSignatures):
            add(.addToStoreNar)
            // All fields are sent whatever the version.
            pathInfo(info, WireContext(store: context.store))
            bool(repair)
            bool(skipsSignatures)
        case .queryMissing(let paths):
            add(.queryMissing)
            list(paths) { $0.derivedPath($1, context) }
        case .addMultipleToStore(let repair, let skipsSignatures):
            add(.addMultipleToStore)
            bool(repair)
            bool(skipsSignatures)
        case .buildPaths(let paths, let mode): build(.buildPaths, paths, mode, context)
        case .buildPathsWithResults(let paths, let mode):
            build(.buildPathsWithResults, paths, mode, context)
        case .buildDerivation(let path, let derivation, let mode):
            add(.buildDerivation, path, context)
            basicDerivation(derivation, context)
            integer(mode.rawValue)
        }
    }

    private mutating func add(_ operation: Operation) { integer(operation.rawValue) }

    private mutating func add(_ operation: Operation, _ path: StorePath, _ context: WireContext) {
        add(operation)
        storePath(path, context)
    }

    private mutating func build(
        _ operation: Operation, _ paths: [DerivedPath], _ mode: WorkerRequest.BuildMode,
        _ context: WireContext
    ) {
        add(operation)
        list(paths) { $0.derivedPath($1, context) }
        if context.version >= ProtocolVersion(minor: 15) { integer(mode.rawValue) }
    }

    private mutating func options(_ options: ClientOptions, _ context: WireContext) {
        bool(options.keepsFailed)
        bool(options.keepsGoing)
        bool(options.fallsBack)
        for number in [options.verbosity, options.maximumJobs, options.maximumSilence] {
            integer(number)
        }
        // The hook is used, builds are printed as they are, and two that mean nothing any more.
        for number: UInt64 in [1, 0, 0, 0] { integer(number) }
        integer(options.cores)
        bool(options.usesSubstitutes)
        guard context.version >= ProtocolVersion(minor: 12) else { return }
        list(options.settings.sorted { $0.key < $1.key }) {
            $0.text($1.key)
            $0.text($1.value)
        }
    }
}

extension WireReader {
    /// The next request; the stream of an upload follows.
    ///
    /// - Throws: ``WireError`` for a number that no operation has here: nothing is known of what follows
    ///   it, so the connection cannot go on.
    public mutating func request(_ context: WireContext) throws(WireError) -> WorkerRequest {
        let at = offset
        guard let operation = Operation(rawValue: try integer()) else {
            throw .malformed("an operation that this daemon knows", at: at)
        }
        switch operation {
        case .isValidPath: return .isValidPath(try storePath(context))
        case .queryReferrers: return .queryReferrers(try storePath(context))
        case .ensurePath: return .ensurePath(try storePath(context))
        case .addTemporaryRoot: return .addTemporaryRoot(try storePath(context))
        case .queryPathInfo: return .queryPathInfo(try storePath(context))
        case .queryValidDerivers: return .queryValidDerivers(try storePath(context))
        case .narFromPath: return .narFromPath(try storePath(context))
        case .queryDerivationOutputMap: return .queryDerivationOutputMap(try storePath(context))
        case .findRoots: return .findRoots
        case .queryAllValidPaths: return .queryAllValidPaths
        case .addIndirectRoot: return .addIndirectRoot(try string(limit: WireLimits.short))
        case .queryPathFromHashPart:
            return .queryPathFromHashPart(try text(limit: WireLimits.short))
        case .addToStore: return try addToStore(context)
        case .setOptions: return .setOptions(try options(context))
        case .collectGarbage:
            let action: WorkerRequest.GarbageAction = try choice("an action of the collector")
            let paths = try storePaths(context)
            let ignoresLiveness = try bool()
            let maximum = try integer()
            for _ in 0..<3 { _ = try integer() }
            return .collectGarbage(
                action, paths: paths, ignoresLiveness: ignoresLiveness, maximumFreed: maximum)
        case .queryValidPaths:
            let paths = try storePaths(context)
            let substitute = context.version >= ProtocolVersion(minor: 27) ? try bool() : false
            return .queryValidPaths(paths, substitute: substitute)
        case .verifyStore: return .verifyStore(checkContents: try bool(), repair: try bool())
        case .addToStoreNar:
            let info = try pathInfo(WireContext(store: context.store))
            return .addToStoreNar(info, repair: try bool(), skipsSignatures: try bool())
        case .queryMissing: return .queryMissing(try derivedPaths(context))
        case .addMultipleToStore:
            return .addMultipleToStore(repair: try bool(), skipsSignatures: try bool())
        case .buildPaths: return .buildPaths(try derivedPaths(context), try mode(context))
        case .buildPathsWithResults:
            return .buildPathsWithResults(try derivedPaths(context), try mode(context))
        case .buildDerivation:
            let at = offset
            let path = try storePath(context)
            guard path.isDerivation else { throw .malformed("the path of a derivation", at: at) }
            let derivation = try basicDerivation(
                name: String(path.objectName.dropLast(4)), context)
            return .buildDerivation(path, derivation, try mode(context))
        }
    }

    private mutating func derivedPaths(_ context: WireContext) throws(WireError) -> [DerivedPath] {
        try list { (reader) throws(WireError) in try reader.derivedPath(context) }
    }

    private mutating func mode(_ context: WireContext) throws(WireError) -> WorkerRequest.BuildMode
    {
        guard context.version >= ProtocolVersion(minor: 15) else { return .normal }
        return try choice("a build mode")
    }

    private mutating func choice<E: RawRepresentable>(_ what: String) throws(WireError) -> E
    where E.RawValue == UInt64 {
        let at = offset
        guard let value = E(rawValue: try integer()) else { throw .malformed(what, at: at) }
        return value
    }

    /// From 1.25 on: `text:<algorithm>` or `fixed:[r:|git:]<algorithm>`.
    private mutating func addToStore(_ context: WireContext) throws(WireError) -> WorkerRequest {
        let name = try text(limit: WireLimits.short)
        let at = offset
        let form = try text(limit: WireLimits.short)
        let forms: [(String, ContentAddressMethod)] = [
            ("text:", .text), ("fixed:r:", .recursive), ("fixed:git:", .git), ("fixed:", .flat),
        ]
        guard let (prefix, method) = forms.first(where: { form.hasPrefix($0.0) }) else {
            throw .malformed("a method of content addressing", at: at)
        }
        let references = try storePaths(context)
        return .addToStore(
            name: name, method: method, algorithm: String(form.dropFirst(prefix.count)),
            references: references, repair: try bool())
    }

    private mutating func options(_ context: WireContext) throws(WireError) -> ClientOptions {
        var options = ClientOptions()
        options.keepsFailed = try bool()
        options.keepsGoing = try bool()
        options.fallsBack = try bool()
        options.verbosity = try integer()
        options.maximumJobs = try integer()
        options.maximumSilence = try integer()
        for _ in 0..<4 { _ = try integer() }
        options.cores = try integer()
        options.usesSubstitutes = try bool()
        guard context.version >= ProtocolVersion(minor: 12) else { return options }
        for _ in 0..<(try integer(limit: WireLimits.short)) {
            let name = try text(limit: WireLimits.short)
            options.settings[name] = try text()
        }
        return options
    }
}
