// The keys of a profile as people see them: those that some file sets, and the defaults of the rest.
extension Profile {
    /// One key, its value as TOML and the place that set it.
    public struct ShownKey: Hashable, Sendable {
        /// The key with dots.
        public var key: String
        /// The value as TOML.
        public var value: String
        /// The place that set it; nothing for a default.
        public var origin: Origin?

        /// `file:line`, or `default`.
        public var place: String { origin?.description ?? "default" }
    }

    /// Every key with its value and its place, defaults included, sorted by key.
    public var shown: [ShownKey] {
        let own = effective.map { ShownKey(key: $0.key, value: $0.value, origin: $0.origin) }
        let set = Set(effective.map(\.key))
        let rest = Self.defaults.filter { !set.contains($0.key) }.map {
            ShownKey(key: $0.key, value: $0.value.text, origin: nil)
        }
        return (own + rest).sorted { $0.key < $1.key }
    }

    /// The value of a key, or its default; nothing for a key that has neither.
    func value(of key: String) -> PolicyValue? {
        effective.first { $0.key == key }?.parsed ?? Self.defaults[key]
    }

    /// The values of keys that no file needs to set.
    static let defaults: [String: PolicyValue] = {
        var defaults: [String: PolicyValue] = [:]
        for device in ["null", "zero", "full", "random", "urandom", "tty", "kvm"] {
            defaults["devices.\(device)"] = .boolean(false)
        }
        for limit in [
            "open_files", "core", "file_size", "processes", "wall_time", "silent_time", "log_size",
        ] { defaults["limits.\(limit)"] = .string("unlimited") }
        return defaults
    }()

    /// The names of the tables below a key that are not taken away, with what is in each.
    func tables(below prefix: String) -> [String: [String: PolicyValue]] {
        var tables: [String: [String: PolicyValue]] = [:]
        for key in effective where key.key.hasPrefix(prefix + ".") {
            let rest = key.key.dropFirst(prefix.count + 1)
            guard let dot = rest.firstIndex(of: ".") else { continue }
            tables[String(rest[..<dot]), default: [:]][String(rest[rest.index(after: dot)...])] =
                key.parsed
        }
        return tables.filter { $0.value["enabled"] != .boolean(false) }
    }
}

extension PolicyValue {
    /// The value as TOML.
    var text: String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .integer(let number): String(number)
        case .boolean(let flag): String(flag)
        case .strings(let texts): "[\(texts.map(Self.quoted).joined(separator: ", "))]"
        case .table: "{…}"
        case .other(let name): name
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\u{0}"..<" ", "\u{7f}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
