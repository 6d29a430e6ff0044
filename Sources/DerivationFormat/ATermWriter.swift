import Hashing
public import StoreModel

/// The text form of `derivation`, as it stands in a `.drv` file.
///
/// `Derive([outputs],[input derivations],[input sources],"system","builder",[arguments],[environment])`
/// without white space; everything but the arguments is sorted bytewise. A derivation that wants
/// outputs of outputs is written as `DrvWithVersion("xp-dyn-drv",…)`.
///
/// Source: Nix manual, "Derivation" (store protocol), and `reference/nix-features.md` §14.
public func aterm(of derivation: Derivation, in store: StoreDirectory) -> [UInt8] {
    let inputs = derivation.inputDerivations
        .map { (key: store.path(of: $0.key).bytes, value: $0.value) }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    return ATermWriter.text(of: derivation, outputs: .stated, inputs: inputs, in: store)
}

/// Writes derivations, with the variations that hashing needs.
struct ATermWriter {
    /// Which paths stand in the outputs, and in the variables that are named after them.
    enum OutputPaths {
        /// Those that the derivation states.
        case stated
        /// None: the form from which a derivation's own output paths are computed.
        case masked
    }

    private var bytes: [UInt8] = []

    static func text(
        of derivation: Derivation, outputs: OutputPaths,
        inputs: [(key: [UInt8], value: DerivationInput)], in store: StoreDirectory
    ) -> [UInt8] {
        var writer = ATermWriter()
        let isDynamic = inputs.contains { !$0.value.dynamic.isEmpty }
        writer.add(isDynamic ? "DrvWithVersion(\"xp-dyn-drv\",[" : "Derive([")
        writer.addList(derivation.outputs.sorted { $0.key < $1.key }) { writer, output in
            let (statedPath, algorithm, hash) = output.value.fields(in: store)
            let path = outputs == .masked ? [] : statedPath
            writer.add("(")
            writer.addPlain(output.key.bytes)
            writer.add(",")
            writer.addPlain(path)
            writer.add(",")
            writer.addPlain([UInt8](algorithm.utf8))
            writer.add(",")
            writer.addPlain([UInt8](hash.utf8))
            writer.add(")")
        }
        writer.add("],[")
        writer.addList(inputs) { writer, input in
            writer.add("(")
            writer.addPlain(input.key)
            writer.add(",")
            writer.addInput(input.value)
            writer.add(")")
        }
        writer.add("],[")
        writer.addList(derivation.inputSources.sorted()) {
            $0.addPlain(store.path(of: $1).bytes)
        }
        writer.add("],")
        writer.addPlain(derivation.system.bytes)
        writer.add(",")
        writer.addEscaped(derivation.builder.bytes)
        writer.add(",[")
        writer.addList(derivation.arguments) { $0.addEscaped($1.bytes) }
        writer.add("],[")
        writer.addList(derivation.environment.sorted { $0.key < $1.key }) { writer, variable in
            let isOutput =
                OutputName(variable.key.bytes).map { derivation.outputs[$0] != nil } ?? false
            writer.add("(")
            writer.addEscaped(variable.key.bytes)
            writer.add(",")
            writer.addEscaped(isOutput && outputs == .masked ? [] : variable.value.bytes)
            writer.add(")")
        }
        writer.add("])")
        return writer.bytes
    }

    /// Writes what is wanted of one derivation.
    ///
    /// Wants of wants nest, so they wait on a stack.
    private mutating func addInput(_ input: DerivationInput) {
        enum Part {
            case input(DerivationInput)
            case text(String)
            case name(OutputName)
        }
        var parts: [Part] = [.input(input)]
        while let part = parts.popLast() {
            switch part {
            case .text(let text): add(text)
            case .name(let name): addPlain(name.bytes)
            case .input(let input):
                if !input.dynamic.isEmpty { add("(") }
                add("[")
                addList(input.outputs.sorted()) { $0.addPlain($1.bytes) }
                add("]")
                guard !input.dynamic.isEmpty else { continue }
                add(",[")
                parts.append(.text("])"))
                // Pushed in reverse: the last part that is pushed is written first.
                let entries = input.dynamic.sorted { $0.key < $1.key }
                for (index, entry) in entries.enumerated().reversed() {
                    parts += [
                        .text(")"), .input(entry.value), .text(","), .name(entry.key),
                        .text(index == 0 ? "(" : ",("),
                    ]
                }
            }
        }
    }

    private mutating func add(_ text: String) { bytes += text.utf8 }

    private mutating func addList<S: Sequence>(
        _ items: S, _ body: (inout ATermWriter, S.Element) -> Void
    ) {
        var isFirst = true
        for item in items {
            if !isFirst { add(",") }
            isFirst = false
            body(&self, item)
        }
    }

    /// A quoted string whose bytes stand as they are.
    private mutating func addPlain(_ text: [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        bytes += text
        bytes.append(UInt8(ascii: "\""))
    }

    /// A quoted string in which quotes, backslashes, newlines, returns and tabs are escaped.
    private mutating func addEscaped(_ text: [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case UInt8(ascii: "\r"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
            case UInt8(ascii: "\t"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
