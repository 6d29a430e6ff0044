/// Where every table header and every key of a TOML text stands.
///
/// The TOML parser gives values without positions. This scanner is only run over texts that the parser has
/// accepted; on anything else it stops early, and positions are missing but never wrong values.
public struct LineIndex: Sendable {
    /// A line and a column, both from one.
    public typealias Position = (line: Int, column: Int)

    /// The first place that mentions a path.
    public private(set) var positions: [[String]: Position] = [:]
    /// Where a key nests deeper than ``depthLimit``, if one does; the scan ends there.
    ///
    /// Parsers build and free tables by recursion, so texts of strangers are scanned before they are parsed.
    public private(set) var tooDeep: Position?
    /// Where the header of a table has something else than a name, if one does; the scan ends there.
    ///
    /// The parser's only answer to that is to trap.
    public private(set) var badHeader: Position?
    /// How many names a key may have, those of the tables around it included.
    public static let depthLimit = 32
    private let bytes: [UInt8]
    private var offset = 0
    private var line = 1
    private var lineStart = 0

    /// Scans a text.
    public init(_ text: String) {
        bytes = Array(text.utf8)
        var header: [String] = []
        while true {
            skipBlank(newlines: true)
            guard let byte = peek else { return }
            let start = position
            if byte == UInt8(ascii: "[") {
                guard skipBrackets() else { return }
                guard let path = readKeyPath() else { return }
                header = path
                record(path, at: start)
                skip { $0 != UInt8(ascii: "\n") }
            } else {
                guard let path = readAssignment(below: header) else { return }
                skipValue(at: path)
            }
        }
    }

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    private var position: Position { (line, offset - lineStart + 1) }

    private mutating func advance() {
        if bytes[offset] == UInt8(ascii: "\n") {
            line += 1
            lineStart = offset + 1
        }
        offset += 1
    }

    private mutating func skip(while predicate: (UInt8) -> Bool) {
        while let byte = peek, predicate(byte) { advance() }
    }

    /// Goes to the name in a header; false if there is none.
    private mutating func skipBrackets() -> Bool {
        advance()
        if peek == UInt8(ascii: "[") { advance() }
        skipBlank(newlines: false)
        guard let byte = peek else { return false }
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "\""), UInt8(ascii: "'"):
            return true
        default:
            badHeader = position
            return false
        }
    }

    private mutating func skipBlank(newlines: Bool) {
        while let byte = peek {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): advance()
            case UInt8(ascii: "\n") where newlines: advance()
            case UInt8(ascii: "#"): skip { $0 != UInt8(ascii: "\n") }
            default: return
            }
            if byte == UInt8(ascii: "#") && !newlines { return }
        }
    }

    private mutating func record(_ path: [String], at position: Position) {
        // A dotted key names every table on its way.
        for count in 1...path.count where positions[Array(path.prefix(count))] == nil {
            positions[Array(path.prefix(count))] = position
        }
    }

    /// Reads `a."b".c`, records it, and steps over the equals sign.
    private mutating func readAssignment(below parent: [String]) -> [String]? {
        skipBlank(newlines: false)
        let start = position
        guard let key = readKeyPath() else { return nil }
        guard parent.count + key.count <= Self.depthLimit else {
            tooDeep = start
            return nil
        }
        record(parent + key, at: start)
        skipBlank(newlines: false)
        guard peek == UInt8(ascii: "=") else { return nil }
        advance()
        return parent + key
    }

    private mutating func readKeyPath() -> [String]? {
        var path: [String] = []
        while true {
            guard path.count < Self.depthLimit else {
                tooDeep = position
                return nil
            }
            skipBlank(newlines: false)
            guard let byte = peek else { return nil }
            let start = offset
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                skipString()
                guard offset - start >= 2 else { return nil }
                path.append(String(decoding: bytes[start + 1..<offset - 1], as: UTF8.self))
            } else {
                skip { Self.isBare($0) }
                guard offset > start else { return nil }
                path.append(String(decoding: bytes[start..<offset], as: UTF8.self))
            }
            skipBlank(newlines: false)
            guard peek == UInt8(ascii: ".") else { return path }
            advance()
        }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Steps over a string of any of TOML's four kinds.
    private mutating func skipString() {
        guard let quote = peek else { return }
        let isLong =
            offset + 2 < bytes.count && bytes[offset + 1] == quote && bytes[offset + 2] == quote
        let width = isLong ? 3 : 1
        for _ in 0..<width { advance() }
        var run = 0
        while let byte = peek {
            advance()
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                run = 0
                if peek != nil { advance() }
            } else if byte == quote {
                run += 1
                if run == width {
                    // A long string may end in up to two quotes of its own.
                    var extra = 0
                    while isLong, extra < 2, peek == quote {
                        advance()
                        extra += 1
                    }
                    return
                }
            } else {
                run = 0
            }
        }
    }

    /// Steps over one value and records the keys of inline tables in it.
    private mutating func skipValue(at path: [String]) {
        // What is open around the current place: an array (nil) or an inline table and its path.
        var open: [[String]?] = []
        var current = path
        while true {
            skipBlank(newlines: !open.isEmpty)
            guard let byte = peek else { return }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString()
            case UInt8(ascii: "["):
                advance()
                open.append(nil)
                continue
            case UInt8(ascii: "{"):
                advance()
                open.append(current)
                skipBlank(newlines: true)
                if peek != UInt8(ascii: "}") {
                    guard let key = readAssignment(below: current) else { return }
                    current = key
                    continue
                }
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"): break
            default:
                let start = offset
                skip { ![0x2C, 0x5D, 0x7D, 0x23, 0x0A].contains($0) }
                if offset == start { return }
            }
            // A value has ended: close what ends here, or go to the next item.
            while let top = open.last {
                skipBlank(newlines: true)
                guard let byte = peek else { return }
                if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") {
                    advance()
                    open.removeLast()
                    continue
                }
                guard byte == UInt8(ascii: ",") else { return }
                advance()
                if let table = top {
                    guard let key = readAssignment(below: table) else { return }
                    current = key
                }
                break
            }
            if open.isEmpty { return }
        }
    }
}
