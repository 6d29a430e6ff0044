import DerivationFormat
import StoreModel
import Testing

@Suite("JSON form of derivations") struct DerivationJSONTests {
    @Test(
        "every derivation has the JSON that Nix printed, byte for byte, and is read from it again")
    func golden() throws {
        let bytes = Fixtures.read("derivations.json")
        let golden = try JSONValue(parsing: bytes)
        #expect([UInt8]((golden.text + "\n").utf8) == bytes)
        for (name, bytes) in Fixtures.derivations {
            let (path, derivation) = try Fixtures.parse(name, bytes)
            let value = try json(of: derivation)
            #expect(value == golden["derivations"]?[path.baseName])
            #expect(try DerivationFormat.derivation(from: value) == derivation)
        }
    }

    @Test("unknown, missing and mistyped members are named")
    func refuses() throws {
        let (_, derivation) = try Fixtures.parse(
            Fixtures.derivations[0].name, Fixtures.derivations[0].bytes)
        guard case .object(let members) = try json(of: derivation) else {
            Issue.record("a derivation should be an object")
            return
        }
        func read(_ key: String, _ value: JSONValue?) throws -> Derivation {
            var changed = members
            changed[key] = value
            return try DerivationFormat.derivation(from: .object(changed))
        }
        #expect(throws: DerivationJSONFault.unknown("sistem")) { try read("sistem", .string("x")) }
        #expect(throws: DerivationJSONFault.wrongType("system")) { try read("system", nil) }
        #expect(throws: DerivationJSONFault.wrongType("args")) { try read("args", .string("x")) }
        #expect(throws: DerivationJSONFault.wrongType("args.0")) {
            try read("args", .array([.null]))
        }
        #expect(throws: DerivationJSONFault.version("3")) { try read("version", .number("3")) }
        #expect(throws: DerivationJSONFault.wrongType("outputs")) {
            try read("outputs", .object([:]))
        }
        #expect(throws: DerivationJSONFault.unknown("outputs.out.x")) {
            try read(
                "outputs",
                .object(["out": .object(["path": .string("x"), "x": .null])]))
        }
        let input = "0123456789abcdfghijklmnpqrsvwxyz-a.drv"
        let nothing: JSONValue = .object(["outputs": .array([]), "dynamicOutputs": .object([:])])
        #expect(throws: DerivationJSONFault.nothingWanted("inputs.drvs." + input)) {
            try read(
                "inputs", .object(["drvs": .object([input: nothing]), "srcs": .array([])]))
        }
        #expect(throws: DerivationJSONFault.storePath("inputs.srcs.0")) {
            try read("inputs", .object(["drvs": .object([:]), "srcs": .array([.string("x")])]))
        }
    }
}

@Suite("Wants of wants in JSON") struct DynamicInputJSONTests {
    @Test("are refused beyond the limit in both directions, and never cut off")
    func limits() throws {
        let path = try StorePath(
            baseName: [UInt8]("0123456789abcdfghijklmnpqrsvwxyz-a.drv".utf8))
        var input = DerivationInput([.out])
        var value = JSONValue.object([
            "outputs": .array([.string("out")]), "dynamicOutputs": .object([:]),
        ])
        for _ in 0...derivationInputDepthLimit {
            input = DerivationInput([.out], dynamic: [.out: input])
            value = .object([
                "outputs": .array([.string("out")]), "dynamicOutputs": .object(["out": value]),
            ])
        }
        let derivation = Derivation(
            name: "x", outputs: [.out: .deferred], inputDerivations: [path: input],
            inputSources: [], system: "s", builder: "b", arguments: [], environment: [:])
        let place = "inputs.drvs." + path.baseName
        #expect(throws: DerivationJSONFault.tooDeep(place)) { try json(of: derivation) }
        let whole = JSONValue.object([
            "args": .array([]), "builder": .string("b"), "env": .object([:]),
            "inputs": .object([
                "drvs": .object([path.baseName: value]), "srcs": .array([]),
            ]),
            "name": .string("x"), "outputs": .object(["out": .object([:])]),
            "system": .string("s"), "version": .number("4"),
        ])
        let deep =
            place + String(repeating: ".dynamicOutputs.out", count: derivationInputDepthLimit)
        #expect(throws: DerivationJSONFault.tooDeep(deep)) {
            try DerivationFormat.derivation(from: whole)
        }
    }
}

@Suite("JSONValue") struct JSONValueTests {
    @Test(
        "prints compactly what it read",
        arguments: [
            ("null", "null"), (" [ 1 , 2.50 , -0e+1 ] ", "[1,2.50,-0e+1]"), ("{}", "{}"),
            ("[]", "[]"),
            (#"{"b":1,"a":[{"c":[]}]}"#, #"{"a":[{"c":[]}],"b":1}"#),
            (#""\u0041\ud83d\ude00\n\u0001\/""#, "\"A😀\\n\\u0001/\""),
            ("[[],{},[[]]]", "[[],{},[[]]]"),
        ])
    func prints(text: String, expected: String) throws {
        #expect(try JSONValue(parsing: [UInt8](text.utf8)).text == expected)
    }

    @Test(
        "refuses what RFC 8259 does not know",
        arguments: [
            "", "[", "]", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "01", "1.", "+1", ".5", "1e",
            "tru", "nulll",
            "\"\\x\"", "\"\\ud800\"", "\"\u{1}\"", "\"a", "[1}", "{\"a\":1]", "1 2", "{1:2}",
            "\"\\u+041\"",
        ])
    func refuses(text: String) {
        #expect(throws: JSONFault.self) { try JSONValue(parsing: [UInt8](text.utf8)) }
    }

    @Test("reads a list of a million items, each once")
    func longList() throws {
        let text = "[" + String(repeating: "1,", count: 1_000_000) + "1]"
        guard case .array(let items) = try JSONValue(parsing: [UInt8](text.utf8)) else {
            Issue.record("a list should be a list")
            return
        }
        #expect(items.count == 1_000_001)
    }

    @Test("refuses a key that stands twice, and nesting beyond its limit")
    func limits() throws {
        #expect(throws: JSONFault.repeatedKey("a", at: 10)) {
            try JSONValue(parsing: [UInt8](#"{"a":1,"a":2}"#.utf8))
        }
        let depth = JSONValue.depthLimit
        let nested = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
        #expect(throws: Never.self) { try JSONValue(parsing: [UInt8](nested(depth).utf8)) }
        #expect(throws: JSONFault.tooDeep(at: depth)) {
            try JSONValue(parsing: [UInt8](nested(depth + 1).utf8))
        }
        #expect(throws: JSONFault.tooDeep(at: depth)) {
            try JSONValue(parsing: [UInt8](String(repeating: "[", count: 1_000_000).utf8))
        }
    }
}
