import Recipes
import StoreModel
import Testing

@Suite("Mistakes in recipes") struct RecipeErrorTests {
    private func errors(of text: String, select: [String] = []) throws -> [RecipeError] {
        let scratch = try Scratch()
        let file = try scratch.write("kiln.toml", text)
        do {
            _ = try evaluateRecipe(file: file, select: select, system: "x86_64-linux")
            return []
        } catch {
            return error.errors
        }
    }

    @Test(
        "are told with line, column, and what was probably meant",
        arguments: [
            ("", 1, 1, "no derivation", "[derivation.NAME]"),
            ("x = [", 1, 6, "array", nil),
            ("x = 1\n[[[", 2, 3, "name of a table", nil),
            ("[ .a]", 1, 3, "name of a table", nil),
            ("[=]", 1, 2, "name of a table", nil),
            ("a = \"\\u0000\"", 1, 1, "NUL", nil),
            ("derivation = 1", 1, 1, "must be a table, not an integer", nil),
            ("[derivation.a]\n builde = \"x\"", 2, 2, "not a key of a derivation", "`builder`"),
            ("[derivation.a]\nenv = {}", 1, 1, "nothing to run", "`script`"),
            ("[derivation.a]\nbuilder = 1", 2, 1, "must be a string, not an integer", nil),
            ("[derivation.a]\nscript = ''\nargs = []", 3, 1, "either `script`", nil),
            (
                "[derivation.\"a b\"]\nscript = ''", 1, 1, "cannot be the name of a derivation",
                "207"
            ),
            ("[derivation.a]\nscript = ''\nname = 'a.drv'", 3, 1, "cannot be the name", nil),
            ("[derivation.a]\nscript = ''\noutputs = []", 3, 1, "at least one output", nil),
            ("[derivation.a]\nscript = ''\noutputs = ['a', 'a']", 3, 1, "named twice", nil),
            ("[derivation.a]\nscript = ''\noutputs = ['a/b']", 3, 1, "name of an output", nil),
            ("[derivation.a]\nscript = ''\noutputs = ['name']", 3, 1, "no output", nil),
            ("[derivation.a]\nscript = ''\nenv = { x = 1.5 }", 3, 9, "not a number", nil),
            ("[derivation.a]\nscript = ''\n[derivation.a.env]\nname = ''", 4, 1, "`env`", "`name`"),
            ("[derivation.a]\nscript = ''\n[derivation.a.env]\nout = ''", 4, 1, "already", nil),
            (
                "[derivation.a]\nscript = ''\n[derivation.a.env]\nx = '@{sr}'\n[derivation.a.inputs]\nsrc = { text = '' }",
                4, 1, "neither an input nor an output", "`src`"
            ),
            ("[derivation.a]\nbuilder = 'a@{out'", 2, 1, "no `}`", "@@{"),
            ("[derivation.a]\nscript = ''\ninputs.x = {}", 3, 1, "must be one of", nil),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { pth = 'a' }", 3, 1, "must be one of",
                "`path`"
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { text = '', output = 'a' }", 3, 25,
                "not a key of an input", "known are text, name"
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.a-b = { text = '' }", 3, 1,
                "name of an input", "variable"
            ),
            ("[derivation.a]\nscript = ''\ninputs.out = { text = '' }", 3, 1, "is an output", nil),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { text = '', name = 'a/b' }", 3, 25,
                "name of a store object", nil
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { path = 'missing' }", 3, 14,
                "No such file", nil
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { path = '/' }", 3, 14,
                "cannot be the name", "`name`"
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { url = 'https://h/a' }", 3, 1, "`hash`",
                "sha256"
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { url = 'https://h/a', hash = 'abc' }", 3,
                35, "algorithm", nil
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { url = 'x', hash = 'abc' }", 3, 14,
                "not a URL", nil
            ),
            (
                "[derivation.abc]\nscript = ''\ninputs.x = { derivation = 'acb' }", 3, 14,
                "no derivation `acb`", "`abc`"
            ),
            (
                "[derivation.a]\nscript = ''\n[derivation.b]\nscript = ''\ninputs.x = { derivation = 'a', output = 'dev' }",
                5, 32, "no output `dev`", "out"
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { derivation = 'a', file = 'none.toml' }",
                3, 32, "No such file", nil
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { text = '@{y}' }\ninputs.y = { text = '@{x}' }",
                3, 14, "circle", nil
            ),
            (
                "[derivation.a]\nscript = ''\ninputs.x = { text = '@{out}' }", 3, 14,
                "not an input", nil
            ),
            (
                "[derivation.a]\nscript = ''\n[derivation.b]\nscript = ''\ninputs.a = { derivation = 'a' }\ninputs.t = { text = '@{a}' }",
                6, 14, "is built", nil
            ),
            (
                "[derivation.a]\nscript = ''\noutputHash = 'sha256-x'", 3, 1, "wrong length", nil
            ),
            ("[derivation.a]\nscript = ''\noutputHashMode = 'flat'", 3, 1, "`outputHash`", nil),
            ("default = ['b']\n[derivation.bb]\nscript = ''", 1, 1, "no derivation `b`", nil),
            ("profile = 'A'\n[derivation.a]\nscript = ''", 1, 1, "not a profile name", nil),
        ] as [(String, Int, Int, String, String?)])
    func places(text: String, line: Int, column: Int, message: String, suggestion: String?) throws {
        let error = try #require(try errors(of: text).first)
        #expect((error.line, error.column) == (line, column), "\(error)")
        #expect(error.message.contains(message), "\(error)")
        if let suggestion {
            #expect(error.suggestion?.contains(suggestion) == true, "\(error)")
        }
        #expect("\(error)".contains("kiln.toml:\(line):\(column): error: "))
    }

    @Test("are told all at once")
    func several() throws {
        let found = try errors(of: "[derivation.a]\nx = 1\nscript = ''\n[derivation.b]\nargs = 1")
        #expect(found.map(\.line) == [2, 5])
    }

    @Test("circles are named, in one file and over several")
    func cycles() throws {
        let found = try errors(
            of: """
                [derivation.a]
                script = ''
                inputs.x = { derivation = 'b' }
                [derivation.b]
                script = ''
                inputs.x = { derivation = 'a' }
                """)
        #expect(found.map(\.message) == ["derivations need one another: `a` needs `b` needs `a`"])
        #expect(found.map(\.line) == [6])

        let scratch = try Scratch()
        let file = try scratch.write(
            "kiln.toml",
            "[derivation.a]\nscript = ''\ninputs.x = { derivation = 'b', file = 'b/kiln.toml' }")
        try scratch.write(
            "b/kiln.toml",
            "[derivation.b]\nscript = ''\ninputs.x = { derivation = 'a', file = '../kiln.toml' }")
        do {
            _ = try evaluateRecipe(file: file, system: "x86_64-linux")
            Issue.record("a circle should be refused")
        } catch {
            #expect("\(error)".contains("`a` needs `b` of "))
            #expect("\(error)".contains("b/kiln.toml needs `a`"))
        }
    }

    @Test("files that name files are followed to a limit")
    func nesting() throws {
        let scratch = try Scratch()
        for number in 0..<40 {
            try scratch.write(
                "\(number).toml",
                """
                [derivation.a]
                script = ''
                inputs.x = { derivation = 'a', file = '\(number + 1).toml' }
                """)
        }
        do {
            _ = try evaluateRecipe(file: scratch.path + "/0.toml", system: "x86_64-linux")
            Issue.record("40 files should be too many")
        } catch {
            #expect("\(error)".contains("32.toml:3:32"))
            #expect("\(error)".contains("more than 32 deep"))
        }
    }

    @Test("a file that is missing, a directory, not UTF-8 or too large is refused")
    func files() throws {
        let scratch = try Scratch()
        try scratch.write("large", String(repeating: "#\n", count: 3 << 20))
        for (name, message) in [
            ("none", "No such file"), (".", "not a regular file"), ("large", "the limit of"),
        ] {
            do {
                _ = try evaluateRecipe(file: scratch.path + "/" + name, system: "x86_64-linux")
                Issue.record("\(name) should be refused")
            } catch {
                #expect("\(error)".contains(message))
            }
        }
    }

    @Test("tables nested without end are refused and do not end the process")
    func deep() throws {
        let text =
            "x = " + String(repeating: "[", count: 100_000)
            + String(repeating: "]", count: 100_000)
        #expect(!(try errors(of: text)).isEmpty)
        let dotted = String(repeating: "x.", count: 50_000) + "x"
        let inline = String(repeating: "{ x = ", count: 50_000)
        for text in [
            dotted + " = 1", "[" + dotted + "]", "x = { " + dotted + " = 1 }", "x = " + inline,
        ] {
            #expect(try errors(of: text).first?.message.contains("keys nest deeper") == true)
        }
    }
}
