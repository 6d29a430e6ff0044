/// How a connection begins.
///
/// The client says what it is, the daemon answers, both take the older version of the two, and from 1.38
/// on they exchange what else they know. Then the client sends what newer daemons ignore, and the daemon
/// says what it is and whether it trusts the client.
///
/// Source: `reference/daemon-protocol.md` §2.
public enum Handshake {
    /// What the first integer of a client is.
    static let clientMagic: UInt64 = 0x6e69_7863
    /// What the first integer of a daemon is.
    static let daemonMagic: UInt64 = 0x6478_696f

    /// What a daemon says of itself at the end.
    public struct DaemonInfo: Hashable, Sendable {
        /// Its version, such as `2.34.8`; from 1.33 on.
        public var version: String?
        /// Whether it trusts the client; from 1.35 on.
        public var trust: Trust

        /// Puts an info together.
        public init(version: String?, trust: Trust) {
            self.version = version
            self.trust = trust
        }
    }
}

extension WireWriter {
    /// Appends what a client begins with.
    public mutating func clientHello(_ version: ProtocolVersion = .newest) {
        integer(Handshake.clientMagic)
        integer(version.number)
    }

    /// Appends what a daemon answers with.
    public mutating func daemonHello(_ version: ProtocolVersion = .newest) {
        integer(Handshake.daemonMagic)
        integer(version.number)
    }

    /// Appends what one side knows besides the version; both sides send it from 1.38 on.
    public mutating func features(_ features: Set<String>, _ version: ProtocolVersion) {
        guard version >= ProtocolVersion(minor: 38) else { return }
        list(features.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }) { $0.text($1) }
    }

    /// Appends what a client sends last: two numbers that no daemon looks at any more.
    public mutating func clientRest(_ version: ProtocolVersion) {
        if version >= ProtocolVersion(minor: 14) { integer(0) }
        if version >= ProtocolVersion(minor: 11) { integer(0) }
    }

    /// Appends what a daemon says of itself.
    public mutating func daemonInfo(_ info: Handshake.DaemonInfo, _ version: ProtocolVersion) {
        if version >= ProtocolVersion(minor: 33) { text(info.version ?? "") }
        if version >= ProtocolVersion(minor: 35) { integer(info.trust.rawValue) }
    }
}

extension WireReader {
    /// What a client begins with: the version that both can speak.
    ///
    /// A daemon that has a connection reads the two parts apart, and answers in between.
    public mutating func clientHello() throws(WireError) -> ProtocolVersion {
        try clientMagic()
        return try clientVersion()
    }

    /// The first integer of a client; older ones send no more until they have the daemon's answer.
    public mutating func clientMagic() throws(WireError) {
        try magic(Handshake.clientMagic, "a client of the worker protocol")
    }

    /// What follows it: the version that both can speak.
    public mutating func clientVersion() throws(WireError) -> ProtocolVersion { try version() }

    /// What a daemon answers with: the version that both can speak.
    public mutating func daemonHello() throws(WireError) -> ProtocolVersion {
        try magic(Handshake.daemonMagic, "a daemon of the worker protocol")
        return try version()
    }

    /// What the other side knows besides the version.
    public mutating func features(_ version: ProtocolVersion) throws(WireError) -> Set<String> {
        guard version >= ProtocolVersion(minor: 38) else { return [] }
        return Set(
            try list(limit: WireLimits.short) { (reader) throws(WireError) in
                try reader.text(limit: WireLimits.short)
            })
    }

    /// What a client sends last.
    public mutating func clientRest(_ version: ProtocolVersion) throws(WireError) {
        // A processor to run on, from the days when daemons took orders about that.
        if version >= ProtocolVersion(minor: 14), try integer() != 0 { _ = try integer() }
        if version >= ProtocolVersion(minor: 11) { _ = try integer() }
    }

    /// What a daemon says of itself.
    public mutating func daemonInfo(
        _ version: ProtocolVersion
    ) throws(WireError) -> Handshake.DaemonInfo {
        var info = Handshake.DaemonInfo(version: nil, trust: .unknown)
        if version >= ProtocolVersion(minor: 33) {
            info.version = try text(limit: WireLimits.short)
        }
        if version >= ProtocolVersion(minor: 35) {
            let at = offset
            guard let trust = Trust(rawValue: try integer()) else {
                throw .malformed("0, 1 or 2", at: at)
            }
            info.trust = trust
        }
        return info
    }

    private mutating func magic(_ magic: UInt64, _ what: String) throws(WireError) {
        let at = offset
        guard try integer() == magic else { throw .malformed(what, at: at) }
    }

    private mutating func version() throws(WireError) -> ProtocolVersion {
        let at = offset
        guard let version = ProtocolVersion(number: try integer()), version >= .oldest else {
            throw .malformed("a version from 1.10 on", at: at)
        }
        return min(version, .newest)
    }
}
