public import StoreModel

/// Why the database refused something, or could not do it.
public enum StoreDatabaseError: Error, Hashable, Sendable {
    /// SQLite failed: its extended result code, and what it says.
    case sqlite(code: Int32, message: String)
    /// The database lacks a table or column of the schema.
    case schema(missing: String)
    /// A row holds something that no store wrote.
    case corrupt(String)
    /// The store directory is no text, which is what the database holds.
    case storeDirectory(StoreDirectory)
    /// The path is not valid.
    case notValid(StorePath)
    /// The object refers to one that is neither valid nor registered with it.
    case referenceNotValid(StorePath, reference: StorePath)
    /// These objects refer to one another in a circle.
    case cycle([StorePath])
    /// A valid object refers to the one that should become invalid.
    case stillReferenced(StorePath, by: StorePath)
    /// A value of this object cannot be written: which, and why.
    case value(StorePath, String)

    /// Whether the request was at fault, so that others in the same transaction may go on.
    var isRefusal: Bool {
        switch self {
        case .notValid, .referenceNotValid, .cycle, .stillReferenced, .value: true
        case .sqlite, .schema, .corrupt, .storeDirectory: false
        }
    }
}

extension StoreDatabaseError: CustomStringConvertible {
    /// One sentence that says what was refused.
    public var description: String {
        switch self {
        case .sqlite(let code, let message): "the store database failed: \(message) (code \(code))"
        case .schema(let missing):
            "the store database has no \(missing), so it is not one of schema 10"
        case .corrupt(let what): "the store database is damaged: \(what)"
        case .storeDirectory(let directory):
            "the store directory '\(ByteString(directory.bytes))' is not UTF-8"
        case .notValid(let path): "'\(path)' is not valid"
        case .referenceNotValid(let path, let reference):
            "'\(path)' refers to '\(reference)', which is not valid"
        case .cycle(let paths):
            "these objects refer to one another in a circle: "
                + paths.map(\.description).joined(separator: ", ")
        case .stillReferenced(let path, let referrer):
            "'\(path)' cannot become invalid, because '\(referrer)' refers to it"
        case .value(let path, let fault): "'\(path)' cannot be registered: \(fault)"
        }
    }
}
