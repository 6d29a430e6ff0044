/// A hash function that store objects and derivations may name.
public enum HashAlgorithm: UInt8, Hashable, Sendable, CaseIterable {
    case md5 = 0
    case sha1 = 1
    case sha256 = 2
    case sha512 = 3

    /// The number of bytes of a digest.
    public var digestLength: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256: 32
        case .sha512: 64
        }
    }

    /// The name that text forms use, such as `sha256`.
    public var name: String {
        switch self {
        case .md5: "md5"
        case .sha1: "sha1"
        case .sha256: "sha256"
        case .sha512: "sha512"
        }
    }

    /// Finds the algorithm that a text form names.
    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}
