import Diagnostics
import TOMLKit

/// A value of a policy file, out of the parser's hands.
public enum PolicyValue: Hashable, Sendable {
    /// Text.
    case string(String)
    /// A whole number.
    case integer(Int)
    /// True or false.
    case boolean(Bool)
    /// A list of texts.
    case strings([String])
    /// A table, whose keys are entries of their own.
    case table
    /// A kind of value that no key has, by TOML's name for it.
    case other(String)

    var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .boolean: "true or false"
        case .strings: "a list of strings"
        case .table: "a table"
        case .other(let name): name
        }
    }
}

/// One policy file as a flat list of paths and values.
struct PolicyDocument: Sendable {
    struct Entry: Hashable, Sendable {
        var path: [String]
        var value: PolicyValue
        var origin: Origin
    }

    let source: PolicySource
    let lines: [Substring]
    /// Every table and every value, tables before what is in them.
    private(set) var entries: [Entry] = []

    /// Parses a file; a syntax error is one message at its place.
    init(_ source: PolicySource) throws(PolicyError) {
        self.source = source
        lines = source.text.split(separator: "\n", omittingEmptySubsequences: false)
        // The parser's interface hands strings over as C strings: behind a NUL they would be cut off.
        for (index, line) in lines.enumerated()
        where line.utf8.contains(0) || line.contains("\\u0000") || line.contains("\\U00000000") {
            throw error(line: index + 1, column: 1, "a NUL character is not allowed here")
        }
        let index = LineIndex(source.text)
        if let place = index.tooDeep {
            throw error(
                line: place.line, column: place.column,
                "keys nest deeper than \(LineIndex.depthLimit)")
        }
        if let place = index.badHeader {
            throw error(
                line: place.line, column: place.column, "the name of a table is expected here")
        }
        let table: TOMLTable
        do {
            table = try TOMLTable(string: source.text)
        } catch let failure as TOMLParseError {
            throw error(
                line: failure.source.begin.line, column: failure.source.begin.column,
                failure.description)
        } catch {
            throw self.error(line: 1, column: 1, "the file cannot be read as TOML: \(error)")
        }
        // A work list instead of recursion. The nodes point into `table`, which must outlive the walk.
        withExtendedLifetime(table) {
            var pending: [(path: [String], table: TOMLTable)] = [([], table)]
            while let (path, table) = pending.popLast() {
                for key in table.keys {
                    guard let node = table[key] else { continue }
                    let child = path + [key]
                    let position = index.positions[child] ?? index.positions[path] ?? (1, 1)
                    let value = Self.value(of: node)
                    entries.append(
                        Entry(
                            path: child, value: value,
                            origin: Origin(
                                file: source.file, line: position.line, column: position.column)))
                    if case .table = value, let inner = node.table {
                        pending.append((child, inner))
                    }
                }
            }
        }
        entries.sort { ($0.origin.line, $0.origin.column) < ($1.origin.line, $1.origin.column) }
    }

    /// The value at a path.
    func entry(_ path: [String]) -> Entry? { entries.first { $0.path == path } }

    /// A message about a place in this file.
    func error(
        line: Int, column: Int, _ message: String, suggestion: String? = nil
    ) -> PolicyError {
        PolicyError(
            origin: Origin(file: source.file, line: line, column: max(column, 1)),
            message: message, suggestion: suggestion,
            sourceLine: lines.indices.contains(line - 1) ? String(lines[line - 1]) : "")
    }

    /// A message about an entry of this file.
    func error(_ entry: Entry, _ message: String, suggestion: String? = nil) -> PolicyError {
        error(
            line: entry.origin.line, column: entry.origin.column, message, suggestion: suggestion)
    }

    private static func value(of node: any TOMLValueConvertible) -> PolicyValue {
        switch node.type {
        case .string: return node.string.map(PolicyValue.string) ?? .other("an unreadable string")
        case .int: return node.int.map(PolicyValue.integer) ?? .other("an unreadable integer")
        case .bool: return node.bool.map(PolicyValue.boolean) ?? .other("an unreadable boolean")
        case .table: return .table
        case .array:
            guard let array = node.array else { return .other("an unreadable list") }
            var strings: [String] = []
            for index in 0..<array.count {
                guard let item = array[index].string else {
                    return .other("a list of other things")
                }
                strings.append(item)
            }
            return .strings(strings)
        case .double: return .other("a number with a fraction")
        case .date, .time, .dateTime: return .other("a date or time")
        }
    }
}
