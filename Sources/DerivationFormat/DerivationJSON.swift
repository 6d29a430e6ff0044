import Hashing
public import StoreModel

/// Why a JSON value is not a derivation, or a derivation has no JSON form.
public enum DerivationJSONFault: Error, Hashable, Sendable {
    /// The member at this place is missing or has the wrong type.
    case wrongType(String)
    /// The member at this place means nothing.
    case unknown(String)
    /// The store path at this place is not one.
    case storePath(String)
    /// The text at this place is not UTF-8, which JSON asks for.
    case notUnicode(String)
    /// The version is not 4.
    case version(String)
    /// Wants of wants nest deeper than ``derivationInputDepthLimit`` at this place.
    case tooDeep(String)
    /// Nothing is wanted of the input at this place.
    case nothingWanted(String)
    /// The path of a fixed output cannot be computed.
    case path(StorePathMakerFault)
}

private let structuredAttributes = ByteString("__json")

/// The JSON form of a derivation: version 4, as Nix 2.33 and later print it.
///
/// Source: Nix manual, "Derivation JSON format"; `reference/nix-features.md` §14.
public func json(of derivation: Derivation) throws(DerivationJSONFault) -> JSONValue {
    var outputs: [String: JSONValue] = [:]
    for (name, output) in derivation.outputs { outputs["\(name)"] = .object(members(of: output)) }
    var inputs: [String: JSONValue] = [:]
    for (path, input) in derivation.inputDerivations {
        inputs[path.baseName] = try json(
            of: input, at: "inputs.drvs.\(path.baseName)", depth: 0)
    }
    var environment: [String: JSONValue] = [:]
    var members: [String: JSONValue] = [:]
    for (key, value) in derivation.environment {
        if key == structuredAttributes {
            do {
                members["structuredAttrs"] = try JSONValue(parsing: value.bytes)
            } catch {
                throw .wrongType("__json")
            }
        } else {
            environment[try text(key, at: "env")] = .string(try text(value, at: "env.\(key)"))
        }
    }
    var arguments: [JSONValue] = []
    for argument in derivation.arguments {
        arguments.append(.string(try text(argument, at: "args")))
    }
    members["args"] = .array(arguments)
    members["builder"] = .string(try text(derivation.builder, at: "builder"))
    members["env"] = .object(environment)
    members["inputs"] = .object([
        "drvs": .object(inputs),
        "srcs": .array(derivation.inputSources.sorted().map { .string($0.baseName) }),
    ])
    members["name"] = .string(derivation.name)
    members["outputs"] = .object(outputs)
    members["system"] = .string(try text(derivation.system, at: "system"))
    members["version"] = .number("4")
    return .object(members)
}

private func text(_ bytes: ByteString, at place: String) throws(DerivationJSONFault) -> String {
    guard let text = String(validating: bytes.bytes, as: UTF8.self) else {
        throw .notUnicode(place)
    }
    return text
}

private func members(of output: DerivationOutput) -> [String: JSONValue] {
    switch output {
    case .inputAddressed(let path): ["path": .string(path.baseName)]
    case .fixed(_, let address):
        [
            "method": .string(address.method.jsonName),
            "hash": .string(address.digest.text(.sri, prefixed: false)),
        ]
    case .floating(let method, let algorithm):
        ["method": .string(method.jsonName), "hashAlgo": .string(algorithm.name)]
    case .deferred: [:]
    case .impure(let method, let algorithm):
        [
            "method": .string(method.jsonName), "hashAlgo": .string(algorithm.name),
            "impure": .bool(true),
        ]
    }
}

/// What is wanted of one derivation; the depth is bounded, so this may recurse.
private func json(
    of input: DerivationInput, at place: String, depth: Int
) throws(DerivationJSONFault) -> JSONValue {
    var dynamic: [String: JSONValue] = [:]
    for (name, inner) in input.dynamic {
        guard depth < derivationInputDepthLimit else { throw .tooDeep(place) }
        dynamic["\(name)"] = try json(of: inner, at: place, depth: depth + 1)
    }
    return .object([
        "outputs": .array(input.outputs.sorted().map { .string("\($0)") }),
        "dynamicOutputs": .object(dynamic),
    ])
}

extension ContentAddressMethod {
    /// The name in JSON: `recursive` is called `nar` there.
    var jsonName: String { self == .recursive ? "nar" : "\(self)" }

    init?(jsonName: String) {
        guard let method = Self.allCases.first(where: { $0.jsonName == jsonName }) else {
            return nil
        }
        self = method
    }
}

/// Reads the JSON form of a derivation, version 4.
///
/// Unknown members are refused. The paths of fixed outputs, which the form does not say, are computed.
public func derivation(
    from value: JSONValue, in store: StoreDirectory = .standard
) throws(DerivationJSONFault) -> Derivation {
    let top = DerivationJSONReader(place: "", value: value)
    let members = try top.members(
        required: ["args", "builder", "env", "inputs", "name", "outputs", "system", "version"],
        optional: ["structuredAttrs"])
    guard case .number("4")? = members["version"]?.value else {
        throw .version(members["version"]?.value.text ?? "none")
    }
    let name = try top.member("name").string()
    var environment: [ByteString: ByteString] = [:]
    for (key, entry) in try top.member("env").members() {
        environment[ByteString(key)] = ByteString(try entry.string())
    }
    if let attributes = members["structuredAttrs"] {
        guard case .object = attributes.value else { throw .wrongType(attributes.place) }
        environment[structuredAttributes] = ByteString(attributes.value.text)
    }
    var arguments: [ByteString] = []
    for entry in try top.member("args").items() { arguments.append(ByteString(try entry.string())) }
    var outputs: [OutputName: DerivationOutput] = [:]
    for (key, entry) in try top.member("outputs").members() {
        guard let output = OutputName([UInt8](key.utf8)) else { throw .unknown(entry.place) }
        outputs[output] = try entry.output(of: name, called: output, in: store)
    }
    guard !outputs.isEmpty else { throw .wrongType("outputs") }
    let inputs = try top.member("inputs")
    _ = try inputs.members(required: ["drvs", "srcs"], optional: [])
    var derivations: [StorePath: DerivationInput] = [:]
    for (key, entry) in try inputs.member("drvs").members() {
        derivations[try entry.storePath(key)] = try entry.input(depth: 0)
    }
    var sources: Set<StorePath> = []
    for entry in try inputs.member("srcs").items() {
        sources.insert(try entry.storePath(try entry.string()))
    }
    return Derivation(
        name: name, outputs: outputs, inputDerivations: derivations, inputSources: sources,
        system: ByteString(try top.member("system").string()),
        builder: ByteString(try top.member("builder").string()), arguments: arguments,
        environment: environment)
}

/// A JSON value and the place it was found at, for errors that say where.
private struct DerivationJSONReader {
    let place: String
    let value: JSONValue

    func members() throws(DerivationJSONFault) -> [(String, DerivationJSONReader)] {
        guard case .object(let members) = value else { throw .wrongType(place) }
        return members.map { ($0.key, DerivationJSONReader(place: below($0.key), value: $0.value)) }
    }

    /// The members, all of which must be known.
    func members(
        required: [String], optional: [String]
    ) throws(DerivationJSONFault) -> [String: DerivationJSONReader] {
        var found: [String: DerivationJSONReader] = [:]
        for (key, member) in try members() {
            guard required.contains(key) || optional.contains(key) else {
                throw .unknown(member.place)
            }
            found[key] = member
        }
        for key in required where found[key] == nil { throw .wrongType(below(key)) }
        return found
    }

    func member(_ key: String) throws(DerivationJSONFault) -> DerivationJSONReader {
        guard let member = value[key] else { throw .wrongType(below(key)) }
        return DerivationJSONReader(place: below(key), value: member)
    }

    func items() throws(DerivationJSONFault) -> [DerivationJSONReader] {
        guard case .array(let items) = value else { throw .wrongType(place) }
        return items.enumerated().map {
            DerivationJSONReader(place: below("\($0.offset)"), value: $0.element)
        }
    }

    func string() throws(DerivationJSONFault) -> String {
        guard case .string(let text) = value else { throw .wrongType(place) }
        return text
    }

    func storePath(_ text: String) throws(DerivationJSONFault) -> StorePath {
        do {
            return try StorePath(baseName: [UInt8](text.utf8))
        } catch {
            throw .storePath(place)
        }
    }

    func output(
        of derivation: String, called name: OutputName, in store: StoreDirectory
    ) throws(DerivationJSONFault) -> DerivationOutput {
        let members = try members(
            required: [], optional: ["path", "method", "hash", "hashAlgo", "impure"])
        if members.isEmpty { return .deferred }
        if let path = members["path"], members.count == 1 {
            return .inputAddressed(try path.storePath(try path.string()))
        }
        let methodName = try member("method").string()
        guard let method = ContentAddressMethod(jsonName: methodName) else {
            throw .unknown(below("method"))
        }
        if let hash = members["hash"] {
            guard members.count == 2 else { throw .unknown(place) }
            do {
                let address = ContentAddress(
                    method: method, digest: try Digest(parsing: try hash.string()))
                let object = outputObjectName(derivationName: derivation, output: name)
                let path = try StorePathMaker(store).path(name: object, address: address)
                return .fixed(path, address)
            } catch let fault as StorePathMakerFault {
                throw .path(fault)
            } catch {
                throw .wrongType(hash.place)
            }
        }
        let algorithmName = try member("hashAlgo").string()
        guard let algorithm = HashAlgorithm(name: algorithmName) else {
            throw .unknown(below("hashAlgo"))
        }
        switch members["impure"]?.value {
        case nil where members.count == 2: return .floating(method, algorithm)
        case .bool(true) where members.count == 3: return .impure(method, algorithm)
        default: throw .unknown(place)
        }
    }

    /// What is wanted of one derivation.
    ///
    /// The depth is bounded, so this may recurse.
    func input(depth: Int) throws(DerivationJSONFault) -> DerivationInput {
        _ = try members(required: ["outputs", "dynamicOutputs"], optional: [])
        var outputs: Set<OutputName> = []
        for entry in try member("outputs").items() {
            guard let name = OutputName([UInt8](try entry.string().utf8)) else {
                throw .unknown(entry.place)
            }
            outputs.insert(name)
        }
        var dynamic: [OutputName: DerivationInput] = [:]
        for (key, entry) in try member("dynamicOutputs").members() {
            guard let name = OutputName([UInt8](key.utf8)) else { throw .unknown(entry.place) }
            guard depth < derivationInputDepthLimit else { throw .tooDeep(place) }
            dynamic[name] = try entry.input(depth: depth + 1)
        }
        guard !outputs.isEmpty || !dynamic.isEmpty else { throw .nothingWanted(place) }
        return DerivationInput(outputs, dynamic: dynamic)
    }

    private func below(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }
}

extension DerivationJSONFault: CustomStringConvertible {
    /// One sentence that says what is wrong, and at which member.
    public var description: String {
        switch self {
        case .wrongType(let place): "the member '\(place)' is missing or has the wrong type"
        case .unknown(let place): "the member '\(place)' means nothing"
        case .storePath(let place): "'\(place)' is not a store path"
        case .notUnicode(let place): "'\(place)' is not UTF-8, and JSON can hold nothing else"
        case .version(let version): "the version is \(version), and only 4 is known"
        case .tooDeep(let place):
            "in '\(place)', outputs of outputs nest deeper than \(derivationInputDepthLimit)"
        case .nothingWanted(let place): "of '\(place)' no output is wanted"
        case .path(let fault): "\(fault)"
        }
    }
}
