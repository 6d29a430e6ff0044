public import StoreModel

/// Finds which of a set of store objects a stream of bytes refers to: whose hash part stands in it.
///
/// The stream may come in pieces of any size; a hash part that two pieces share is found too. Most bytes
/// are never looked at: where a window of 32 has a byte that no hash part has, the next window begins
/// behind it.
///
/// Source: `reference/nix-features.md` §7, step 5.
public struct ReferenceScanner: Sendable {
    /// 32 bytes as numbers, so that a look-up allocates nothing.
    private struct Key: Hashable, Sendable {
        let words: SIMD4<UInt64>

        init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
            words = SIMD4(
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self)
            )
        }

        static func == (left: Key, right: Key) -> Bool { left.words == right.words }

        func hash(into hasher: inout Hasher) { hasher.combine(words.w) }
    }

    private static let length = 32
    private static let isBase32: [Bool] = {
        var table = [Bool](repeating: false, count: 256)
        for byte in "0123456789abcdfghijklmnpqrsvwxyz".utf8 { table[Int(byte)] = true }
        return table
    }()

    private var candidates: [Key: [StorePath]] = [:]
    /// The last bytes of what came before, at most 31: a hash part may begin in them.
    private var tail: [UInt8] = []

    /// The objects that were found so far.
    public private(set) var found: Set<StorePath> = []

    /// Looks for the hash parts of `paths`.
    public init(_ paths: Set<StorePath>) {
        for path in paths {
            let key = path.bytes.withUnsafeBytes { Key($0, at: 0) }
            candidates[key, default: []].append(path)
        }
    }

    /// Looks at the next bytes; the buffer is only read during the call.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard !candidates.isEmpty else { return }
        if !tail.isEmpty {
            // The windows that begin in the tail, and as much of the piece as they need.
            let seam = tail + bytes.prefix(Self.length - 1)
            seam.withUnsafeBytes { scan($0) }
        }
        scan(bytes)
        let kept = Self.length - 1
        tail = bytes.count >= kept ? [UInt8](bytes.suffix(kept)) : (tail + bytes).suffix(kept)
    }

    private mutating func scan(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        Self.isBase32.withUnsafeBufferPointer { isBase32 in
            while start + Self.length <= bytes.count {
                var index = Self.length - 1
                while index >= 0, isBase32[Int(bytes[start + index])] { index -= 1 }
                guard index < 0 else {
                    start += index + 1
                    continue
                }
                if let paths = candidates.removeValue(forKey: Key(bytes, at: start)) {
                    found.formUnion(paths)
                }
                start += 1
            }
        }
    }
}
