import Hashing

/// Why a text is not a content address.
public enum ContentAddressFault: Error, Hashable, Sendable {
    /// The text starts neither with `text:` nor with `fixed:`.
    case method(String)
    /// The text does not end in a digest in nix-base32.
    case digest(String)
}

extension ContentAddress: CustomStringConvertible {
    /// Reads `text:<algorithm>:<digest>` or `fixed:[r:|git:]<algorithm>:<digest>`.
    ///
    /// - Throws: ``ContentAddressFault``; no other form of the same address is accepted.
    public init(parsing text: String) throws(ContentAddressFault) {
        let forms: [(prefix: String, method: ContentAddressMethod)] = [
            ("text:", .text), ("fixed:r:", .recursive), ("fixed:git:", .git), ("fixed:", .flat),
        ]
        guard let form = forms.first(where: { text.hasPrefix($0.prefix) }) else {
            throw .method(text)
        }
        let parts = text.dropFirst(form.prefix.count).split(
            separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let algorithm = HashAlgorithm(name: String(parts[0])),
            let bytes = NixBase32.decode(String(parts[1])), bytes.count == algorithm.digestLength
        else { throw .digest(text) }
        self.init(method: form.method, digest: Digest(algorithm, bytes: bytes))
    }

    /// The text that databases, narinfos and the worker protocol use.
    public var description: String {
        let prefix =
            switch method {
            case .text: "text:"
            case .flat: "fixed:"
            case .recursive: "fixed:r:"
            case .git: "fixed:git:"
            }
        return prefix + digest.text(.nix32, prefixed: true)
    }
}
