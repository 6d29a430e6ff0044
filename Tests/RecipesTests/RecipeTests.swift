import DerivationFormat
import Recipes
import StoreModel
import Testing

@Suite("Recipes") struct RecipeTests {
    static let three = """
        profile = "host-toolchain"

        [derivation.top]
        script = ''
        inputs.x = { derivation = "middle" }

        [derivation.middle]
        script = ''
        outputs = ["out", "dev"]
        inputs.x = { derivation = "bottom" }

        [derivation.bottom]
        script = ''

        [derivation.alone]
        script = ''
        """

    private func evaluate(_ text: String, _ select: [String] = []) throws -> RecipeResult {
        let scratch = try Scratch()
        let file = try scratch.write("kiln.toml", text)
        return try evaluateRecipe(file: file, select: select, system: "x86_64-linux")
    }

    private func wanted(_ result: RecipeResult) -> [String] {
        result.wanted.map {
            guard case .built(let path, let outputs) = $0 else { return "a source" }
            let names = outputs.map { "^" + $0.sorted().map { "\($0)" }.joined(separator: ",") }
            return (result.names[path] ?? "?") + (names ?? "")
        }
    }

    @Test("build what no other derivation uses, or the default, or what was asked for")
    func selection() throws {
        #expect(wanted(try evaluate(Self.three)) == ["top", "alone"])
        #expect(wanted(try evaluate("default = ['middle']\n" + Self.three)) == ["middle"])
        let result = try evaluate(Self.three, ["middle^dev", "bottom"])
        #expect(wanted(result) == ["middle^dev", "bottom"])
        #expect(result.derivations.map { result.names[$0.path] } == ["bottom", "middle"])
        #expect(throws: RecipeErrors.self) { try evaluate(Self.three, ["mid"]) }
        #expect(throws: RecipeErrors.self) { try evaluate(Self.three, ["middle^lib"]) }
    }

    @Test("inputs come before users, whatever the order of the file")
    func order() throws {
        let result = try evaluate(Self.three)
        var seen: Set<StorePath> = []
        for (path, derivation) in result.derivations {
            #expect(seen.isSuperset(of: derivation.inputDerivations.keys))
            seen.insert(path)
        }
        #expect(seen.count == 4)
    }

    @Test("the profile is told, and no derivation knows it")
    func profile() throws {
        let with = try evaluate(Self.three)
        let without = try evaluate(Self.three.replacing("profile", with: "#"))
        #expect(with.profile == "host-toolchain" && without.profile == nil)
        #expect(with.derivations.map(\.path) == without.derivations.map(\.path))
    }

    @Test("files that ask for different profiles are not built together")
    func profiles() throws {
        let scratch = try Scratch()
        try scratch.write("b.toml", "profile = 'strict'\n[derivation.b]\nscript = ''")
        let file = try scratch.write(
            "a.toml",
            "profile = 'default'\n[derivation.a]\nscript = ''\ninputs.b = { derivation = 'b', file = 'b.toml' }"
        )
        do {
            _ = try evaluateRecipe(file: file, system: "x86_64-linux")
            Issue.record("two profiles should be refused")
        } catch {
            #expect("\(error)".contains("b.toml:1:1"))
        }
    }

    @Test("a chain of 2,000 derivations is followed without recursion")
    func chain() throws {
        var text = "[derivation.n0]\nscript = ''\n"
        for number in 1..<2_000 {
            text += "[derivation.n\(number)]\nbuilder = 'b'\n"
            text += "inputs.x = { derivation = 'n\(number - 1)' }\n"
        }
        let result = try evaluate(text)
        #expect(result.derivations.count == 2_000)
        #expect(wanted(result) == ["n1999"])
    }

    @Test("the same source under two names is added once")
    func sources() throws {
        let result = try evaluate(
            """
            [derivation.a]
            builder = "/bin/sh"
            inputs.x = { text = "same", name = "text" }
            inputs.y = { text = "same", name = "text" }
            inputs.z = { text = "refers to @{x}" }
            """)
        #expect(result.sources.map(\.storePath.objectName) == ["text", "z"])
    }

    @Test("every example is a recipe")
    func examples() throws {
        let root = String(#filePath.dropLast("Tests/RecipesTests/RecipeTests.swift".utf8.count))
        let result = try evaluateRecipe(
            file: root + "examples/greeting/kiln.toml", system: "x86_64-linux")
        #expect(result.derivations.count == 3)
        #expect(result.profile == "host-toolchain")

        // The sources of this one are fetched, so something else stands in their place.
        let scratch = try Scratch()
        for name in ["hello", "zlib", "lua5.4"] {
            try scratch.write("sources/\(name)/orig.tar", "")
            try scratch.write("sources/\(name)/debian.tar", "")
        }
        for name in ["kiln.toml", "patch.sh", "test.lua"] {
            try scratch.link(name, to: root + "examples/real/" + name)
        }
        let text = String(decoding: try scratch.read("kiln.toml"), as: UTF8.self)
        try scratch.write("copy.toml", text)
        let real = try evaluateRecipe(file: scratch.path + "/copy.toml", system: "x86_64-linux")
        #expect(real.derivations.count == 7 && real.wanted.count == 3)
    }
}
