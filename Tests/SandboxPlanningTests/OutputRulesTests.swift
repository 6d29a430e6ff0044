import Hashing
import LaunchModel
import SandboxPlanning
import StoreModel
import Testing

@Suite("Output rules") struct OutputRulesTests {
    static let out = path(1, "x")
    static let devPath = path(2, "x-dev")
    static let a = path(10, "a")
    static let b = path(11, "b")

    static func scanned(_ path: StorePath, _ references: Set<StorePath> = [], size: UInt64 = 10)
        -> ScannedOutput
    {
        ScannedOutput(
            path: path, kind: .directory, isExecutable: false,
            narHash: Digest(.sha256, bytes: [UInt8](repeating: 1, count: 32)), narSize: size,
            references: references)
    }

    func check(
        _ environment: [ByteString: ByteString], out: Set<StorePath> = [], dev: Set<StorePath> = []
    ) -> OutputFault? {
        do {
            _ = try checkOutputs(
                [
                    .out: Self.scanned(Self.out, out),
                    SandboxPlanningTests.dev: Self.scanned(Self.devPath, dev),
                ],
                of: build(environment), in: .standard, registrationTime: 1)
            return nil
        } catch {
            return error
        }
    }

    @Test("an absent rule allows everything, an empty one nothing")
    func allowed() {
        #expect(check([:], out: [Self.a, Self.out]) == nil)
        #expect(check(["allowedReferences": ""], out: []) == nil)
        #expect(
            check(["allowedReferences": ""], out: [Self.a])
                == .forbidden(Self.out, rule: "allowedReferences", [Self.a]))
        #expect(
            check(["allowedReferences": ""], out: [Self.out])
                == .forbidden(Self.out, rule: "allowedReferences", [Self.out]))
        #expect(check(["allowedReferences": "out"], out: [Self.out]) == nil)
        #expect(
            check(["allowedReferences": ByteString("/nix/store/\(Self.a)")], out: [Self.a]) == nil)
    }

    @Test("requisites are the whole closure, the output itself not counted")
    func requisites() {
        let a = ByteString("/nix/store/\(Self.a)")
        #expect(check(["allowedReferences": a], out: [Self.a]) == nil)
        #expect(
            check(["allowedRequisites": a], out: [Self.a, Self.out])
                == .forbidden(Self.out, rule: "allowedRequisites", [Self.b]))
        let b = ByteString("/nix/store/\(Self.b)")
        #expect(check(["disallowedReferences": b], out: [Self.a]) == nil)
        #expect(
            check(["disallowedRequisites": b], dev: [Self.out, Self.a])
                == .forbidden(Self.devPath, rule: "disallowedRequisites", [Self.b]))
        #expect(check(["disallowedRequisites": b], out: [Self.a], dev: [Self.out]) != nil)
    }

    @Test("structured rules are by output, count the output itself, and limit sizes")
    func structured() {
        let self_ = check([
            "__json": #"{"outputChecks":{"out":{"allowedRequisites":[]}}}"#
        ])
        #expect(self_ == .forbidden(Self.out, rule: "allowedRequisites", [Self.out]))
        #expect(
            check(["__json": #"{"outputChecks":{"out":{"maxSize":9}}}"#])
                == .tooLarge(Self.out, rule: "maxSize", size: 10, limit: 9))
        #expect(check(["__json": #"{"outputChecks":{"out":{"maxSize":10}}}"#]) == nil)
        #expect(
            check(["__json": #"{"outputChecks":{"dev":{"maxClosureSize":209}}}"#], dev: [Self.a])
                == .tooLarge(Self.devPath, rule: "maxClosureSize", size: 210, limit: 209))
    }

    @Test("a rule that cannot be read is refused, not skipped")
    func unreadable() {
        #expect(check(["allowedReferences": "nonsense"]) != nil)
        #expect(check(["__json": #"{"outputChecks":[]}"#]) != nil)
        #expect(check(["__json": #"{"outputChecks":{"out":{"maxSize":-1}}}"#]) != nil)
        #expect(check(["__json": #"{"outputChecks":{"out":{"allowedReferences":"a"}}}"#]) != nil)
    }

    @Test("outputs that refer to each other in a circle are refused")
    func cycle() {
        #expect(check([:], out: [Self.out], dev: [Self.out]) == nil)
        #expect(
            check([:], out: [Self.devPath], dev: [Self.out]) == .cycle([Self.out, Self.devPath]))
    }

    @Test("a missing output is named")
    func missing() {
        #expect(throws: OutputFault.missing(dev, Self.devPath)) {
            try checkOutputs(
                [.out: Self.scanned(Self.out)], of: build(), in: .standard, registrationTime: 0)
        }
    }

    @Test(
        "promised content is what was promised, one plain file if it was hashed as one, and refers to nothing"
    )
    func promises() throws {
        let digest = Digest.of(.sha1, "content")
        func fixed(_ method: ContentAddressMethod, _ change: (inout ScannedOutput) -> Void)
            -> Result<CheckedOutputs, OutputFault>
        {
            var build = build()
            let address = ContentAddress(method: method, digest: digest)
            build.derivation.outputs = [.out: .fixed(Self.out, address)]
            var output = Self.scanned(Self.out)
            output.kind = .regular
            output.promisedDigest = digest
            change(&output)
            return Result { () throws(OutputFault) in
                try checkOutputs([.out: output], of: build, in: .standard, registrationTime: 5)
            }
        }
        let info = try fixed(.flat) { _ in }.get().infos[.out]
        #expect(info?.contentAddress == ContentAddress(method: .flat, digest: digest))
        #expect(info?.deriver == path(0, "x.drv") && info?.registrationTime == 5)
        #expect(fixed(.flat) { $0.isExecutable = true } == .failure(.notOneFile(Self.out)))
        #expect(fixed(.flat) { $0.kind = .directory } == .failure(.notOneFile(Self.out)))
        #expect(throws: Never.self) { try fixed(.recursive) { $0.kind = .directory }.get() }
        let other = Digest.of(.sha1, "other")
        #expect(
            fixed(.recursive) { $0.promisedDigest = other }
                == .failure(
                    .hashMismatch(derivation: path(0, "x.drv"), specified: digest, got: other)))
        #expect(fixed(.recursive) { $0.promisedDigest = nil } != fixed(.recursive) { _ in })
        #expect(
            fixed(.recursive) { $0.references = [Self.a] }
                == .failure(.promisedContentRefers(Self.out, to: [Self.a])))
    }
}
