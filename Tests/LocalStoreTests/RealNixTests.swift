import Glibc
import Hashing
import LocalStore
import StoreModel
import Testing

/// Both ways with the real Nix, which is installed: a missing one fails, it does not skip.
@Suite("The real Nix") struct RealNixTests {
    let root: TestRoot

    init() throws { root = try TestRoot() }

    @Test("reads what was written here and finds nothing wrong")
    func readsOurs() throws {
        let store = try root.open()
        let a = try root.makeText("a")
        var b = try root.makeTree("b", references: [a.path], refersToItself: true)
        b.isUltimate = true
        b.signatures = ["cache.example-1:c2lnbmF0dXJl"]
        let c = try root.makeTree("c", references: [b.path])
        try store.register([a, b])
        try store.register([c])
        func full(_ info: ValidPathInfo) -> String { "/nix/store/\(info.path)" }
        #expect(
            try root.paths(in: root.nix("nix-store", "-q", "--references", full(b)))
                == [a.path, b.path])
        #expect(
            try root.paths(in: root.nix("nix-store", "-q", "--requisites", full(c)))
                == [a.path, b.path, c.path])
        #expect(
            try root.paths(in: root.nix("nix-store", "-q", "--referrers", full(b)))
                == [b.path, c.path])
        #expect(
            try root.nix("nix-store", "-q", "--hash", full(c))
                == c.narHash.text(.nix32, prefixed: true) + "\n")
        #expect(try root.nix("nix-store", "-q", "--size", full(c)) == "\(c.narSize)\n")
        #expect(try !root.nix("nix-store", "--verify", "--check-contents").contains("modified"))
        #expect(try store.allValidPaths() == [a.path, b.path, c.path])
        // The positive control: it does notice when something is wrong.
        try root.removeObject(c.path)
        _ = try root.nix("nix-store", "--verify")
        #expect(try store.allValidPaths() == [a.path, b.path])
    }

    @Test("makes the same tables, indices and triggers")
    func schema() throws {
        func schema(of root: TestRoot) throws -> [String] {
            let process = try Process([
                "sqlite3", "-json", root.layout.state + "/db/db.sqlite",
                "select type, name, tbl_name, sql from sqlite_master",
            ])
            let text = process.rest()
            try #require(process.wait() == 0, "\(text)")
            // Each object as its words, without comments: how they are laid out means nothing.
            return text.split(separator: "},").map { object in
                object.split(separator: "\\n").map { line in
                    line.split(separator: " -- ").first ?? ""
                }.joined(separator: " ").lowercased()
                    .split(whereSeparator: { " ,()[]{}\n".contains($0) }).joined(separator: " ")
            }.sorted()
        }
        let ours = try TestRoot()
        _ = try ours.open()
        _ = try root.nix("nix-store", "--init")
        #expect(try schema(of: ours) == schema(of: root))
        #expect(try schema(of: ours).count == 11)
        #expect(try ours.read("nix/var/nix/db/schema") == root.read("nix/var/nix/db/schema"))
        for file in ["big-lock", "reserved"] {
            var sizes: [Int] = []
            for root in [ours, root] {
                var status = stat()
                #expect(lstat(root.layout.state + "/db/" + file, &status) == 0)
                sizes.append(Int(status.st_size))
                #expect(status.st_mode & 0o777 == 0o600)
            }
            #expect(sizes.first == sizes.last, "\(file)")
        }
    }

    @Test("honours our roots, permanent and temporary, and deletes what has none")
    func roots() throws {
        let store = try root.open()
        let infos = try (0..<3).map { try root.makeText("o\($0)", "\($0)") }
        try store.register(infos)
        let link = root.path + "/result"
        try store.addPermanentRoot(link: link, to: infos[0].path)
        let holder = try Process([
            Process.built("store-crasher"), "hold", root.path, infos[1].path.baseName,
        ])
        #expect(holder.line() == "held")
        #expect(
            try root.nix("nix-store", "--gc", "--print-roots").contains(
                "\(link) -> /nix/store/\(infos[0].path)"))
        _ = try root.nix("nix-store", "--gc")
        #expect(try store.allValidPaths() == [infos[0].path, infos[1].path])
        holder.closeInput()
        #expect(holder.wait() == 0)
        #expect(unlink(link) == 0)
        // Our own process rooted the first one when it made the link.
        _ = try root.nix("nix-store", "--gc")
        #expect(try store.allValidPaths() == [infos[0].path])
    }

    @Test("its databases are read here, with derivations, outputs and roots")
    func readsTheirs() throws {
        try root.write("some text", to: "text")
        try root.write(
            """
            let
              source = builtins.toFile "source" "text";
              first = derivation {
                name = "first"; system = "x86_64-linux"; builder = "/bin/sh"; inherit source;
                outputs = [ "out" "dev" ];
              };
            in derivation {
              name = "second"; system = "x86_64-linux"; builder = "/bin/sh"; first = first.dev;
              fixed = derivation {
                name = "fixed"; system = "x86_64-linux"; builder = "/bin/sh";
                outputHash = "\(String(repeating: "0", count: 64))"; outputHashAlgo = "sha256";
              };
            }
            """, to: "expression")
        let text = try #require(
            root.paths(in: root.nix("nix-store", "--add", root.path + "/text")).first)
        _ = try root.nix(
            "nix-instantiate", "--add-root", root.path + "/root", root.path + "/expression")
        let second = try #require(root.paths(in: root.link("root")).first)
        let store = try root.open()
        #expect(try store.verify(checkContents: true) { Issue.record("\($0)") }.problems == 0)
        let info = try #require(try store.pathInfo(text))
        #expect(info.contentAddress?.method == .recursive)
        #expect(info.narSize > 0 && info.references.isEmpty && info.registrationTime > 0)
        let derivation = try store.readDerivation(second)
        #expect(derivation.name == "second")
        let closure = try store.closure(of: [second])
        #expect(
            Set(closure.keys.map(\.objectName)) == [
                "second.drv", "first.drv", "fixed.drv", "source",
            ])
        for path in closure.keys where path.isDerivation {
            let outputs = try store.readDerivation(path).outputs.compactMapValues(\.path)
            #expect(try store.derivationOutputs(of: path) == outputs)
        }
        #expect(try store.findRoots() == [root.path + "/root": second])
        // And both go on in turns.
        let more = try root.makeTree("more", references: [text])
        try store.register([more])
        #expect(
            try root.paths(in: root.nix("nix-store", "-q", "--referrers", "/nix/store/\(text)"))
                == [more.path])
    }
}
