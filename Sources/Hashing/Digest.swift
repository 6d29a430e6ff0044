/// The result of a hash function, together with which one it was.
public struct Digest: Hashable, Sendable {
    /// The function.
    public let algorithm: HashAlgorithm
    /// The result; as many bytes as the function gives.
    public let bytes: [UInt8]

    /// Takes a digest; traps if it is not as long as `algorithm` says.
    public init(_ algorithm: HashAlgorithm, bytes: [UInt8]) {
        precondition(bytes.count == algorithm.digestLength)
        self.algorithm = algorithm
        self.bytes = bytes
    }
}
