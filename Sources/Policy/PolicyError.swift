import Diagnostics

/// The text of one policy file, already read.
public struct PolicySource: Hashable, Sendable {
    /// The profile's name: the file's name without `.toml`.
    public var name: String
    /// The file as messages call it.
    public var file: String
    /// What the file says.
    public var text: String

    /// Puts a source together.
    public init(name: String, file: String, text: String) {
        self.name = name
        self.file = file
        self.text = text
    }
}

/// A place in a policy file.
public struct Origin: Hashable, Sendable, CustomStringConvertible {
    /// The file as messages call it.
    public var file: String
    /// The line, from one.
    public var line: Int
    /// The column, from one, in bytes.
    public var column: Int

    /// Names a place.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// The place as `file:line`.
    public var description: String { "\(file):\(line)" }
}

/// One mistake in a policy file.
public struct PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where it is.
    public var origin: Origin
    /// What is wrong.
    public var message: String
    /// What might have been meant.
    public var suggestion: String?
    /// The line of the file, for the caret.
    public var sourceLine: String

    /// Puts a mistake together.
    public init(origin: Origin, message: String, suggestion: String?, sourceLine: String) {
        self.origin = origin
        self.message = message
        self.suggestion = suggestion
        self.sourceLine = sourceLine
    }

    /// The file as messages call it.
    public var file: String { origin.file }
    /// The line, from one.
    public var line: Int { origin.line }
    /// The column, from one, in bytes.
    public var column: Int { origin.column }

    /// The message with its place, the source line and a caret.
    public var description: String {
        var text = "\(file):\(line):\(column): error: \(message)"
        if !sourceLine.isEmpty {
            text += "\n" + excerpt(of: sourceLine, line: line, column: column)
        }
        if let suggestion { text += "\n  \(suggestion)" }
        return text
    }
}

/// Every mistake that was found, in the order of files and lines.
public struct PolicyErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// The mistakes; never empty.
    public var errors: [PolicyError]

    /// Collects mistakes, each once.
    public init(_ errors: some Sequence<PolicyError>) {
        var seen: Set<PolicyError> = []
        self.errors = errors.filter { seen.insert($0).inserted }
            .sorted { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
    }

    /// All messages, one after the other.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
