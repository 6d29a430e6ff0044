/// A number and its noun, in the plural where that is right.
func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// Bytes as text for people.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
