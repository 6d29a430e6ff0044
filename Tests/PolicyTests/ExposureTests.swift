import Testing

@testable import Policy

@Suite("How much a profile exposes") struct ExposureTests {
    private func badness(_ lines: String, _ item: String) throws -> Int? {
        let exposure = try PolicyDifferenceTests.mine(lines).exposure
        return exposure.items.first { $0.name == item }?.badness
    }

    @Test("is least for strict, and in the order of what the shipped profiles open")
    func order() throws {
        let totals = try ["strict", "fixed-output", "default", "host-toolchain"].map {
            try ProfileTests.profile($0).exposure.total
        }
        #expect(totals == totals.sorted())
        #expect(Set(totals).count == 4)
        #expect(totals.allSatisfy { $0 < Hundredths(100) })
    }

    @Test(
        "counts each thing that is opened",
        arguments: [
            ("[devices]\nkvm = true", "extra devices", 5),
            ("[mounts.a]\nfrom = \"/opt\"\n[mounts.b]\nfrom = \"/srv\"", "host mounts", 2),
            ("[syscalls]\nforeign = \"allow-listed\"", "syscalls.foreign", 3),
            ("[syscalls]\n\"@mount\" = \"allow\"", "@mount", 10),
            ("[syscalls]\nclone3 = \"allow\"", "nested namespaces", 10),
            ("[syscalls.rule.no-new-namespaces]\nenabled = false", "nested namespaces", 10),
            ("[syscalls.rule.no-setid-bits]\nenabled = false", "set-id files", 10),
            ("[syscalls.rule.no-setid-bits]\ncalls = [\"chmod\"]", "set-id files", 10),
            ("[syscalls.rule.socket-families]\nenabled = false", "socket families", 10),
            (
                "[syscalls.rule.socket-families]\nallow_when = \"family in {AF_UNIX, AF_ALG}\"",
                "socket families", 4
            ),
            ("[limits]\nwall_time = \"unlimited\"", "limits", 6),
        ])
    func items(lines: String, item: String, expected: Int) throws {
        #expect(try badness(lines, item) == expected)
        let strict = try ProfileTests.profile("strict").exposure
        let before = try #require(strict.items.first { $0.name == item })
        #expect(before.badness < expected)
        #expect(try PolicyDifferenceTests.mine(lines).exposure.total > strict.total)
    }

    @Test("is the weighted mean of its items")
    func mean() {
        let exposure = Exposure(items: [
            ExposureItem(name: "a", weight: 300, badness: 10, reason: ""),
            ExposureItem(name: "b", weight: 100, badness: 2, reason: ""),
            ExposureItem(name: "c", weight: 600, badness: 0, reason: ""),
        ])
        #expect(exposure.total == Hundredths(320))
        #expect(exposure.part(of: exposure.items[0]) == Hundredths(300))
        #expect(exposure.items.map(\.name) == ["a", "b", "c"])
        #expect(exposure.word == "OK")
    }

    @Test("has the words of systemd-analyze")
    func words() {
        func word(_ badness: Int) -> String {
            Exposure(items: [
                ExposureItem(name: "a", weight: 1, badness: badness, reason: "")
            ]).word
        }
        #expect(
            [0, 1, 5, 8, 9, 10].map(word) == [
                "PERFECT", "OK", "MEDIUM", "EXPOSED", "UNSAFE", "DANGEROUS",
            ])
    }

    @Test("numbers are read exactly, and nothing else is")
    func numbers() {
        for (text, number) in [("0", 0), ("1", 100), ("1.5", 150), ("0.05", 5), ("10.0", 1000)] {
            #expect(Hundredths(text: text) == Hundredths(number))
        }
        for text in ["", ".", "1.", ".5", "-1", "10.01", "11", "1.234", "1,5", "1e1", "+1"] {
            #expect(Hundredths(text: text) == nil, "\(text)")
        }
        #expect("\(Hundredths(5)) \(Hundredths(150)) \(Hundredths(1000))" == "0.05 1.50 10.00")
    }
}
