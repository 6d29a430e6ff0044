public import Hashing
import LaunchModel
public import StoreModel

/// Why no store path can be made.
public enum StorePathMakerFault: Error, Hashable, Sendable {
    /// The name is empty, too long, starts like a directory's, or has a foreign byte.
    case name(String)
    /// Content that is addressed this way cannot refer to other objects.
    case referencesNotAllowed(ContentAddressMethod)
    /// Content that is addressed this way is hashed with SHA-256 only.
    case algorithm(HashAlgorithm)
}

/// Computes store paths for one store directory.
///
/// Source: Nix manual, "Store path specification".
public struct StorePathMaker: Hashable, Sendable {
    /// The directory that paths are computed for; it is part of what is hashed.
    public let store: StoreDirectory

    /// Computes paths for `store`.
    public init(_ store: StoreDirectory) { self.store = store }

    /// The path of one file with these contents, such as a `.drv`.
    public func textPath(
        name: String, contents: [UInt8], references: Set<StorePath> = []
    ) throws(StorePathMakerFault) -> StorePath {
        try textPath(name: name, digest: .of(.sha256, contents), references: references)
    }

    /// The path of an object from a promise about its content.
    ///
    /// - Parameters:
    ///   - name: What follows the dash.
    ///   - address: The promise.
    ///   - references: The other objects that the content refers to.
    ///   - refersToItself: Whether the object refers to itself, its hash part being masked in the
    ///     content that was hashed. Only the recursive SHA-256 method can say so.
    /// - Returns: The path.
    /// - Throws: ``StorePathMakerFault`` when no object can have that name or those references.
    public func path(
        name: String, address: ContentAddress, references: Set<StorePath> = [],
        refersToItself: Bool = false
    ) throws(StorePathMakerFault) -> StorePath {
        switch (address.method, address.digest.algorithm) {
        case (.recursive, .sha256):
            return try path(
                kind: kind("source", references) + (refersToItself ? ":self" : ""),
                digest: address.digest, name: name)
        case (.text, .sha256):
            return try textPath(name: name, digest: address.digest, references: references)
        case (.text, let algorithm):
            throw .algorithm(algorithm)
        case (.flat, _), (.recursive, _), (.git, _):
            guard references.isEmpty, !refersToItself else {
                throw .referencesNotAllowed(address.method)
            }
            let inner =
                "fixed:out:" + address.method.prefix
                + address.digest.text(.base16, prefixed: true) + ":"
            return try path(kind: "output:out", digest: .of(.sha256, inner), name: name)
        }
    }

    /// The path of an output that is addressed by its derivation.
    public func outputPath(
        hashModulo: Digest, output: OutputName, derivationName: String
    ) throws(StorePathMakerFault) -> StorePath {
        try path(
            kind: "output:\(output)", digest: hashModulo,
            name: outputObjectName(derivationName: derivationName, output: output))
    }

    /// The path of a derivation's own file.
    public func derivationPath(of derivation: Derivation) throws(StorePathMakerFault) -> StorePath {
        try textPath(
            name: derivation.name + ".drv", contents: aterm(of: derivation, in: store),
            references: derivation.inputSources.union(derivation.inputDerivations.keys))
    }

    private func textPath(
        name: String, digest: Digest, references: Set<StorePath>
    ) throws(StorePathMakerFault) -> StorePath {
        try path(kind: kind("text", references), digest: digest, name: name)
    }

    /// The word, and every reference behind a colon.
    private func kind(_ word: String, _ references: Set<StorePath>) -> String {
        // Grown in place: there may be as many references as a derivation has inputs.
        references.sorted().reduce(into: word) {
            $0 += ":"
            $0 += store.path(of: $1).description
        }
    }

    private func path(
        kind: String, digest: Digest, name: String
    ) throws(StorePathMakerFault) -> StorePath {
        var text = [UInt8]("\(kind):\(digest.text(.base16, prefixed: true)):".utf8)
        text += store.bytes
        text += ":\(name)".utf8
        let hashPart = NixBase32.encode(Digest.of(.sha256, text).compressed(to: 20))
        do {
            return try StorePath(baseName: [UInt8]("\(hashPart)-\(name)".utf8))
        } catch {
            throw .name(name)
        }
    }
}

/// What the name of an output's object is: the derivation's name, and the output's unless it is `out`.
public func outputObjectName(derivationName: String, output: OutputName) -> String {
    output == .out ? derivationName : "\(derivationName)-\(output)"
}

extension StorePathMakerFault: CustomStringConvertible {
    /// One sentence that says what is wrong.
    public var description: String {
        switch self {
        case .name(let name): "'\(name)' cannot be the name of a store object"
        case .referencesNotAllowed(let method):
            "content that is addressed by the \(method) method cannot refer to store objects"
        case .algorithm(let algorithm): "text is addressed with sha256, not with \(algorithm.name)"
        }
    }
}
