import DerivationFormat
import Hashing
import LaunchModel
import SandboxPlanning
import StoreModel
import Testing

/// A store path with a number in its hash part.
func path(_ number: Int, _ name: String) -> StorePath {
    let digits = String(number)
    let hash = String(repeating: "0", count: 32 - digits.utf8.count) + digits
    do {
        return try StorePath(baseName: [UInt8]("\(hash)-\(name)".utf8))
    } catch {
        preconditionFailure("\(error)")
    }
}

let dev = OutputName([UInt8]("dev".utf8)) ?? .out

func facts(_ number: UInt8, size: UInt64 = 100, references: Set<StorePath> = []) -> ObjectFacts {
    ObjectFacts(
        narHash: Digest(.sha256, bytes: [UInt8](repeating: number, count: 32)), narSize: size,
        references: references)
}

/// A derivation `x` with the output `out` at number 1 and `dev` at number 2, and inputs 10 and 11.
func build(_ environment: [ByteString: ByteString] = [:]) -> ResolvedBuild {
    let derivation = Derivation(
        name: "x",
        outputs: [.out: .inputAddressed(path(1, "x")), dev: .inputAddressed(path(2, "x-dev"))],
        inputDerivations: [:], inputSources: [path(10, "a")], system: "x86_64-linux",
        builder: "/bin/sh", arguments: ["-c", "true"], environment: environment)
    return ResolvedBuild(
        path: path(0, "x.drv"), derivation: derivation,
        closure: [path(10, "a"): facts(10, references: [path(11, "b")]), path(11, "b"): facts(11)])
}

let settings = BuildSettings(system: "x86_64-linux", extraSystems: ["i686-linux"], cores: 3)

func environment(of request: LaunchRequest) -> [String] {
    request.environment.map { String(decoding: $0, as: UTF8.self) }
}

func contents(of name: String, in request: LaunchRequest) -> String? {
    request.files.first { $0.name == [UInt8](name.utf8) }
        .map { String(decoding: $0.contents, as: UTF8.self) }
}

@Suite("Planning") struct PlanningTests {
    @Test(
        "a builder gets exactly the environment of the reference, sorted, and what it may not override"
    )
    func variables() throws {
        let request = try plan(
            build(["HOME": "/h", "TMPDIR": "/evil", "a": "b", "out": "/o"]), settings: settings)
        #expect(
            environment(of: request) == [
                "HOME=/h", "NIX_BUILD_CORES=3", "NIX_BUILD_TOP=/build", "NIX_LOG_FD=2",
                "NIX_STORE=/nix/store", "PATH=/path-not-set", "PWD=/build", "TEMP=/build",
                "TEMPDIR=/build", "TERM=xterm-256color", "TMP=/build", "TMPDIR=/build", "a=b",
                "out=/o",
            ])
        #expect(
            request.arguments.map { String(decoding: $0, as: UTF8.self) } == ["sh", "-c", "true"])
        #expect(request.inputs == [path(10, "a").name, path(11, "b").name])
        #expect(request.outputs == [path(2, "x-dev").name, path(1, "x").name])
        #expect(try LaunchRequest(decoding: request.encoded) == request)
    }

    @Test("fixed outputs are told so, and get the variables of the administrator's list alone")
    func impure() throws {
        var fixed = build(["impureEnvVars": "http_proxy SECRET"])
        fixed.derivation.outputs = [
            .out: .fixed(path(1, "x"), ContentAddress(method: .flat, digest: .of(.sha256, "")))
        ]
        var settings = settings
        settings.impureVariables = ["http_proxy": "p"]
        let variables = environment(of: try plan(fixed, settings: settings))
        #expect(variables.contains("NIX_OUTPUT_CHECKED=1"))
        #expect(variables.contains("http_proxy=p") && variables.contains("SECRET="))
        let other = environment(
            of: try plan(build(["impureEnvVars": "http_proxy"]), settings: settings))
        #expect(
            !other.contains { $0.hasPrefix("http_proxy") || $0.hasPrefix("NIX_OUTPUT_CHECKED") })
    }

    @Test("fixed outputs are copied, whatever the profile says, and others may stay where they are")
    func handOver() throws {
        var fixed = build()
        fixed.derivation.outputs = [
            .out: .fixed(path(1, "x"), ContentAddress(method: .flat, digest: .of(.sha256, "")))
        ]
        let request = try plan(fixed, settings: settings)
        #expect(request.handOver == .copied)
        #expect(try LaunchRequest(decoding: request.encoded) == request)
        #expect(try plan(build(), settings: settings).handOver == .inPlace)
    }

    @Test("values pass as files under a name that follows from the variable")
    func passAsFile() throws {
        let request = try plan(
            build(["passAsFile": "big  missing\n", "big": "text"]), settings: settings)
        let name = ".attr-" + NixBase32.encode(Digest.of(.sha256, "big").bytes)
        #expect(contents(of: name, in: request) == "text")
        let variables = environment(of: request)
        #expect(variables.contains("bigPath=/build/\(name)"))
        #expect(!variables.contains { $0.hasPrefix("big=") })
    }

    @Test("placeholders of outputs become paths everywhere")
    func placeholders() throws {
        let text = placeholder(for: dev)
        #expect(text.bytes.count == 53)
        var build = build(["a": ByteString("-" + text.description + "/" + text.description)])
        build.derivation.arguments = [text, "/0"]
        let request = try plan(build, settings: settings)
        let real = "/nix/store/\(path(2, "x-dev"))"
        #expect(environment(of: request).contains("a=-\(real)/\(real)"))
        #expect(request.arguments[1] == [UInt8](real.utf8))
        #expect(request.arguments[2] == [UInt8]("/0".utf8))
    }

    @Test("exported graphs are the closures of inputs, and of inputs alone")
    func graphs() throws {
        let a = "/nix/store/\(path(10, "a"))"
        let b = "/nix/store/\(path(11, "b"))"
        let request = try plan(
            build(["exportReferencesGraph": ByteString("graph \(a)/bin/sh one \(b)")]),
            settings: settings)
        #expect(contents(of: "graph", in: request) == "\(a)\n\n1\n\(b)\n\(b)\n\n0\n")
        #expect(contents(of: "one", in: request) == "\(b)\n\n0\n")
        for text in [
            "graph", "../x \(a)", "1 \(a)", "g /nix/store/\(path(12, "c"))", "g /etc/passwd", "g /",
        ] {
            #expect(throws: PlanningFault.self) {
                try plan(build(["exportReferencesGraph": ByteString(text)]), settings: settings)
            }
        }
    }

    @Test(
        "structured attributes reach the builder as files, and no variable of the derivation does")
    func structured() throws {
        let json = #"""
            {"a b":1,"yes":true,"no":false,"nothing":null,"n":3,"f":1.5,"s":"it's $(x)","list":[1,"two"],
            "deep":[[1]],"map":{"k":"v"},"exportReferencesGraph":{"g":["/nix/store/\#(path(11, "b"))"]}}
            """#
        let request = try plan(
            build(["__json": ByteString(json), "secret": "x"]), settings: settings)
        let variables = environment(of: request)
        #expect(variables.contains("NIX_ATTRS_SH_FILE=/build/.attrs.sh"))
        #expect(!variables.contains { $0.hasPrefix("secret") || $0.hasPrefix("__json") })
        let shell = try #require(contents(of: ".attrs.sh", in: request))
        #expect(
            shell
                == """
                declare -a list=('1' 'two' )
                declare -A map=(['k']='v' )
                declare n=3
                declare no=
                declare nothing=''
                declare -A outputs=(['dev']='/nix/store/\(path(2, "x-dev"))' ['out']='/nix/store/\(path(1, "x"))' )
                declare s='it'\\''s $(x)'
                declare yes=1

                """.replacing("('1'", with: "(1"))
        let value = try JSONValue(
            parsing: [UInt8](try #require(contents(of: ".attrs.json", in: request)).utf8))
        #expect(value["outputs"]?["out"] == .string("/nix/store/\(path(1, "x"))"))
        guard case .array(let graph)? = value["g"] else {
            Issue.record("the graph should be in .attrs.json")
            return
        }
        #expect(graph.count == 1 && graph[0]["closureSize"] == .number("100"))
    }

    @Test("what cannot run here is refused before anything is asked of the launcher")
    func refusals() throws {
        func refused(_ change: (inout ResolvedBuild) -> Void) -> PlanningFault? {
            var build = build()
            change(&build)
            do {
                _ = try plan(build, settings: settings)
                return nil
            } catch {
                return error
            }
        }
        #expect(
            refused { $0.derivation.system = "aarch64-linux" }
                == .system(
                    derivation: path(0, "x.drv"), wanted: "aarch64-linux", have: "x86_64-linux"))
        #expect(
            refused { $0.derivation.environment = ["requiredSystemFeatures": "kvm"] }
                == .features(derivation: path(0, "x.drv"), missing: ["kvm"]))
        #expect(
            refused { $0.derivation.builder = "builtin:fetchurl" }
                == .builtinBuilder("builtin:fetchurl"))
        #expect(refused { $0.derivation.outputs[.out] = .deferred } == .unresolvedOutput(.out))
        #expect(refused { $0.derivation.environment = ["__json": "[]"] } == .structuredAttributes)
        #expect(refused { $0.derivation.environment = ["a": ByteString([0])] } != nil)
        #expect(refused { $0.derivation.arguments = [ByteString([0])] } != nil)
    }

    @Test("32-bit builds run under the personality of their machine")
    func personality() throws {
        var build = build()
        #expect(try plan(build, settings: settings).personality == .native)
        build.derivation.system = "i686-linux"
        #expect(try plan(build, settings: settings).personality == .linux32)
    }
}
