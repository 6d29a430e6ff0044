import Diagnostics
import TOMLKit

/// A value of a recipe file, out of the parser's hands.
indirect enum RecipeValue: Hashable, Sendable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    /// A list of strings, integers and booleans.
    case list([RecipeValue])
    /// A table, in the order of the file.
    case table([RecipeEntry])
    /// A kind of value that no key has, by TOML's name for it.
    case other(String)

    /// The kind of value, for messages.
    var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .boolean: "true or false"
        case .list: "a list"
        case .table: "a table"
        case .other(let name): name
        }
    }
}

/// A key of a table, where it stands, and its value.
struct RecipeEntry: Hashable, Sendable {
    var key: String
    var place: RecipePlace
    var value: RecipeValue
}

/// The text of one recipe file, parsed, with the place of every key.
struct RecipeDocument: Sendable {
    /// The longest file that is read, in bytes.
    static let sizeLimit = 4 << 20
    /// Tables of the schema nest this deep: `derivation.NAME.inputs.NAME.KEY`, and one more.
    private static let depthLimit = 6

    /// The file as messages call it.
    let file: String
    private let lines: [Substring]
    /// The keys of the file, in order.
    let top: [RecipeEntry]

    /// Parses a text; a syntax error is one message at its place.
    init(file: String, text: String) throws(RecipeError) {
        self.file = file
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        self.lines = lines
        func fault(_ line: Int, _ column: Int, _ message: String) -> RecipeError {
            Self.error(file, lines, RecipePlace(line: line, column: column), message)
        }
        // The parser's interface hands strings over as C strings: behind a NUL they would be cut off.
        for (index, line) in lines.enumerated()
        where line.utf8.contains(0) || line.contains("\\u0000") || line.contains("\\U00000000") {
            throw fault(index + 1, 1, "a NUL character is not allowed here")
        }
        let index = LineIndex(text)
        if let place = index.tooDeep {
            throw fault(
                place.line, place.column, "keys nest deeper than \(LineIndex.depthLimit)")
        }
        if let place = index.badHeader {
            throw fault(place.line, place.column, "the name of a table is expected here")
        }
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let failure as TOMLParseError {
            throw fault(
                failure.source.begin.line, failure.source.begin.column, failure.description)
        } catch {
            throw fault(1, 1, "the file cannot be read as TOML: \(error)")
        }
        // The nodes point into `table`, which must outlive the walk.
        top = withExtendedLifetime(table) {
            Self.entries(of: table, at: [], in: index, around: .start)
        }
    }

    /// What stands for a file that could not be parsed.
    static func empty(file: String) -> RecipeDocument { RecipeDocument(empty: file) }

    private init(empty file: String) {
        self.file = file
        lines = []
        top = []
    }

    /// A message about a place in this file.
    func error(
        _ place: RecipePlace, _ message: String, suggestion: String? = nil
    ) -> RecipeError {
        Self.error(file, lines, place, message, suggestion: suggestion)
    }

    private static func error(
        _ file: String, _ lines: [Substring], _ place: RecipePlace, _ message: String,
        suggestion: String? = nil
    ) -> RecipeError {
        RecipeError(
            file: file, line: place.line, column: max(place.column, 1), message: message,
            suggestion: suggestion,
            sourceLine: lines.indices.contains(place.line - 1) ? String(lines[place.line - 1]) : "")
    }

    /// The entries of a table; recursion ends at the depth limit.
    private static func entries(
        of table: TOMLTable, at path: [String], in index: LineIndex, around: RecipePlace
    ) -> [RecipeEntry] {
        var entries: [RecipeEntry] = []
        for key in table.keys {
            guard let node = table[key] else { continue }
            let path = path + [key]
            let place =
                index.positions[path].map { RecipePlace(line: $0.line, column: $0.column) }
                ?? around
            let value: RecipeValue
            if node.type == .table, let inner = node.table {
                value =
                    path.count < depthLimit
                    ? .table(Self.entries(of: inner, at: path, in: index, around: place))
                    : .other("a table inside of too many others")
            } else {
                value = Self.value(of: node)
            }
            entries.append(RecipeEntry(key: key, place: place, value: value))
        }
        return entries.sorted {
            ($0.place.line, $0.place.column, $0.key) < ($1.place.line, $1.place.column, $1.key)
        }
    }

    private static func value(of node: any TOMLValueConvertible) -> RecipeValue {
        if let scalar = scalar(node) { return scalar }
        switch node.type {
        case .array:
            guard let array = node.array else { return .other("an unreadable list") }
            var items: [RecipeValue] = []
            for index in 0..<array.count {
                guard let item = scalar(array[index]) else {
                    return .other("a list of other things than strings, integers and booleans")
                }
                items.append(item)
            }
            return .list(items)
        case .string, .int, .bool: return .other("an unreadable value")
        case .table: return .other("an unreadable table")
        case .double: return .other("a number with a fraction")
        case .date, .time, .dateTime: return .other("a date or time")
        }
    }

    private static func scalar(_ node: any TOMLValueConvertible) -> RecipeValue? {
        switch node.type {
        case .string: node.string.map(RecipeValue.string)
        case .int: node.int.map(RecipeValue.integer)
        case .bool: node.bool.map(RecipeValue.boolean)
        case .array, .table, .double, .date, .time, .dateTime: nil
        }
    }
}
