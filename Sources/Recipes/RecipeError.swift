import Diagnostics

/// A place in a recipe file.
struct RecipePlace: Hashable, Sendable {
    /// The line, from one.
    var line: Int
    /// The column, from one, in bytes.
    var column: Int

    static let start = RecipePlace(line: 1, column: 1)
}

/// One mistake in a recipe file.
public struct RecipeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file as messages call it.
    public var file: String
    /// The line, from one; zero if the file could not be read.
    public var line: Int
    /// The column, from one, in bytes; zero if the file could not be read.
    public var column: Int
    /// What is wrong.
    public var message: String
    /// What might have been meant, or what to do.
    public var suggestion: String?
    /// The line of the file, for the caret; empty if the file could not be read.
    public var sourceLine: String

    /// The message with its place, the source line and a caret.
    public var description: String {
        guard line > 0 else { return "\(file): error: \(message)" }
        var text = "\(file):\(line):\(column): error: \(message)"
        if !sourceLine.isEmpty {
            text += "\n" + excerpt(of: sourceLine, line: line, column: column)
        }
        if let suggestion { text += "\n  \(suggestion)" }
        return text
    }
}

/// Every mistake that was found, in the order of files and lines.
public struct RecipeErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// The mistakes; never empty.
    public var errors: [RecipeError]

    /// Collects mistakes, each once.
    init(_ errors: some Sequence<RecipeError>) {
        var seen: Set<RecipeError> = []
        self.errors = errors.filter { seen.insert($0).inserted }
            .sorted { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
    }

    /// All messages, one after the other.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
