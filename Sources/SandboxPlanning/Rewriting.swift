import Hashing
public import StoreModel

/// Puts output paths in the place of placeholders.
///
/// A placeholder is `/` and the nix-base32 SHA-256 of `nix-output:<name>`: 53 bytes that a derivation
/// can hold before its outputs have paths.
struct Rewriting {
    private let replacements: [[UInt8]: [UInt8]]
    private static let length = 1 + 52

    init(outputs: [(name: OutputName, path: StorePath)], in store: StoreDirectory) {
        var replacements: [[UInt8]: [UInt8]] = [:]
        for output in outputs {
            replacements[placeholder(for: output.name).bytes] = store.path(of: output.path).bytes
        }
        self.replacements = replacements
    }

    /// The same bytes with every placeholder replaced.
    func callAsFunction(_ text: [UInt8]) -> [UInt8] {
        guard text.count >= Self.length else { return text }
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index] == UInt8(ascii: "/"), text.count - index >= Self.length,
                let path = replacements[[UInt8](text[index..<index + Self.length])]
            {
                result += path
                index += Self.length
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }
}

/// What stands for an output's path while it is not known.
public func placeholder(for output: OutputName) -> ByteString {
    ByteString("/" + NixBase32.encode(Digest.of(.sha256, "nix-output:\(output)").bytes))
}
