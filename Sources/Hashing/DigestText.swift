/// A text form of a digest.
public enum DigestForm: String, Hashable, Sendable, CaseIterable {
    case base16
    case nix32
    case base64
    /// `<algorithm>-<base64>`, as web pages use for subresource integrity.
    case sri
}

/// Why a text is not a digest.
public enum DigestFault: Error, Hashable, Sendable {
    /// The text names no algorithm, and none was expected.
    case algorithmMissing(String)
    /// The text names an algorithm that does not exist.
    case unknownAlgorithm(String)
    /// The text names another algorithm than the expected one.
    case otherAlgorithm(String, expected: HashAlgorithm)
    /// The text is as long as no form of a digest of this algorithm.
    case length(String, HashAlgorithm)
    /// The text has a character that its form does not know, or bits that no digest has.
    case malformed(String)
}

extension Digest {
    /// Reads any text form: `<algorithm>:<text>`, `<algorithm>-<base64>`, or the text alone.
    ///
    /// Which of base 16, nix-base32 and base 64 a text is follows from its length.
    ///
    /// - Parameters:
    ///   - text: The text form.
    ///   - expected: What the digest must be of; needed when the text does not say it.
    /// - Throws: ``DigestFault`` that says which of this does not hold.
    public init(parsing text: String, algorithm expected: HashAlgorithm? = nil) throws(DigestFault)
    {
        var rest = Substring(text)
        var algorithm = expected
        var isSRI = false
        if let separator = text.utf8.firstIndex(where: {
            $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "-")
        }) {
            let name = String(text[..<separator])
            guard let named = HashAlgorithm(name: name) else { throw .unknownAlgorithm(name) }
            if let expected, expected != named { throw .otherAlgorithm(text, expected: expected) }
            algorithm = named
            isSRI = text.utf8[separator] == UInt8(ascii: "-")
            rest = text[text.utf8.index(after: separator)...]
        }
        guard let algorithm else { throw .algorithmMissing(text) }
        let size = algorithm.digestLength
        let decoded: [UInt8]?
        switch rest.utf8.count {
        case (size + 2) / 3 * 4: decoded = Base64.decode(String(rest))
        case size * 2 where !isSRI: decoded = Base16.decode(String(rest))
        case NixBase32.length(ofBytes: size) where !isSRI: decoded = NixBase32.decode(String(rest))
        default: throw .length(text, algorithm)
        }
        guard let decoded, decoded.count == size else { throw .malformed(text) }
        self.init(algorithm, bytes: decoded)
    }

    /// The text form, with `<algorithm>:` in front when asked for; SRI always names its algorithm.
    public func text(_ form: DigestForm, prefixed: Bool) -> String {
        let prefix = prefixed ? algorithm.name + ":" : ""
        return switch form {
        case .base16: prefix + Base16.encode(bytes)
        case .nix32: prefix + NixBase32.encode(bytes)
        case .base64: prefix + Base64.encode(bytes)
        case .sri: algorithm.name + "-" + Base64.encode(bytes)
        }
    }
}

extension DigestFault: CustomStringConvertible {
    /// One sentence that says what is wrong.
    public var description: String {
        switch self {
        case .algorithmMissing(let text): "digest '\(text)' does not say its algorithm"
        case .unknownAlgorithm(let name): "unknown hash algorithm '\(name)'"
        case .otherAlgorithm(let text, let expected):
            "digest '\(text)' should be a \(expected.name) digest"
        case .length(let text, let algorithm):
            "digest '\(text)' has the wrong length for \(algorithm.name)"
        case .malformed(let text): "digest '\(text)' is malformed"
        }
    }
}
