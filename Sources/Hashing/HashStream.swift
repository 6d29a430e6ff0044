import Crypto

/// A hash function that is fed piece by piece.
///
/// The functions are swift-crypto's; this chooses one and keeps its state.
public struct HashStream: Sendable {
    private enum Function: Sendable {
        case md5(Insecure.MD5)
        case sha1(Insecure.SHA1)
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private var function: Function

    /// Starts with nothing hashed.
    public init(_ algorithm: HashAlgorithm) {
        function =
            switch algorithm {
            case .md5: .md5(Insecure.MD5())
            case .sha1: .sha1(Insecure.SHA1())
            case .sha256: .sha256(SHA256())
            case .sha512: .sha512(SHA512())
            }
    }

    /// Hashes the next bytes; the buffer is only read during the call.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        // Taken out and put back, so that the state is changed in place instead of copied.
        switch function {
        case .md5(var hash):
            hash.update(bufferPointer: bytes)
            function = .md5(hash)
        case .sha1(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha1(hash)
        case .sha256(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha256(hash)
        case .sha512(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha512(hash)
        }
    }

    /// Hashes the next bytes.
    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of everything that was hashed; more may follow.
    public func finalize() -> Digest {
        switch function {
        case .md5(let hash): Digest(.md5, bytes: [UInt8](hash.finalize()))
        case .sha1(let hash): Digest(.sha1, bytes: [UInt8](hash.finalize()))
        case .sha256(let hash): Digest(.sha256, bytes: [UInt8](hash.finalize()))
        case .sha512(let hash): Digest(.sha512, bytes: [UInt8](hash.finalize()))
        }
    }
}

extension Digest {
    /// Hashes bytes that are all in memory.
    public static func of(_ algorithm: HashAlgorithm, _ bytes: [UInt8]) -> Digest {
        var stream = HashStream(algorithm)
        stream.update(bytes)
        return stream.finalize()
    }

    /// Hashes the UTF-8 encoding of `text`.
    public static func of(_ algorithm: HashAlgorithm, _ text: String) -> Digest {
        of(algorithm, [UInt8](text.utf8))
    }

    /// The digest folded to `length` bytes: byte `i` goes by exclusive or into byte `i mod length`.
    ///
    /// Source: Nix manual, "Store path specification": 160 bits of a SHA-256 name an object.
    public func compressed(to length: Int) -> [UInt8] {
        var folded = [UInt8](repeating: 0, count: length)
        for (index, byte) in bytes.enumerated() { folded[index % length] ^= byte }
        return folded
    }
}
