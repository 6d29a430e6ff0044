import DerivationFormat
import Recipes
import StoreModel
import Testing

/// The real Nix and a recipe, given the same descriptions.
@Suite("Recipes beside the real Nix") struct NixComparisonTests {
    static let sri = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    static let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// Evaluates both and compares every derivation byte for byte, and every source.
    private func compare(
        recipe: String, nix: String, besides files: [(String, String)] = []
    ) throws -> RecipeResult {
        let scratch = try Scratch()
        try scratch.write("project/tree/file", "hello\n")
        try scratch.write("project/tree/run", "#!/bin/sh\n", isExecutable: true)
        try scratch.write("project/tree/a b/deep/empty", "")
        try scratch.link("project/tree/link", to: "a b/deep")
        try scratch.write("project/run", "#!/bin/sh\n", isExecutable: true)
        try scratch.link("project/pointer", to: "tree/file")
        for (name, text) in files { try scratch.write(name, text) }
        let file = try scratch.write("project/kiln.toml", recipe)
        try scratch.write("project/default.nix", nix)
        let directory = scratch.path + "/store"
        _ = try scratch.run(
            "/usr/bin/nix-instantiate", [scratch.path + "/project/default.nix"],
            [
                "NIX_STORE_DIR": directory, "NIX_STATE_DIR": scratch.path + "/state",
                "NIX_LOG_DIR": scratch.path + "/log", "NIX_CONF_DIR": scratch.path + "/conf",
                "HOME": scratch.path,
            ])
        let store = try #require(StoreDirectory([UInt8](directory.utf8)))
        let result = try evaluateRecipe(file: file, system: "x86_64-linux", store: store)
        for (path, derivation) in result.derivations {
            let text = try scratch.read("store/" + path.baseName)
            #expect(aterm(of: derivation, in: store) == text)
        }
        for case .text(_, let contents, _, let path) in result.sources {
            #expect(try scratch.read("store/" + path.baseName) == contents)
        }
        let ours =
            result.derivations.map(\.path.baseName) + result.sources.map(\.storePath.baseName)
        #expect(
            ours.sorted() == (try scratch.names(in: "store")).filter { !$0.hasPrefix(".") })
        return result
    }

    @Test("builders, variables of every type, trees, texts that refer to texts, several outputs")
    func ordinary() throws {
        let result = try compare(
            recipe: #"""
                [derivation.lib]
                name = "lib-1.0"
                outputs = ["dev", "out"]
                builder = "@{tool}"
                args = ["-c", "echo @{src} \"@@{x}\" a@b ${HOME}\n\t> @{out}", ""]

                [derivation.lib.env]
                CFLAGS = "-O2 -I@{dev}/include"
                empty = ""
                number = -3
                yes = true
                no = false
                list = ["a", 1, true, "@{data}"]
                passAsFile = ["big"]
                big = "ünïcödé \\ \" \r"

                [derivation.lib.inputs]
                src = { path = "tree" }
                named = { path = "./tree/../tree", name = "renamed-1.0" }
                tool = { path = "run" }
                pointer = { path = "pointer" }
                conf = { text = "see @{data} and @{src}\n", name = "conf.txt" }
                data = { text = "plain data\n" }

                [derivation.user]
                system = "aarch64-linux"
                builder = "/bin/sh"
                [derivation.user.inputs]
                first = { derivation = "lib" }
                second = { derivation = "lib", output = "out" }
                third = { derivation = "other", file = "../other/kiln.toml" }
                """#,
            nix: #"""
                let
                  d = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
                  data = builtins.toFile "data" "plain data\n";
                  lib = d {
                    name = "lib-1.0"; outputs = [ "dev" "out" ];
                    builder = "${tool}"; inherit tool data; src = ./tree;
                    args = [ "-c" "echo ${./tree} \"@{x}\" a@b \${HOME}\n\t> ${placeholder "out"}" "" ];
                    CFLAGS = "-O2 -I${placeholder "dev"}/include"; empty = ""; number = -3;
                    yes = true; no = false; list = [ "a" 1 true data ]; passAsFile = [ "big" ];
                    big = "ünïcödé \\ \" \r"; pointer = ./pointer;
                    named = builtins.path { path = ./tree; name = "renamed-1.0"; };
                    conf = builtins.toFile "conf.txt" "see ${data} and ${./tree}\n";
                  };
                  tool = ./run;
                in d { name = "user"; system = "aarch64-linux"; first = lib; second = lib.out;
                       third = d { name = "other"; x = ../other/file; }; }
                """#,
            besides: [
                ("other/file", "x"),
                (
                    "other/kiln.toml",
                    """
                    [derivation.other]
                    builder = "/bin/sh"
                    [derivation.other.inputs]
                    x = { path = "file" }
                    [derivation.unused]
                    builder = "/bin/false"
                    """
                ),
            ])
        #expect(result.derivations.count == 3)
        let last = try #require(result.derivations.last)
        #expect(result.wanted == [.built(last.path, outputs: nil)])
        #expect(result.names[last.path] == "user")
    }

    @Test("scripts, which are texts that the shell gets")
    func scripts() throws {
        _ = try compare(
            recipe: #"""
                [derivation.a]
                script = """
                echo "@{out} $out ${out}" > $out
                """
                """#,
            nix: #"""
                derivation { name = "a"; system = "x86_64-linux"; builder = "/bin/sh";
                  args = [ "-e" (builtins.toFile "a.sh" "echo \"@{out} $out \${out}\" > $out\n") ]; }
                """#)
    }

    @Test("promised content, flat and recursive, in every form of a hash")
    func fixed() throws {
        let result = try compare(
            recipe: """
                [derivation.flat]
                builder = "/bin/sh"
                outputHash = "\(Self.hex)"
                outputHashAlgo = "sha256"
                [derivation.recursive]
                builder = "/bin/sh"
                outputHash = "\(Self.sri)"
                outputHashMode = "recursive"
                [derivation.old]
                builder = "/bin/sh"
                outputs = ["out"]
                outputHash = "sha1:0123456789abcdef0123456789abcdef01234567"
                outputHashMode = "flat"
                [derivation.user]
                builder = "/bin/sh"
                inputs.flat = { derivation = "flat" }
                inputs.recursive = { derivation = "recursive" }
                inputs.old = { derivation = "old" }
                """,
            nix: """
                let d = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
                in d { name = "user";
                  flat = d { name = "flat"; outputHash = "\(Self.hex)"; outputHashAlgo = "sha256"; };
                  recursive = d { name = "recursive"; outputHash = "\(Self.sri)"; outputHashMode = "recursive"; };
                  old = d { name = "old"; outputs = [ "out" ]; outputHashMode = "flat";
                    outputHash = "sha1:0123456789abcdef0123456789abcdef01234567"; }; }
                """)
        #expect(result.wanted.count == 1)
    }

    @Test("what is fetched, as <nix/fetchurl.nix> describes it")
    func downloads() throws {
        let result = try compare(
            recipe: """
                [derivation.user]
                builder = "/bin/sh"
                [derivation.user.inputs]
                plain = { url = "https://example.org/a/hello-1.0.tar.gz", hash = "\(Self.sri)" }
                program = { url = "https://example.org/run", hash = "\(Self.sri)", executable = true }
                tree = { url = "https://example.org/x.nar", hash = "\(Self.sri)", unpack = true, name = "tree" }
                old = { url = "https://example.org/old", hash = "sha256:\(Self.hex)" }
                """,
            nix: """
                let fetch = import <nix/fetchurl.nix>; hash = "\(Self.sri)";
                in derivation { name = "user"; system = "x86_64-linux"; builder = "/bin/sh";
                  plain = fetch { url = "https://example.org/a/hello-1.0.tar.gz"; inherit hash; };
                  program = fetch { url = "https://example.org/run"; inherit hash; executable = true; };
                  tree = fetch { url = "https://example.org/x.nar"; inherit hash; unpack = true; name = "tree"; };
                  old = fetch { url = "https://example.org/old"; hash = "sha256:\(Self.hex)"; }; }
                """)
        #expect(result.derivations.count == 5)
        #expect(result.names.values.contains("plain"))
    }
}
