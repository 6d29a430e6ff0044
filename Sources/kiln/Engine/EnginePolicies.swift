import BuildEngine
import LaunchModel
import Policy

extension EngineProfiles {
    /// What the engine needs to know of profiles, whose numbers are those of the compiled ones: their places
    /// when they are sorted by name.
    init(of profiles: [Profile]) {
        var known: [String: EngineProfile] = [:]
        let sorted = profiles.sorted { $0.name < $1.name }
        for (index, profile) in sorted.enumerated() {
            known[profile.name] = EngineProfile(
                number: ProfileNumber(rawValue: UInt16(index)), wallTime: profile.limits.wallTime,
                silence: profile.limits.silentTime, logSize: profile.limits.logSize,
                denials: profile.toldDenials)
        }
        self.init(byName: known)
    }
}

/// The policy files that root hands to a running engine, as it has read them.
///
/// The engine reads them once more by itself: it may not be able to go where they are, and they may have been
/// changed since.
struct HandedPolicies: Hashable {
    /// The files.
    var sources: [PolicySource]

    /// More files than a directory of policies may have, and longer ones.
    private static let limit = (files: 1024, name: 4096, text: 1 << 20)

    /// Takes files.
    init(_ sources: [PolicySource]) { self.sources = sources }

    /// The bytes of all files.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(list: sources) { writer, source in
            writer.write([UInt8](source.name.utf8))
            writer.write([UInt8](source.file.utf8))
            writer.write([UInt8](source.text.utf8))
        }
        return writer.bytes
    }

    /// Reads them back; every byte must be accounted for.
    init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        sources = try reader.readList(limit: Self.limit.files) { (reader) throws(CodingFault) in
            PolicySource(
                name: try Self.text(&reader, Self.limit.name),
                file: try Self.text(&reader, Self.limit.name),
                text: try Self.text(&reader, Self.limit.text))
        }
        try reader.finish()
    }

    private static func text(_ reader: inout ByteReader, _ limit: Int) throws(CodingFault) -> String
    {
        let start = reader.offset
        guard let text = String(validating: try reader.readBytes(limit: limit), as: UTF8.self)
        else { throw .malformed(at: start) }
        return text
    }
}

/// Reads what root handed over with a new generation.
@Sendable func readHandedPolicies(
    _ bytes: [UInt8]
) throws(PoliciesUnreadable) -> EngineProfiles {
    let sources: [PolicySource]
    do {
        sources = try HandedPolicies(decoding: bytes).sources
    } catch {
        throw PoliciesUnreadable("they are not what 'kiln policy reload' sends")
    }
    do {
        return EngineProfiles(of: try loadProfiles(sources))
    } catch {
        throw PoliciesUnreadable("\(error)")
    }
}
