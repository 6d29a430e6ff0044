/// A number of bytes written with its unit: `0`, or digits and one of `B`, `K`, `M`, `G`, `T` (powers of 1024).
func parseSize(_ text: String) -> UInt64? {
    if text == "0" { return 0 }
    return parse(text, units: ["B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40])
}

/// A time in seconds written with its unit: digits and one of `s`, `m`, `h`, `d`.
func parseDuration(_ text: String) -> UInt64? {
    parse(text, units: ["s": 1, "m": 60, "h": 3600, "d": 86400])
}

private func parse(_ text: String, units: [Character: UInt64]) -> UInt64? {
    guard let last = text.last, let unit = units[last] else { return nil }
    let digits = text.dropLast()
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = UInt64(digits)
    else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit)
    return overflow ? nil : product
}
