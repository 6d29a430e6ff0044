public import StoreModel

/// Why bytes are not the text form of a derivation.
public enum ATermFault: Error, Hashable, Sendable {
    /// At this offset the form asks for something else.
    case expected(String, at: Int)
    /// The text ends at this offset, in the middle of the form.
    case truncated(at: Int)
    /// The store path in the string at this offset is not one.
    case storePath(StorePathFault, at: Int)
    /// The string at this offset is not what its place needs.
    case malformed(String, at: Int)
    /// The text is longer than ``derivationSizeLimit``.
    case tooLarge(Int)
    /// At this offset, wants of wants nest deeper than ``derivationInputDepthLimit``.
    case tooDeep(at: Int)
    /// The text means a derivation, but from this offset on that would be written otherwise.
    case notCanonical(at: Int)
}

/// The longest text form that is read, in bytes.
public let derivationSizeLimit = 64 << 20

/// How deep wants of wants may nest, in the text form and in JSON.
///
/// Such values are freed by recursion, so a limit is what keeps a hostile text from ending the process;
/// 32 is far beyond what anybody means and fits twice over into what ``JSONValue`` nests.
public let derivationInputDepthLimit = 32

/// Reads the text form of a derivation.
///
/// Only the canonical form is accepted: what ``aterm(of:in:)`` writes, byte for byte.
///
/// - Parameters:
///   - bytes: The whole text.
///   - name: The name of the derivation: its file's name in the store, without `.drv`.
///   - store: The directory that its paths are in.
/// - Returns: The derivation.
/// - Throws: ``ATermFault`` with the offset of the first byte that does not fit.
public func parseDerivation(
    _ bytes: [UInt8], name: String, in store: StoreDirectory = .standard
) throws(ATermFault) -> Derivation {
    guard bytes.count <= derivationSizeLimit else { throw .tooLarge(bytes.count) }
    var parser = ATermParser(bytes: bytes, store: store)
    let derivation = try parser.derivation(name: name)
    let canonical = aterm(of: derivation, in: store)
    guard canonical == bytes else {
        let same = zip(canonical, bytes).prefix { $0 == $1 }.count
        throw .notCanonical(at: same)
    }
    return derivation
}

/// Reads the grammar; the caller compares the result's own text with the input, which catches order,
/// repetition and needless escapes in one place.
private struct ATermParser {
    let bytes: [UInt8]
    let store: StoreDirectory
    var offset = 0

    init(bytes: [UInt8], store: StoreDirectory) {
        self.bytes = bytes
        self.store = store
    }

    mutating func derivation(name: String) throws(ATermFault) -> Derivation {
        if nextIs("DrvWithVersion(\"xp-dyn-drv\",") {
            try expect("DrvWithVersion(\"xp-dyn-drv\",")
        } else {
            try expect("Derive(")
        }
        var outputs: [OutputName: DerivationOutput] = [:]
        try list { (parser) throws(ATermFault) in
            let (name, output) = try parser.output()
            outputs[name] = output
        }
        guard !outputs.isEmpty else {
            throw .malformed("a derivation has at least one output", at: offset)
        }
        try expect(",")
        var inputs: [StorePath: DerivationInput] = [:]
        try list { (parser) throws(ATermFault) in
            try parser.expect("(")
            let path = try parser.storePath()
            try parser.expect(",")
            inputs[path] = try parser.input()
            try parser.expect(")")
        }
        try expect(",")
        var sources: Set<StorePath> = []
        try list { (parser) throws(ATermFault) in sources.insert(try parser.storePath()) }
        try expect(",")
        let system = ByteString(try string())
        try expect(",")
        let builder = ByteString(try string())
        try expect(",")
        var arguments: [ByteString] = []
        try list { (parser) throws(ATermFault) in arguments.append(ByteString(try parser.string()))
        }
        try expect(",")
        var environment: [ByteString: ByteString] = [:]
        try list { (parser) throws(ATermFault) in
            try parser.expect("(")
            let key = ByteString(try parser.string())
            try parser.expect(",")
            environment[key] = ByteString(try parser.string())
            try parser.expect(")")
        }
        try expect(")")
        guard offset == bytes.count else { throw .expected("the end", at: offset) }
        return Derivation(
            name: name, outputs: outputs, inputDerivations: inputs, inputSources: sources,
            system: system, builder: builder, arguments: arguments, environment: environment)
    }

    /// One output: its name, and what path, algorithm and hash together mean.
    private mutating func output() throws(ATermFault) -> (OutputName, DerivationOutput) {
        try expect("(")
        let name = try outputName()
        try expect(",")
        let pathAt = offset
        let path = try string()
        try expect(",")
        let algorithmAt = offset
        let algorithm = String(decoding: try string(), as: UTF8.self)
        try expect(",")
        let hashAt = offset
        let hash = String(decoding: try string(), as: UTF8.self)
        try expect(")")
        do {
            return (
                name,
                try DerivationOutput(path: path, algorithm: algorithm, hash: hash, in: store)
            )
        } catch {
            switch error {
            case .path(let fault): throw .storePath(fault, at: pathAt)
            case .pathMissing: throw .malformed("\(error)", at: pathAt)
            case .algorithm: throw .malformed("\(error)", at: algorithmAt)
            case .algorithmMissing, .hash: throw .malformed("\(error)", at: hashAt)
            }
        }
    }

    /// What is wanted of one derivation.
    ///
    /// Wants of wants nest, so they wait on a stack; a want of nothing at all is refused, as Nix does.
    private mutating func input() throws(ATermFault) -> DerivationInput {
        var waiting: [(input: DerivationInput, name: OutputName)] = []
        while true {
            var value: DerivationInput
            if nextIs("(") {
                guard waiting.count < derivationInputDepthLimit else { throw .tooDeep(at: offset) }
                try expect("(")
                value = DerivationInput(try outputNames())
                try expect(",[(")
                waiting.append((value, try outputName()))
                try expect(",")
                continue
            }
            let start = offset
            value = DerivationInput(try outputNames())
            guard !value.outputs.isEmpty else {
                throw .malformed("an input of which no output is wanted", at: start)
            }
            // The value is whole: give it to the one that waits for it, which may be whole then too.
            while var (outer, name) = waiting.popLast() {
                try expect(")")
                guard outer.dynamic[name] == nil else {
                    throw .malformed("a repeated output", at: offset)
                }
                outer.dynamic[name] = value
                if nextIs(",") {
                    try expect(",(")
                    name = try outputName()
                    try expect(",")
                    waiting.append((outer, name))
                    break
                }
                try expect("])")
                value = outer
                if waiting.isEmpty { return value }
            }
            if waiting.isEmpty { return value }
        }
    }

    private mutating func outputNames() throws(ATermFault) -> Set<OutputName> {
        var names: Set<OutputName> = []
        try list { (parser) throws(ATermFault) in names.insert(try parser.outputName()) }
        return names
    }

    private mutating func outputName() throws(ATermFault) -> OutputName {
        let start = offset
        guard let name = OutputName(try string()) else {
            throw .malformed("not an output name", at: start)
        }
        return name
    }

    private mutating func storePath() throws(ATermFault) -> StorePath {
        let start = offset
        return try storePath(try string(), at: start)
    }

    private func storePath(_ path: [UInt8], at start: Int) throws(ATermFault) -> StorePath {
        do {
            return try store.parse(path)
        } catch {
            throw .storePath(error, at: start)
        }
    }

    private mutating func list(_ item: (inout ATermParser) throws(ATermFault) -> Void)
        throws(ATermFault)
    {
        try expect("[")
        if !nextIs("]") {
            try item(&self)
            while nextIs(",") {
                offset += 1
                try item(&self)
            }
        }
        try expect("]")
    }

    private mutating func string() throws(ATermFault) -> [UInt8] {
        try expect("\"")
        var text: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"):
                guard offset < bytes.count else { throw .truncated(at: offset) }
                let escaped = bytes[offset]
                offset += 1
                switch escaped {
                case UInt8(ascii: "n"): text.append(UInt8(ascii: "\n"))
                case UInt8(ascii: "r"): text.append(UInt8(ascii: "\r"))
                case UInt8(ascii: "t"): text.append(UInt8(ascii: "\t"))
                default: text.append(escaped)
                }
            default: text.append(byte)
            }
        }
        throw .truncated(at: offset)
    }

    private func nextIs(_ text: StaticString) -> Bool {
        guard bytes.count - offset >= text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { $0.elementsEqual(bytes[offset..<offset + $0.count]) }
    }

    private mutating func expect(_ text: StaticString) throws(ATermFault) {
        guard nextIs(text) else {
            if bytes.count - offset < text.utf8CodeUnitCount { throw .truncated(at: bytes.count) }
            throw .expected("\(text)", at: offset)
        }
        offset += text.utf8CodeUnitCount
    }
}

extension ATermFault: CustomStringConvertible {
    /// One sentence that says what is wrong, and at which byte.
    public var description: String {
        switch self {
        case .expected(let what, let offset): "expected '\(what)' at byte \(offset)"
        case .truncated(let offset): "the text ends too early, at byte \(offset)"
        case .storePath(let fault, let offset): "\(fault) at byte \(offset)"
        case .malformed(let what, let offset): "\(what), at byte \(offset)"
        case .tooLarge(let count):
            "\(count) bytes are more than the limit of \(derivationSizeLimit)"
        case .tooDeep(let offset):
            "outputs of outputs nest deeper than \(derivationInputDepthLimit), at byte \(offset)"
        case .notCanonical(let offset): "not the canonical form, from byte \(offset) on"
        }
    }
}
