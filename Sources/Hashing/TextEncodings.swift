/// Nix's base 32: five bits a character, the most significant first, of the number that the bytes are
/// in little-endian order; no `e`, `o`, `u` and `t`.
public enum NixBase32 {
    private static let alphabet = [UInt8]("0123456789abcdfghijklmnpqrsvwxyz".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// The number of characters that `count` bytes become.
    public static func length(ofBytes count: Int) -> Int {
        count == 0 ? 0 : (count * 8 - 1) / 5 + 1
    }

    /// The text form of `bytes`.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        let length = length(ofBytes: bytes.count)
        text.reserveCapacity(length)
        for position in stride(from: length - 1, through: 0, by: -1) {
            let bit = position * 5
            let (index, shift) = (bit / 8, bit % 8)
            let low = UInt16(bytes[index])
            let high = index + 1 < bytes.count ? UInt16(bytes[index + 1]) : 0
            text.append(alphabet[Int(((high << 8 | low) >> shift) & 31)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text form; nothing when a character is foreign, the length is none that
    /// ``encode(_:)`` gives, or bits beyond the last byte are set.
    public static func decode(_ text: String) -> [UInt8]? {
        let characters = [UInt8](text.utf8)
        let count = characters.count * 5 / 8
        guard length(ofBytes: count) == characters.count else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        for (position, character) in characters.reversed().enumerated() {
            let value = values[Int(character)]
            guard value != 0xff else { return nil }
            let bit = position * 5
            let (index, shift) = (bit / 8, bit % 8)
            let spread = UInt16(value) << shift
            bytes[index] |= UInt8(truncatingIfNeeded: spread)
            let carry = UInt8(spread >> 8)
            if index + 1 < count {
                bytes[index + 1] |= carry
            } else if carry != 0 {
                return nil
            }
        }
        return bytes
    }
}

/// Base 16 with lower-case letters.
public enum Base16 {
    private static let digits = [UInt8]("0123456789abcdef".utf8)

    /// The text form of `bytes`.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text form, with letters of either case; nothing when it is not one.
    public static func decode(_ text: String) -> [UInt8]? {
        let characters = [UInt8](text.utf8)
        guard characters.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(characters.count / 2)
        for index in stride(from: 0, to: characters.count, by: 2) {
            guard let high = value(characters[index]), let low = value(characters[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Base 64 with `+`, `/` and padding (RFC 4648, section 4).
public enum Base64 {
    private static let alphabet = [UInt8](
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// The text form of `bytes`.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var number: UInt32 = 0
            for byte in group { number = number << 8 | UInt32(byte) }
            number <<= UInt32(8 * (3 - group.count))
            for position in 0..<4 {
                let isPadding = position > group.count
                let value = Int(number >> UInt32(18 - 6 * position) & 63)
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[value])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text form; nothing when a character is foreign, the padding is missing or
    /// misplaced, or unused bits are set.
    public static func decode(_ text: String) -> [UInt8]? {
        var characters = [UInt8](text.utf8)
        guard characters.count % 4 == 0 else { return nil }
        var padding = 0
        while padding < 2, characters.last == UInt8(ascii: "=") {
            characters.removeLast()
            padding += 1
        }
        var bytes: [UInt8] = []
        var pending: UInt32 = 0
        var bits = 0
        for character in characters {
            let value = values[Int(character)]
            guard value != 0xff else { return nil }
            pending = pending << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
                pending &= (1 << UInt32(bits)) - 1
            }
        }
        return pending == 0 ? bytes : nil
    }
}
