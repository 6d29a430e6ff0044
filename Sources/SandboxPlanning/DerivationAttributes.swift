import DerivationFormat
public import StoreModel

/// The attributes of a derivation that change how it is built.
///
/// They are read from the environment, or from the structured attributes where there are some.
///
/// Source: `reference/nix-features.md` §2.
public struct DerivationAttributes: Hashable, Sendable {
    /// The JSON object of a derivation with structured attributes.
    let structured: [String: JSONValue]?
    private let environment: [ByteString: ByteString]

    /// Reads the attributes of `derivation`.
    public init(of derivation: Derivation) throws(PlanningFault) {
        environment = derivation.environment
        guard let text = environment["__json"] else {
            structured = nil
            return
        }
        do {
            guard case .object(let members) = try JSONValue(parsing: text.bytes) else {
                throw PlanningFault.structuredAttributes
            }
            structured = members
        } catch {
            throw .structuredAttributes
        }
    }

    /// Features that the machine must have.
    public func requiredSystemFeatures() throws(PlanningFault) -> Set<ByteString> {
        Set(try words("requiredSystemFeatures") ?? [])
    }

    /// Variables that a fixed-output derivation takes from the administrator's list.
    public func impureVariables() throws(PlanningFault) -> [ByteString] {
        try words("impureEnvVars") ?? []
    }

    /// Variables whose values go into files; structured attributes have none.
    public func variablesPassedAsFiles() throws(PlanningFault) -> Set<ByteString> {
        structured == nil ? Set(try words("passAsFile") ?? []) : []
    }

    /// Names of files or attributes, and the paths whose reference graphs belong there.
    public func exportedGraphs() throws(PlanningFault) -> [(name: ByteString, paths: [ByteString])]
    {
        guard let structured else {
            let words = try words("exportReferencesGraph") ?? []
            guard words.count % 2 == 0 else {
                throw .attribute("exportReferencesGraph", "has an odd number of words")
            }
            return stride(from: 0, to: words.count, by: 2).map { (words[$0], [words[$0 + 1]]) }
        }
        guard let graphs = structured["exportReferencesGraph"] else { return [] }
        guard case .object(let members) = graphs else {
            throw .attribute("exportReferencesGraph", "is not an object")
        }
        var exported: [(name: ByteString, paths: [ByteString])] = []
        for (name, value) in members {
            // Lists may lie in lists; the reader of the JSON bounded how deep.
            var paths: [ByteString] = []
            var waiting = [value]
            while let next = waiting.popLast() {
                switch next {
                case .string(let path): paths.append(ByteString(path))
                case .array(let items): waiting += items.reversed()
                case .null, .bool, .number, .object:
                    throw .attribute(
                        "exportReferencesGraph.\(name)", "is not a path or a list of paths")
                }
            }
            exported.append((ByteString(name), paths))
        }
        return exported.sorted { $0.name < $1.name }
    }

    /// The rules that the references and sizes of one output must keep.
    func rules(for output: OutputName) throws(PlanningFault) -> OutputRuleSet {
        guard let structured else {
            return OutputRuleSet(
                allowedReferences: try words("allowedReferences"),
                allowedRequisites: try words("allowedRequisites"),
                disallowedReferences: try words("disallowedReferences") ?? [],
                disallowedRequisites: try words("disallowedRequisites") ?? [], ignoresSelf: true)
        }
        guard let checks = structured["outputChecks"] else { return OutputRuleSet() }
        guard case .object = checks else { throw .attribute("outputChecks", "is not an object") }
        guard let rules = checks["\(output)"] else { return OutputRuleSet() }
        let place = "outputChecks.\(output)"
        guard case .object = rules else { throw .attribute(place, "is not an object") }
        return OutputRuleSet(
            allowedReferences: try Self.list(rules["allowedReferences"], place),
            allowedRequisites: try Self.list(rules["allowedRequisites"], place),
            disallowedReferences: try Self.list(rules["disallowedReferences"], place) ?? [],
            disallowedRequisites: try Self.list(rules["disallowedRequisites"], place) ?? [],
            maximumSize: try Self.size(rules["maxSize"], "\(place).maxSize"),
            maximumClosureSize: try Self.size(rules["maxClosureSize"], "\(place).maxClosureSize"))
    }

    /// Whether references of an output are not looked for: structured attributes only.
    public func discardsReferences(of output: OutputName) throws(PlanningFault) -> Bool {
        guard let value = structured?["unsafeDiscardReferences"] else { return false }
        guard case .object(let members) = value else {
            throw .attribute("unsafeDiscardReferences", "is not an object")
        }
        switch members["\(output)"] {
        case nil, .bool(false): return false
        case .bool(true): return true
        default: throw .attribute("unsafeDiscardReferences.\(output)", "is not true or false")
        }
    }

    /// The words of an attribute: separated by white space, or a JSON list of strings.
    private func words(_ name: String) throws(PlanningFault) -> [ByteString]? {
        if let structured { return try Self.list(structured[name], name) }
        guard let value = environment[ByteString(name)] else { return nil }
        let space: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d, 0x0b, 0x0c]
        return value.bytes.split { space.contains($0) }.map { ByteString([UInt8]($0)) }
    }

    private static func list(_ value: JSONValue?, _ place: String) throws(PlanningFault)
        -> [ByteString]?
    {
        guard let value else { return nil }
        guard case .array(let items) = value else { throw .attribute(place, "is not a list") }
        var words: [ByteString] = []
        for item in items {
            guard case .string(let word) = item else {
                throw .attribute(place, "is not a list of strings")
            }
            words.append(ByteString(word))
        }
        return words
    }

    private static func size(_ value: JSONValue?, _ place: String) throws(PlanningFault) -> UInt64?
    {
        guard let value else { return nil }
        guard case .number(let text) = value, let size = UInt64(text) else {
            throw .attribute(place, "is not a number of bytes")
        }
        return size
    }
}

/// The rules of one output, as they were written.
struct OutputRuleSet: Hashable, Sendable {
    /// Nothing means that everything is allowed; an empty list that nothing is.
    var allowedReferences: [ByteString]?
    var allowedRequisites: [ByteString]?
    var disallowedReferences: [ByteString] = []
    var disallowedRequisites: [ByteString] = []
    var maximumSize: UInt64?
    var maximumClosureSize: UInt64?
    /// Whether an output is not among its own requisites.
    var ignoresSelf = false
}
