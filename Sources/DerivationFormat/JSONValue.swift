/// A JSON value that prints as it was read: numbers keep their text, object keys are sorted.
public indirect enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// A number by its text, such as `1.5`.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The most arrays and objects that may lie inside one another.
    public static let depthLimit = 128

    /// The compact text: no white space, keys sorted bytewise.
    ///
    /// The depth is bounded by ``depthLimit`` for everything that was read, so this may recurse.
    public var text: String {
        var output = ""
        write(to: &output)
        return output
    }

    /// The member of an object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    private func write(to output: inout String) {
        switch self {
        case .null: output += "null"
        case .bool(let value): output += value ? "true" : "false"
        case .number(let text): output += text
        case .string(let text): Self.write(text, to: &output)
        case .array(let items):
            output += "["
            for (index, item) in items.enumerated() {
                if index > 0 { output += "," }
                item.write(to: &output)
            }
            output += "]"
        case .object(let members):
            output += "{"
            let keys = members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            for (index, key) in keys.enumerated() {
                if index > 0 { output += "," }
                Self.write(key, to: &output)
                output += ":"
                members[key]?.write(to: &output)
            }
            output += "}"
        }
    }

    private static func write(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\u{8}": output += "\\b"
            case "\u{c}": output += "\\f"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}

/// Why bytes are not JSON.
public enum JSONFault: Error, Hashable, Sendable {
    /// The byte at this offset does not fit.
    case malformed(at: Int)
    /// Values are nested deeper than ``JSONValue/depthLimit``, at this offset.
    case tooDeep(at: Int)
    /// A key stands twice in one object, the second time before this offset.
    case repeatedKey(String, at: Int)
}

extension JSONFault: CustomStringConvertible {
    /// What does not fit, and where.
    public var description: String {
        switch self {
        case .malformed(let offset): "not JSON at byte \(offset)"
        case .tooDeep(let offset):
            "more than \(JSONValue.depthLimit) values inside one another at byte \(offset)"
        case .repeatedKey(let key, let offset):
            "the key '\(key)' stands twice, before byte \(offset)"
        }
    }
}

extension JSONValue {
    /// Reads one JSON value (RFC 8259) that is all of `bytes`.
    ///
    /// - Throws: ``JSONFault`` with the offset of the first byte that does not fit.
    public init(parsing bytes: [UInt8]) throws(JSONFault) {
        var parser = JSONParser(bytes: bytes)
        self = try parser.document()
    }
}

/// Reads JSON with a stack of its own.
private struct JSONParser {
    /// An array or object that is not closed yet.
    ///
    /// Its parts are changed in place: taken out and put back, a long list would be copied for each item.
    private struct Open {
        var items: [JSONValue] = []
        var members: [String: JSONValue] = [:]
        /// The key that the next value belongs to; nothing in an array.
        var key: String?
    }

    let bytes: [UInt8]
    private var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONFault) -> JSONValue {
        var open: [Open] = []
        while true {
            skipSpace()
            var value: JSONValue
            switch peek {
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                guard open.count < JSONValue.depthLimit else { throw .tooDeep(at: offset) }
                let isArray = peek == UInt8(ascii: "[")
                offset += 1
                skipSpace()
                if peek == (isArray ? UInt8(ascii: "]") : UInt8(ascii: "}")) {
                    offset += 1
                    value = isArray ? .array([]) : .object([:])
                } else {
                    open.append(Open(key: isArray ? nil : try key(besides: [:])))
                    continue
                }
            default: value = try scalar()
            }
            // The value is whole: give it to what is open around it, which may be whole then too.
            while let last = open.indices.last {
                skipSpace()
                let hasMore = peek == UInt8(ascii: ",")
                if let key = open[last].key {
                    open[last].members[key] = value
                    if hasMore {
                        offset += 1
                        skipSpace()
                        open[last].key = try self.key(besides: open[last].members)
                        break
                    }
                    try expect("}")
                    value = .object(open.removeLast().members)
                } else {
                    open[last].items.append(value)
                    if hasMore {
                        offset += 1
                        break
                    }
                    try expect("]")
                    value = .array(open.removeLast().items)
                }
            }
            guard open.isEmpty else { continue }
            skipSpace()
            guard offset == bytes.count else { throw .malformed(at: offset) }
            return value
        }
    }

    /// A key and the colon behind it; the offset is right behind the colon afterwards.
    private mutating func key(besides members: [String: JSONValue]) throws(JSONFault) -> String {
        let key = try string()
        guard members[key] == nil else { throw .repeatedKey(key, at: offset) }
        skipSpace()
        try expect(":")
        return key
    }

    private mutating func scalar() throws(JSONFault) -> JSONValue {
        switch peek {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func number() throws(JSONFault) -> String {
        let start = offset
        if peek == UInt8(ascii: "-") { offset += 1 }
        if peek == UInt8(ascii: "0") { offset += 1 } else { try digits() }
        if peek == UInt8(ascii: ".") {
            offset += 1
            try digits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            offset += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func digits() throws(JSONFault) {
        let start = offset
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
        guard offset > start else { throw .malformed(at: offset) }
    }

    private mutating func string() throws(JSONFault) -> String {
        let start = offset
        try expect("\"")
        var text: [UInt8] = []
        while let byte = peek {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw .malformed(at: start)
                }
                return string
            case UInt8(ascii: "\\"): text += try escaped().utf8
            case 0..<0x20: throw .malformed(at: offset - 1)
            default: text.append(byte)
            }
        }
        throw .malformed(at: offset)
    }

    private mutating func escaped() throws(JSONFault) -> String {
        guard let byte = peek else { throw .malformed(at: offset) }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let start = offset
            var units = [try codeUnit()]
            if UTF16.isLeadSurrogate(units[0]) {
                try expect("\\u")
                units.append(try codeUnit())
            }
            guard let text = String(validating: units, as: UTF16.self) else {
                throw .malformed(at: start)
            }
            return text
        default: throw .malformed(at: offset - 1)
        }
    }

    private mutating func codeUnit() throws(JSONFault) -> UInt16 {
        guard bytes.count - offset >= 4 else { throw .malformed(at: bytes.count) }
        let digits = String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
        guard let unit = UInt16(digits, radix: 16), !digits.hasPrefix("+") else {
            throw .malformed(at: offset)
        }
        offset += 4
        return unit
    }

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d {
            offset += 1
        }
    }

    private mutating func expect(_ text: StaticString) throws(JSONFault) {
        guard
            bytes.count - offset >= text.utf8CodeUnitCount,
            text.withUTF8Buffer({ $0.elementsEqual(bytes[offset..<offset + $0.count]) })
        else { throw .malformed(at: offset) }
        offset += text.utf8CodeUnitCount
    }
}
