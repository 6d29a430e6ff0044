import Glibc
import LocalStore
import StoreFiles
import StoreModel
import Testing

@Suite("Verification") struct VerificationTests {
    let root: TestRoot
    let store: LocalStore

    init() throws {
        root = try TestRoot()
        store = try root.open()
    }

    private func problems(checkContents: Bool) throws -> ([StoreProblem], VerifySummary) {
        var problems: [StoreProblem] = []
        let summary = try store.verify(checkContents: checkContents) { problems.append($0) }
        return (problems, summary)
    }

    @Test("finds modified, missing and unreadable objects, each once, and counts garbage")
    func finds() throws {
        let good = try root.makeTree("good", refersToItself: true)
        let modified = try root.makeText("modified")
        let missing = try root.makeText("missing")
        let special = try root.makeText("special")
        var otherSize = try root.makeText("size")
        otherSize.narSize += 8
        try store.register([good, modified, missing, special, otherSize])
        #expect(try problems(checkContents: false).0.isEmpty)
        #expect(
            try problems(checkContents: true).0
                == [
                    .otherSize(
                        otherSize.path, expected: otherSize.narSize, found: otherSize.narSize - 8)
                ])

        _ = try root.makeText("garbage")
        try root.removeObject(modified.path)
        let other = try root.makeText("other", "other text\n")
        #expect(rename(store.object(at: other.path), store.object(at: modified.path)) == 0)
        try root.removeObject(missing.path)
        try root.removeObject(special.path)
        #expect(mkfifo(store.object(at: special.path), 0o600) == 0)

        let (quick, quickSummary) = try problems(checkContents: false)
        #expect(quick == [.missing(missing.path)])
        #expect(quickSummary == VerifySummary.of(valid: 5, problems: 1, garbage: 1))
        let (found, summary) = try problems(checkContents: true)
        #expect(
            Set(found) == [
                .missing(missing.path),
                .modified(modified.path, expected: modified.narHash, found: other.narHash),
                .unreadable(special.path, .fileType(store.object(at: special.path))),
                .otherSize(
                    otherSize.path, expected: otherSize.narSize, found: otherSize.narSize - 8),
            ])
        #expect(found.count == 4 && summary.problems == 4)
        #expect(summary.hashedBytes > good.narSize)
    }
}

extension VerifySummary {
    static func of(valid: Int, problems: Int, garbage: Int) -> VerifySummary {
        var summary = VerifySummary()
        summary.validPaths = valid
        summary.problems = problems
        summary.garbage = garbage
        return summary
    }
}
