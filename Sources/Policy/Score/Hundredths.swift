/// A number from 0 to 10 with two digits behind its point.
public struct Hundredths: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many hundredths it is.
    public let number: Int

    /// Takes a number of hundredths.
    public init(_ number: Int) { self.number = number }

    /// Reads `1`, `1.5` or `1.25`; nothing for anything else or more than 10.
    public init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let whole = Int(parts[0])
        else { return nil }
        var fraction = 0
        if parts.count == 2 {
            guard parts[1].utf8.count <= 2, let digits = Int(parts[1]) else { return nil }
            fraction = parts[1].utf8.count == 1 ? digits * 10 : digits
        }
        guard whole < 10 || whole == 10 && fraction == 0 else { return nil }
        number = whole * 100 + fraction
    }

    /// Whether one number is less than another.
    public static func < (left: Hundredths, right: Hundredths) -> Bool {
        left.number < right.number
    }

    /// The number in decimal, such as `0.05`.
    public var description: String {
        "\(number / 100).\(number % 100 < 10 ? "0" : "")\(number % 100)"
    }
}
