/// What is told, in order, of the tree that an archive holds.
///
/// A file is `regular`, then its bytes in pieces, then `endOfFile`; a directory is `directory`, then
/// for each entry its name and its node, then `endOfDirectory`.
public protocol NARVisitor {
    /// What a visitor may fail with.
    associatedtype Failure: Error

    /// A regular file of `size` bytes begins.
    mutating func regular(isExecutable: Bool, size: UInt64) throws(Failure)
    /// The next bytes of the file; the buffer is only valid during the call.
    mutating func contents(_ bytes: UnsafeRawBufferPointer) throws(Failure)
    /// All bytes of the file were told.
    mutating func endOfFile() throws(Failure)
    /// A symbolic link to `target`: not empty, without NUL.
    mutating func symbolicLink(target: [UInt8]) throws(Failure)
    /// A directory begins.
    mutating func directory() throws(Failure)
    /// The next node is the entry `name` of the directory: one component, after the one before it.
    mutating func entry(name: [UInt8]) throws(Failure)
    /// All entries of the directory were told.
    mutating func endOfDirectory() throws(Failure)
}

/// Why reading an archive stopped.
public enum NARReadError<Failure: Error>: Error {
    /// The bytes are not an archive.
    case format(NARFault)
    /// The visitor could not go on.
    case visitor(Failure)
}
