import Glibc
import LaunchModel
import Testing

@testable import LauncherCore

/// Taking and copying without the verification that comes before them: they must not rely on it.
@Suite("What is decided again", .enabled(if: Privilege.runsRootTests))
struct SecondLookTests {
    private func rules(_ bench: Bench) throws -> OutputRules {
        OutputRules(
            builder: bench.builder,
            device: try HeldFile(borrowing: bench.out).status().identity.device)
    }

    /// Takes the plain output after `spoil`, without a look before.
    private func refusal(
        expecting identity: FileIdentity? = nil, after spoil: (Bench) throws -> Void
    ) throws -> Refusal? {
        let bench = try Bench()
        try bench.makeOutput()
        try spoil(bench)
        let name = try #require(FileName(parsing: [UInt8](Bench.name.utf8)))
        var taking = TreeTaking(
            by: .outputs(try rules(bench)), copies: .whereNeeded, for: bench.newOwner,
            in: HeldFile(borrowing: bench.out), ledger: LinkLedger(),
            budget: TreeBudget(Bench.roomy))
        do {
            let kind = try taking.take(name, called: [0x6f], expecting: identity)
            #expect(kind == .directory)
            return nil
        } catch {
            return error.refusal
        }
    }

    @Test("a plain output passes")
    func control() throws { #expect(try refusal { _ in } == nil) }

    @Test("taking refuses a file with names that were not counted")
    func uncounted() throws {
        let refusal = try refusal {
            try must(
                "link",
                Glibc.link("\($0.path)/out/\(Bench.name)/program", "\($0.path)/incoming/other"))
        }
        #expect(refusal == Refusal(.outputHardLink, subject: [UInt8]("o/program".utf8)))
    }

    @Test("taking refuses another top than the one that was verified")
    func exchanged() throws {
        let refusal = try refusal(expecting: FileIdentity(device: 0, inode: 0)) { _ in }
        #expect(refusal == Refusal(.outputOwnership, subject: [0x6f]))
    }

    @Test("taking refuses an access list")
    func accessList() throws {
        let refusal = try refusal {
            try $0.setAttribute(
                "system.posix_acl_access", AttributeValue.accessList(for: 61009),
                of: "out/\(Bench.name)/share")
        }
        #expect(refusal == Refusal(.outputAttributes, subject: [UInt8]("o/share".utf8)))
    }

    @Test("copying refuses what outputs may not hold")
    func copying() throws {
        for isSpoiled in [false, true] {
            let bench = try Bench()
            try bench.makeOutput()
            if isSpoiled {
                try must("chmod", chmod("\(bench.path)/out/\(Bench.name)/program", 0o4755))
            }
            let name = try #require(FileName(parsing: [UInt8](Bench.name.utf8)))
            var copying = TreeCopying(
                .outputs(try rules(bench), LinkLedger()), for: bench.newOwner,
                into: HeldFile(borrowing: bench.staging), budget: TreeBudget(Bench.roomy))
            var refusal: Refusal?
            do {
                _ = try copying.copy(
                    name, in: HeldFile(borrowing: bench.out), called: [0x6f],
                    as: FileName(decimal: 0))
            } catch {
                refusal = error.refusal
            }
            #expect(
                refusal
                    == (isSpoiled
                        ? Refusal(.outputSetID, subject: [UInt8]("o/program".utf8)) : nil))
        }
    }
}
