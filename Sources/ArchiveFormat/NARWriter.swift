/// Writes the framing of a Nix Archive; the caller adds the bytes of files in between.
///
/// The calls follow the tree as ``NARVisitor`` is told it; entries must come in bytewise order.
public struct NARWriter: Sendable {
    /// What was written and not taken yet.
    public private(set) var bytes: [UInt8] = []
    /// How many directories are open.
    private var depth = 0
    private var sizeOfFile: UInt64 = 0

    /// Starts an archive.
    public init() { add("nix-archive-1") }

    /// Takes what was written, leaving nothing.
    public mutating func take() -> [UInt8] {
        let taken = bytes
        bytes.removeAll(keepingCapacity: true)
        return taken
    }

    /// Begins a regular file; exactly `size` bytes follow, then ``endFile()``.
    public mutating func beginFile(isExecutable: Bool, size: UInt64) {
        for tag in ["(", "type", "regular"] { add(tag) }
        if isExecutable {
            add("executable")
            add("")
        }
        add("contents")
        add(length: size)
        sizeOfFile = size
    }

    /// Ends a regular file whose bytes were all added.
    public mutating func endFile() {
        bytes += [UInt8](repeating: 0, count: Int((8 - sizeOfFile % 8) % 8))
        endNode()
    }

    /// Adds bytes of the file that was begun, when they do not go elsewhere.
    public mutating func contents(_ piece: [UInt8]) { bytes += piece }

    /// Adds a symbolic link.
    public mutating func symbolicLink(target: [UInt8]) {
        for tag in ["(", "type", "symlink", "target"] { add(tag) }
        add(target)
        endNode()
    }

    /// Begins a directory.
    public mutating func beginDirectory() {
        for tag in ["(", "type", "directory"] { add(tag) }
        depth += 1
    }

    /// Begins an entry of the directory; its node follows.
    public mutating func entry(name: [UInt8]) {
        for tag in ["entry", "(", "name"] { add(tag) }
        add(name)
        add("node")
    }

    /// Ends the directory.
    public mutating func endDirectory() {
        precondition(depth > 0, "no directory is open")
        depth -= 1
        endNode()
    }

    /// Ends a node, and the entry that it is if it lies in a directory.
    private mutating func endNode() {
        add(")")
        if depth > 0 { add(")") }
    }

    private mutating func add(_ text: String) { add([UInt8](text.utf8)) }

    private mutating func add(_ text: [UInt8]) {
        add(length: UInt64(text.count))
        bytes += text
        bytes += [UInt8](repeating: 0, count: (8 - text.count % 8) % 8)
    }

    private mutating func add(length: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }
}
