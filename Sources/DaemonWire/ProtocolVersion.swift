/// A version of the worker protocol, such as 1.38.
public struct ProtocolVersion: Hashable, Comparable, Sendable {
    /// The number as it is sent: the major version in the second byte, the minor one in the first.
    public let number: UInt64

    /// The version with this minor number; the major one is 1.
    public init(minor: UInt8) { number = 0x100 | UInt64(minor) }

    /// Reads a number that was sent; nothing if its major version is not 1.
    public init?(number: UInt64) {
        guard number >> 8 == 1 else { return nil }
        self.number = number
    }

    /// The number after the dot.
    public var minor: UInt8 { UInt8(number & 0xff) }

    /// The newest version, which this module speaks.
    public static let newest = ProtocolVersion(minor: 38)
    /// The oldest version that a peer may speak.
    public static let oldest = ProtocolVersion(minor: 10)

    /// Orders by age.
    public static func < (left: ProtocolVersion, right: ProtocolVersion) -> Bool {
        left.number < right.number
    }
}

/// Whether a client may do what only the administrator's friends may.
public enum Trust: UInt64, Hashable, Sendable, CaseIterable {
    case unknown = 0
    case trusted = 1
    case untrusted = 2
}
