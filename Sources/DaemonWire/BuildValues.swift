import DerivationFormat
public import Hashing
public import StoreModel

extension WireWriter {
    /// Appends what became of a build.
    ///
    /// - Parameters:
    ///   - result: What became of it.
    ///   - hash: What stands for the derivation in the keys of its outputs; peers look at the output's
    ///     name alone, and newer daemons send zeros themselves.
    ///   - context: The connection.
    public mutating func buildResult(
        _ result: BuildResult,
        hash: Digest = Digest(.sha256, bytes: [UInt8](repeating: 0, count: 32)),
        _ context: WireContext
    ) {
        integer(UInt64(result.status.rawValue))
        text(result.message)
        if context.version >= ProtocolVersion(minor: 29) {
            integer(result.timesBuilt)
            bool(result.isNonDeterministic)
            integer(UInt64(bitPattern: result.startTime))
            integer(UInt64(bitPattern: result.stopTime))
        }
        if context.version >= ProtocolVersion(minor: 37) {
            for time in [result.userTime, result.systemTime] {
                bool(time != nil)
                if let time { integer(time) }
            }
        }
        guard context.version >= ProtocolVersion(minor: 28) else { return }
        list(result.outputs.sorted { $0.key < $1.key }) { writer, output in
            let id = hash.text(.base16, prefixed: true) + "!\(output.key)"
            writer.text(id)
            let realisation: [String: JSONValue] = [
                "dependentRealisations": .object([:]), "id": .string(id),
                "outPath": .string(output.value.baseName), "signatures": .array([]),
            ]
            writer.text(JSONValue.object(realisation).text)
        }
    }

    /// Appends a derivation without its input derivations: the form that `BuildDerivation` sends.
    public mutating func basicDerivation(_ derivation: Derivation, _ context: WireContext) {
        list(derivation.outputs.sorted { $0.key < $1.key }) { writer, output in
            let fields = output.value.fields(in: context.store)
            writer.string(output.key.bytes)
            writer.string(fields.path)
            writer.text(fields.algorithm)
            writer.text(fields.hash)
        }
        storePaths(derivation.inputSources, context)
        string(derivation.system.bytes)
        string(derivation.builder.bytes)
        list(derivation.arguments) { $0.string($1.bytes) }
        list(derivation.environment.sorted { $0.key < $1.key }) {
            $0.string($1.key.bytes)
            $0.string($1.value.bytes)
        }
    }
}

extension WireReader {
    /// What became of a build.
    public mutating func buildResult(_ context: WireContext) throws(WireError) -> BuildResult {
        let at = offset
        guard let status = BuildResult.Status(rawValue: UInt8(clamping: try integer())) else {
            throw .malformed("the status of a build", at: at)
        }
        var result = BuildResult(status: status, message: try text())
        if context.version >= ProtocolVersion(minor: 29) {
            result.timesBuilt = try integer()
            result.isNonDeterministic = try bool()
            result.startTime = Int64(try integer(limit: UInt64(Int64.max)))
            result.stopTime = Int64(try integer(limit: UInt64(Int64.max)))
        }
        if context.version >= ProtocolVersion(minor: 37) {
            result.userTime = try optionalTime()
            result.systemTime = try optionalTime()
        }
        guard context.version >= ProtocolVersion(minor: 28) else { return result }
        for _ in 0..<(try integer(limit: WireLimits.list)) {
            let (name, path) = try realisation()
            result.outputs[name] = path
        }
        return result
    }

    /// A derivation without its input derivations.
    public mutating func basicDerivation(
        name: String, _ context: WireContext
    ) throws(WireError) -> Derivation {
        var outputs: [OutputName: DerivationOutput] = [:]
        for _ in 0..<(try integer(limit: WireLimits.list)) {
            let at = offset
            guard let output = OutputName(try string(limit: WireLimits.short)) else {
                throw .malformed("the name of an output", at: at)
            }
            let path = try string(limit: WireLimits.short)
            let algorithm = try text(limit: WireLimits.short)
            let hash = try text(limit: WireLimits.short)
            do {
                outputs[output] = try DerivationOutput(
                    path: path, algorithm: algorithm, hash: hash, in: context.store)
            } catch {
                throw .malformed("an output (\(error))", at: at)
            }
        }
        let sources = try storePaths(context)
        let system = ByteString(try string(limit: WireLimits.short))
        let builder = ByteString(try string(limit: WireLimits.short))
        let arguments = try list { (reader) throws(WireError) in ByteString(try reader.string()) }
        var environment: [ByteString: ByteString] = [:]
        for _ in 0..<(try integer(limit: WireLimits.list)) {
            let key = ByteString(try string())
            environment[key] = ByteString(try string())
        }
        return Derivation(
            name: name, outputs: outputs, inputDerivations: [:], inputSources: sources,
            system: system, builder: builder, arguments: arguments, environment: environment)
    }

    private mutating func optionalTime() throws(WireError) -> UInt64? {
        let at = offset
        switch try integer() {
        case 0: return nil
        case 1: return try integer(limit: UInt64(Int64.max))
        default: throw .malformed("0 or 1", at: at)
        }
    }

    /// `sha256:<hash>!<output>` and a JSON object that says the output's path.
    private mutating func realisation() throws(WireError) -> (OutputName, StorePath) {
        let at = offset
        let id = try string(limit: WireLimits.short)
        let mark = id.lastIndex(of: UInt8(ascii: "!")).map { $0 + 1 } ?? id.count
        let text = try string()
        do {
            let value = try JSONValue(parsing: text)
            guard let name = OutputName([UInt8](id[mark...])),
                case .string(let path)? = value["outPath"]
            else { throw WireError.malformed("a realisation", at: at) }
            return (name, try StorePath(baseName: [UInt8](path.utf8)))
        } catch {
            throw .malformed("a realisation", at: at)
        }
    }
}
