/// One respect in which a profile exposes the host, with what it counts.
public struct ExposureItem: Hashable, Sendable {
    /// What it is about, such as `network` or `@mount`.
    public var name: String
    /// How much it counts beside the others.
    public var weight: Int
    /// How bad it is, from 0 (closed) to 10 (open).
    public var badness: Int
    /// Why it is that bad, for people.
    public var reason: String

    /// Puts an item together.
    public init(name: String, weight: Int, badness: Int, reason: String) {
        precondition((0...10).contains(badness) && weight > 0, "an item is in its bounds")
        self.name = name
        self.weight = weight
        self.badness = badness
        self.reason = reason
    }
}

/// How much of the host a profile exposes to a builder.
///
/// The sum is that of `systemd-analyze security`: the mean of the badness of all items, each as heavy as its
/// weight, from 0 (nothing open) to 10. It orders profiles; it is no measure of what an attacker can do.
public struct Exposure: Hashable, Sendable {
    /// The items, the heaviest first.
    public var items: [ExposureItem]

    /// Sorts items and takes them.
    public init(items: [ExposureItem]) {
        self.items = items.sorted {
            ($0.weight * $0.badness, $0.weight, $1.name)
                > ($1.weight * $1.badness, $1.weight, $0.name)
        }
    }

    /// The sum of all weights.
    public var weight: Int { items.reduce(0) { $0 + $1.weight } }

    /// The whole exposure, rounded to the nearest hundredth.
    public var total: Hundredths { share(items.reduce(0) { $0 + $1.weight * $1.badness }) }

    /// What one item adds to the whole.
    public func part(of item: ExposureItem) -> Hundredths { share(item.weight * item.badness) }

    private func share(_ product: Int) -> Hundredths {
        Hundredths(weight == 0 ? 0 : (product * 100 + weight / 2) / weight)
    }

    /// The exposure in a word, by the bounds of `systemd-analyze security`.
    public var word: String {
        switch total.number {
        case 1000...: "DANGEROUS"
        case 900...: "UNSAFE"
        case 750...: "EXPOSED"
        case 500...: "MEDIUM"
        case 100...: "OK"
        case 10...: "SAFE"
        default: "PERFECT"
        }
    }
}

extension Profile {
    /// How much of the host this profile exposes.
    public var exposure: Exposure {
        Exposure(
            items: fixedExposure + networkExposure + viewExposure + syscallExposure
                + limitExposure)
    }
}
