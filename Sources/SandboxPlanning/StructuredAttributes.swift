import DerivationFormat
import LaunchModel
import StoreModel

extension BuilderEnvironment {
    /// `.attrs.json` and `.attrs.sh`, and the two variables that say where they are.
    ///
    /// No variable of the derivation itself reaches the builder.
    mutating func addStructuredAttributes() throws(PlanningFault) {
        guard var members = attributes.structured else { return }
        var outputs: [String: JSONValue] = [:]
        for output in build.outputs {
            outputs["\(output.name)"] = .string("\(settings.store.path(of: output.path))")
        }
        members["outputs"] = .object(outputs)
        for (name, paths) in try attributes.exportedGraphs() {
            members["\(name)"] = try graphValue(of: paths)
        }
        add(".attrs.json", JSONValue.object(members).text, variable: "NIX_ATTRS_JSON_FILE")
        add(".attrs.sh", Self.shell(members), variable: "NIX_ATTRS_SH_FILE")
    }

    private mutating func add(_ name: String, _ contents: String, variable: ByteString) {
        files.append(.init(name: [UInt8](name.utf8), contents: [UInt8](contents.utf8)))
        variables[variable] = inBuildDirectory(ByteString(name))
    }

    /// The attributes as Bash declarations: scalars, lists of scalars and objects of scalars.
    ///
    /// A name that is no identifier, and a value that Bash cannot hold, is left out whole.
    private static func shell(_ members: [String: JSONValue]) -> String {
        var text = ""
        for key in members.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            guard isIdentifier(key), let value = members[key] else { continue }
            if let scalar = scalar(value) {
                text += "declare \(key)=\(scalar)\n"
            } else if case .array(let items) = value {
                let scalars = items.compactMap(scalar)
                guard scalars.count == items.count else { continue }
                text += "declare -a \(key)=(" + scalars.map { $0 + " " }.joined() + ")\n"
            } else if case .object(let entries) = value {
                let names = entries.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                let scalars = names.compactMap { name in
                    entries[name].flatMap(scalar).map { "[\(quoted(name))]=\($0) " }
                }
                guard scalars.count == names.count else { continue }
                text += "declare -A \(key)=(" + scalars.joined() + ")\n"
            }
        }
        return text
    }

    /// A scalar in Bash; nothing for a number with a fraction, and for lists and objects.
    private static func scalar(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): quoted(text)
        case .number(let text): Double(text).flatMap { Int32(exactly: $0) }.map { "\($0)" }
        case .null: "''"
        case .bool(let isTrue): isTrue ? "1" : ""
        case .array, .object: nil
        }
    }

    /// Single quotes, so that nothing in the text means anything to the shell.
    private static func quoted(_ text: String) -> String {
        "'"
            + text.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: #"'\''"#) + "'"
    }

    private static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}
