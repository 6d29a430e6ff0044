import StoreDatabase
import StoreModel
import Testing

@Suite("Queries") struct QueryTests {
    let scratch: Scratch
    let rows: StoreDatabase

    init() throws {
        scratch = try Scratch()
        rows = try scratch.open()
    }

    @Test("a closure has everything that is reached, once, with its references")
    func closure() throws {
        let diamond = [
            info("top", references: ["left", "right", "top"]),
            info("left", references: ["bottom"]), info("right", references: ["bottom"]),
            info("bottom"),
        ]
        try rows.add(diamond + [info("other", references: ["top"])])
        let closure = try rows.closure(of: [sample("top")])
        #expect(Set(closure.values) == Set(diamond))
        #expect(
            try rows.closure(of: [sample("left"), sample("bottom")]).keys.sorted()
                == [sample("left"), sample("bottom")].sorted())
        #expect(try rows.closure(of: []).isEmpty)
        #expect(throws: StoreDatabaseError.notValid(sample("nothing"))) {
            try rows.closure(of: [sample("nothing"), sample("top")])
        }
        #expect(
            try rows.referrers(of: sample("top")) == [sample("top"), sample("other")])
    }

    @Test("a chain of 10,000 objects has a closure of 10,000")
    func chain() throws {
        let chain = (0..<10_000).map { number in
            info("c\(number)", references: number == 0 ? [] : ["c\(number - 1)"])
        }
        try rows.add(chain)
        #expect(
            try rows.closure(of: [sample("c9999")])
                == Dictionary(
                    uniqueKeysWithValues: chain.map { ($0.path, $0) }))
        #expect(try rows.validPaths(among: Set(chain.map(\.path) + [sample("x")])).count == 10_000)
    }

    @Test("a hash part finds its path and nothing else")
    func hashPart() throws {
        let infos = (0..<50).map { info("p\($0)") }
        try rows.add(infos)
        for info in infos {
            #expect(try rows.path(withHashPart: info.path.hashPart) == info.path)
        }
        #expect(try rows.path(withHashPart: sample("nothing").hashPart) == nil)
        #expect(try rows.path(withHashPart: "") == nil)
        #expect(try rows.path(withHashPart: String(infos[0].path.hashPart.dropLast())) == nil)
        #expect(try rows.path(withHashPart: "../../../../../../../etc/passwd/") == nil)
    }

    @Test(
        "what is referred to cannot become invalid alone, and can together with what refers to it")
    func invalidate() throws {
        try rows.add(
            [
                info("a"), info("b", references: ["a", "b"]), info("b.drv"),
            ], outputs: [sample("b.drv"): [.out: sample("b")]])
        #expect(throws: StoreDatabaseError.stillReferenced(sample("a"), by: sample("b"))) {
            try rows.invalidate([sample("a"), sample("b.drv")])
        }
        #expect(try rows.allValidPaths().count == 3)
        try rows.invalidate([sample("a"), sample("b"), sample("nothing")])
        #expect(try rows.allValidPaths() == [sample("b.drv")])
        try rows.invalidate([sample("b.drv")])
        #expect(try rows.validDerivers(of: sample("b")).isEmpty)
        #expect(try scratch.sqlite("select count(*) from Refs") == "0\n")
        #expect(try scratch.sqlite("select count(*) from DerivationOutputs") == "0\n")
    }
}
