/// Reads a Nix Archive that arrives in pieces of any size.
///
/// Only the one canonical form of a tree is accepted: entries strictly in order, zeros as padding,
/// nothing that could be left out. The reader keeps one name a directory level and never more than one
/// short string; file contents pass through.
///
/// Source: Nix manual, "Nix Archive (NAR) format".
public struct NARReader {
    /// What the grammar has next.
    private enum State {
        case magic, open, typeKey, type
        case regularField, executableValue, contentsKey
        case contents
        case targetKey, target
        case directoryField, entryOpen, nameKey, name, nodeKey, entryClose
        case close
        case finished
    }

    private let limits: NARLimits
    private var state = State.magic
    private var isExecutable = false
    /// The last name of every directory that is open.
    private var names: [[UInt8]] = []

    /// Bytes of the archive that were read.
    public private(set) var offset: UInt64 = 0
    /// The string that is being read: its length and what is there of it, padding included.
    private var partial: [UInt8] = []
    private var lengthIsKnown = false
    private var length: UInt64 = 0
    /// Bytes of file contents, and of the padding behind them, that are still to come.
    private var contentsLeft: UInt64 = 0
    private var paddingLeft: UInt64 = 0

    /// Reads from the start of an archive.
    public init(limits: NARLimits = NARLimits()) { self.limits = limits }

    /// Whether the archive is complete; more bytes would be an error.
    public var isFinished: Bool { state == .finished }

    /// Checks that the archive is complete.
    public func finish() throws(NARFault) {
        guard isFinished else { throw .truncated(at: offset) }
    }

    /// Reads the next bytes and tells `visitor` what they hold.
    ///
    /// - Returns: How many bytes belong to the archive; less than `bytes.count` only when it is finished.
    public mutating func feed<V: NARVisitor>(
        _ bytes: UnsafeRawBufferPointer, to visitor: inout V
    ) throws(NARReadError<V.Failure>) -> Int {
        var rest = bytes[...]
        while !rest.isEmpty, state != .finished {
            if state == .contents, lengthIsKnown {
                try readContents(&rest, visitor: &visitor)
                continue
            }
            let news: News
            do {
                news = try advance(&rest)
            } catch {
                throw .format(error)
            }
            do {
                try tell(news, to: &visitor)
            } catch {
                throw .visitor(error)
            }
        }
        return bytes.count - rest.count
    }

    /// What a string that was read means to the visitor.
    private enum News {
        case nothing
        case regular
        case symbolicLink([UInt8])
        case directory
        case entry([UInt8])
        case endOfDirectory
    }

    private mutating func tell<V: NARVisitor>(_ news: News, to visitor: inout V) throws(V.Failure) {
        switch news {
        case .nothing: break
        case .regular:
            try visitor.regular(isExecutable: isExecutable, size: contentsLeft)
            // An empty file has no bytes that would end it.
            if contentsLeft == 0 { try endContents(visitor: &visitor) }
        case .symbolicLink(let target): try visitor.symbolicLink(target: target)
        case .directory: try visitor.directory()
        case .entry(let name): try visitor.entry(name: name)
        case .endOfDirectory: try visitor.endOfDirectory()
        }
    }

    /// Reads what can be read of the next string.
    private mutating func advance(
        _ rest: inout Slice<UnsafeRawBufferPointer>
    ) throws(NARFault) -> News {
        if let text = try readString(&rest) { return try accept(text) }
        return state == .contents && lengthIsKnown ? .regular : .nothing
    }

    /// The longest string that may stand here: tags of the grammar are short.
    private var lengthLimit: UInt64 {
        switch state {
        case .name: NARLimits.nameLength
        case .target: NARLimits.targetLength
        case .contents: limits.fileSize
        default: 32
        }
    }

    /// The string that is complete with these bytes, or nothing if more are needed.
    ///
    /// File contents are no string: once their length is known, ``readContents(_:visitor:)`` goes on.
    private mutating func readString(
        _ rest: inout Slice<UnsafeRawBufferPointer>
    ) throws(NARFault) -> [UInt8]? {
        if !lengthIsKnown {
            take(8 - partial.count, from: &rest)
            guard partial.count == 8 else { return nil }
            length = partial.reversed().reduce(0) { $0 << 8 | UInt64($1) }
            guard length <= lengthLimit else {
                throw .tooLong(length, at: offset - 8, limit: lengthLimit)
            }
            partial = []
            lengthIsKnown = true
            if state == .contents {
                contentsLeft = length
                paddingLeft = (8 - length % 8) % 8
                return nil
            }
        }
        let padded = Int(length + 7) & ~7
        take(padded - partial.count, from: &rest)
        guard partial.count == padded else { return nil }
        if let bad = partial[Int(length)...].firstIndex(where: { $0 != 0 }) {
            throw .padding(at: offset - UInt64(padded - bad))
        }
        let text = [UInt8](partial[..<Int(length)])
        partial = []
        lengthIsKnown = false
        return text
    }

    private mutating func take(_ wanted: Int, from rest: inout Slice<UnsafeRawBufferPointer>) {
        let piece = rest.prefix(wanted)
        partial += piece
        offset += UInt64(piece.count)
        rest = rest.dropFirst(piece.count)
    }

    private mutating func readContents<V: NARVisitor>(
        _ rest: inout Slice<UnsafeRawBufferPointer>, visitor: inout V
    ) throws(NARReadError<V.Failure>) {
        if contentsLeft > 0 {
            let piece = rest.prefix(Int(min(contentsLeft, UInt64(rest.count))))
            offset += UInt64(piece.count)
            contentsLeft -= UInt64(piece.count)
            rest = rest.dropFirst(piece.count)
            do {
                try visitor.contents(UnsafeRawBufferPointer(rebasing: piece))
            } catch {
                throw .visitor(error)
            }
        }
        while contentsLeft == 0, paddingLeft > 0, let byte = rest.first {
            guard byte == 0 else { throw .format(.padding(at: offset)) }
            paddingLeft -= 1
            offset += 1
            rest = rest.dropFirst()
        }
        guard contentsLeft == 0, paddingLeft == 0 else { return }
        do {
            try endContents(visitor: &visitor)
        } catch {
            throw .visitor(error)
        }
    }

    private mutating func endContents<V: NARVisitor>(visitor: inout V) throws(V.Failure) {
        lengthIsKnown = false
        state = .close
        try visitor.endOfFile()
    }

    /// Where the string began that was just read; for errors.
    private func start(of text: [UInt8]) -> UInt64 { offset - UInt64((text.count + 7) & ~7) - 8 }

    private mutating func accept(_ text: [UInt8]) throws(NARFault) -> News {
        switch state {
        case .magic: try expect("nix-archive-1", text, then: .open)
        case .open: try expect("(", text, then: .typeKey)
        case .typeKey: try expect("type", text, then: .type)
        case .type: return try acceptType(text)
        case .regularField:
            isExecutable = text.elementsEqual("executable".utf8)
            if isExecutable {
                state = .executableValue
            } else {
                try expect("contents", text, then: .contents)
            }
        case .executableValue: try expect("", text, then: .contentsKey)
        case .contentsKey: try expect("contents", text, then: .contents)
        case .targetKey: try expect("target", text, then: .target)
        case .target:
            guard !text.isEmpty, !text.contains(0) else { throw .target(at: start(of: text)) }
            state = .close
            return .symbolicLink(text)
        case .directoryField:
            guard text.elementsEqual(")".utf8) else {
                try expect("entry", text, then: .entryOpen)
                break
            }
            names.removeLast()
            state = names.isEmpty ? .finished : .entryClose
            return .endOfDirectory
        case .entryOpen: try expect("(", text, then: .nameKey)
        case .nameKey: try expect("name", text, then: .name)
        case .name: return try acceptName(text)
        case .nodeKey: try expect("node", text, then: .open)
        case .entryClose: try expect(")", text, then: .directoryField)
        case .close: try expect(")", text, then: names.isEmpty ? .finished : .entryClose)
        case .contents, .finished: preconditionFailure("no string is read in this state")
        }
        return .nothing
    }

    private mutating func acceptType(_ text: [UInt8]) throws(NARFault) -> News {
        if text.elementsEqual("regular".utf8) {
            state = .regularField
            return .nothing
        }
        if text.elementsEqual("symlink".utf8) {
            state = .targetKey
            return .nothing
        }
        try expect("directory", text, then: .directoryField)
        guard names.count < limits.depth else {
            throw .tooDeep(at: start(of: text), limit: limits.depth)
        }
        names.append([])
        return .directory
    }

    private mutating func acceptName(_ text: [UInt8]) throws(NARFault) -> News {
        let isDots = text.elementsEqual(".".utf8) || text.elementsEqual("..".utf8)
        guard !text.isEmpty, !isDots, !text.contains(0), !text.contains(UInt8(ascii: "/")) else {
            throw .name(at: start(of: text))
        }
        // Strictly after: the same name twice is out of order too.
        guard names[names.count - 1].lexicographicallyPrecedes(text) else {
            throw .order(at: start(of: text))
        }
        names[names.count - 1] = text
        state = .nodeKey
        return .entry(text)
    }

    private mutating func expect(
        _ wanted: String, _ text: [UInt8], then next: State
    ) throws(NARFault) {
        guard text.elementsEqual(wanted.utf8) else {
            throw .expected(wanted, at: start(of: text))
        }
        state = next
    }
}
