/// A text with the names of inputs and outputs in it: `-L@{lib}/lib`.
///
/// `@{NAME}` stands for a path, `@@{` for `@{` itself; every other `@` is one. The shell's own `$NAME` and
/// `${NAME}` mean nothing here, so commands need no escapes.
struct Template: Hashable, Sendable {
    /// A part of a template.
    enum Piece: Hashable, Sendable {
        case text([UInt8])
        case name(String)
    }

    /// Why a text is not a template.
    enum Fault: Error, Hashable, Sendable {
        /// No `}` follows a `@{`.
        case unclosed
        /// What stands between `@{` and `}` is not a name.
        case name(String)
    }

    let pieces: [Piece]

    /// The names in it.
    var names: [String] {
        pieces.compactMap { if case .name(let name) = $0 { name } else { nil } }
    }

    /// A text without names.
    init(literal text: String) { pieces = [.text([UInt8](text.utf8))] }

    /// Finds the names in a text.
    init(parsing text: String) throws(Fault) {
        let bytes = [UInt8](text.utf8)
        let at = UInt8(ascii: "@")
        let brace = UInt8(ascii: "{")
        var pieces: [Piece] = []
        var plain: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            guard bytes[offset] == at else {
                plain.append(bytes[offset])
                offset += 1
                continue
            }
            let rest = bytes[offset...]
            if rest.starts(with: [at, at, brace]) {
                plain += [at, brace]
                offset += 3
            } else if rest.starts(with: [at, brace]) {
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { throw .unclosed }
                let name = String(decoding: bytes[offset + 2..<end], as: UTF8.self)
                guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte) else {
                    throw .name(name)
                }
                if !plain.isEmpty { pieces.append(.text(plain)) }
                plain = []
                pieces.append(.name(name))
                offset = end + 1
            } else {
                plain.append(bytes[offset])
                offset += 1
            }
        }
        if !plain.isEmpty || pieces.isEmpty { pieces.append(.text(plain)) }
        self.pieces = pieces
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "="):
            true
        default: false
        }
    }

    /// The bytes, with a value in place of each name.
    func bytes<E: Error>(_ value: (String) throws(E) -> [UInt8]) throws(E) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let text): bytes += text
            case .name(let name): bytes += try value(name)
            }
        }
        return bytes
    }
}

extension Template.Fault: CustomStringConvertible {
    /// One clause that says what is wrong.
    var description: String {
        switch self {
        case .unclosed: "a `@{` that no `}` ends"
        case .name(let name): "`@{\(name)}` has no name of an input or output in it"
        }
    }
}
