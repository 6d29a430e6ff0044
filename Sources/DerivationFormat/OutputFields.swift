public import Hashing
public import StoreModel

/// Why three fields do not say what an output is.
public enum OutputFieldFault: Error, Hashable, Sendable {
    /// The path is not one.
    case path(StorePathFault)
    /// The content is promised, and there is no path.
    case pathMissing
    /// There is a hash, and no algorithm.
    case algorithmMissing
    /// No such algorithm or method exists.
    case algorithm(String)
    /// The hash is no digest of the algorithm in base 16.
    case hash(HashAlgorithm)
}

extension DerivationOutput {
    /// The three fields that stand for an output in the text form and on the wire.
    ///
    /// `path,"",""` is addressed by its input, `path,algorithm,hash` is fixed, `"",algorithm,""` is
    /// floating, `"",algorithm,"impure"` is impure, and three empty ones are deferred; the algorithm has
    /// the method as a prefix.
    public func fields(in store: StoreDirectory) -> (path: [UInt8], algorithm: String, hash: String)
    {
        switch self {
        case .inputAddressed(let path): (store.path(of: path).bytes, "", "")
        case .fixed(let path, let address):
            (
                store.path(of: path).bytes,
                address.method.prefix + address.digest.algorithm.name,
                address.digest.text(.base16, prefixed: false)
            )
        case .floating(let method, let algorithm): ([], method.prefix + algorithm.name, "")
        case .deferred: ([], "", "")
        case .impure(let method, let algorithm): ([], method.prefix + algorithm.name, "impure")
        }
    }

    /// Reads the three fields.
    public init(
        path: [UInt8], algorithm: String, hash: String, in store: StoreDirectory
    ) throws(OutputFieldFault) {
        func parsedPath() throws(OutputFieldFault) -> StorePath {
            do {
                return try store.parse(path)
            } catch {
                throw .path(error)
            }
        }
        guard !algorithm.isEmpty else {
            guard hash.isEmpty else { throw .algorithmMissing }
            self = path.isEmpty ? .deferred : .inputAddressed(try parsedPath())
            return
        }
        guard let (method, function) = Self.addressing(algorithm) else {
            throw .algorithm(algorithm)
        }
        guard !path.isEmpty else {
            switch hash {
            case "": self = .floating(method, function)
            case "impure": self = .impure(method, function)
            default: throw .pathMissing
            }
            return
        }
        guard let digest = Base16.decode(hash), digest.count == function.digestLength else {
            throw .hash(function)
        }
        let address = ContentAddress(method: method, digest: Digest(function, bytes: digest))
        self = .fixed(try parsedPath(), address)
    }

    private static func addressing(_ text: String) -> (ContentAddressMethod, HashAlgorithm)? {
        // Longer prefixes first: that of the flat method is empty.
        for method in ContentAddressMethod.allCases.reversed() where text.hasPrefix(method.prefix) {
            guard let algorithm = HashAlgorithm(name: String(text.dropFirst(method.prefix.count)))
            else { continue }
            return (method, algorithm)
        }
        return nil
    }
}

extension OutputFieldFault: CustomStringConvertible {
    /// One clause that says what is wrong.
    public var description: String {
        switch self {
        case .path(let fault): "\(fault)"
        case .pathMissing: "a fixed output without a path"
        case .algorithmMissing: "a hash without an algorithm"
        case .algorithm(let text): "unknown hash algorithm '\(text)'"
        case .hash(let algorithm): "not a \(algorithm.name) digest in base 16"
        }
    }
}
