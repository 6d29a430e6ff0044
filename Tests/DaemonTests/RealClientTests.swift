import BuildEngine
import DaemonWire
import DerivationFormat
import Foundation
import Goals
import LocalStore
import StoreModel
import Testing

@Suite("Real clients of Nix against the daemon")
struct RealClientTests {
    @Test("nix-store adds a tree, and asks for its hash, size and references")
    func addTree() throws {
        let daemon = try DaemonFixture()
        let tree = daemon.store.root + "/tree"
        try FileManager.default.createDirectory(
            atPath: tree + "/sub", withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: tree + "/sub/file", contents: Data("hello".utf8))
        let added = try daemon.run("nix-store", "--add", tree)
        #expect(added.status == 0, "\(added.errors)")
        let path = added.output.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(path.hasPrefix("/nix/store/") && path.hasSuffix("-tree"))
        let hash = try daemon.run("nix-store", "-q", "--hash", path)
        let dump = try daemon.run("sh", "-c", "nix-store --dump '\(tree)' | sha256sum")
        let expected = try daemon.run(
            "nix", "hash", "to-base32", "--type", "sha256", String(dump.output.prefix(64)))
        #expect(
            hash.output.trimmingCharacters(in: .whitespacesAndNewlines)
                == "sha256:" + expected.output.trimmingCharacters(in: .whitespacesAndNewlines))
        let references = try daemon.run("nix-store", "-q", "--references", path)
        #expect(references.status == 0 && references.output.isEmpty)
        let all = try daemon.run("nix", "path-info", "--all")
        #expect(all.output == path + "\n", "\(all.errors)")
        let verified = try daemon.run("nix-store", "--verify", "--check-contents")
        #expect(verified.status == 0, "\(verified.errors)")
    }

    @Test("nix-store adds files by their own hash")
    func addFixed() throws {
        let daemon = try DaemonFixture()
        let file = daemon.store.root + "/file"
        _ = FileManager.default.createFile(atPath: file, contents: Data("content".utf8))
        for algorithm in ["sha256", "sha1", "md5", "sha512"] {
            let added = try daemon.run("nix-store", "--add-fixed", algorithm, file)
            #expect(added.status == 0, "\(added.errors)")
            let computed = try daemon.run(
                "sh", "-c",
                "nix-store --print-fixed-path \(algorithm) $(nix-hash --flat --base32 --type \(algorithm) '\(file)') file"
            )
            #expect(added.output == computed.output, "\(computed.errors)")
        }
    }

    @Test("an expression is instantiated and built, with the log shown")
    func buildExpression() throws {
        let daemon = try DaemonFixture()
        let expression = """
            derivation { name = "hello"; system = "x86_64-linux"; builder = "/fake";
              args = [ "succeed" ]; contents = "from nix"; say = "the builder speaks\\n"; }
            """
        let file = daemon.store.root + "/hello.nix"
        _ = FileManager.default.createFile(atPath: file, contents: Data(expression.utf8))
        let derivation = try daemon.run("nix-instantiate", file)
        #expect(derivation.status == 0, "\(derivation.errors)")
        let built = try daemon.run("nix-build", "--no-out-link", file)
        #expect(built.status == 0, "\(built.errors)")
        #expect(built.errors.contains("the builder speaks"), "\(built.errors)")
        #expect(built.errors.contains("building '/nix/store/"), "\(built.errors)")
        let path = built.output.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(
            FileManager.default.contents(atPath: daemon.store.root + path)
                == Data("from nix".utf8))
        let deriver = try daemon.run("nix-store", "-q", "--deriver", path)
        #expect(deriver.output.contains("-hello.drv"), "\(deriver.errors)")
        let outputs = try daemon.run(
            "nix-store", "-q", "--outputs",
            derivation.output.split(separator: "\n").first.map(String.init) ?? "")
        #expect(outputs.output == path + "\n", "\(outputs.errors)")
    }

    @Test("a failing build fails the client, which shows why")
    func buildFails() throws {
        let daemon = try DaemonFixture()
        let file = daemon.store.root + "/bad.nix"
        let expression = """
            derivation { name = "bad"; system = "x86_64-linux"; builder = "/fake";
              args = [ "fail" ]; say = "it hurts\\n"; }
            """
        _ = FileManager.default.createFile(atPath: file, contents: Data(expression.utf8))
        for built in [
            try daemon.run("nix-build", "--no-out-link", file),
            try daemon.run("nix", "build", "--no-link", "-f", file),
        ] {
            #expect(built.status != 0)
            #expect(built.errors.contains("failed with exit code 1"), "\(built.errors)")
        }
    }

    @Test("a client that is killed has its builds killed")
    func clientGone() throws {
        let daemon = try DaemonFixture()
        let file = daemon.store.root + "/long.nix"
        let expression = """
            derivation { name = "long"; system = "x86_64-linux"; builder = "/fake";
              args = [ "hang" ]; }
            """
        _ = FileManager.default.createFile(atPath: file, contents: Data(expression.utf8))
        let client = try daemon.start("nix-build", "--no-out-link", file)
        daemon.store.waitUntil { $0.started == ["long"] }
        #expect(kill(client.processIdentifier, SIGKILL) == 0)
        client.waitUntilExit()
        daemon.store.waitUntil { $0.kills == 1 }
    }

    @Test("paths are copied between two stores of the daemon's kind")
    func copy() throws {
        let from = try DaemonFixture()
        let to = try DaemonFixture()
        let file = from.store.root + "/chain.nix"
        let expression = """
            let a = derivation { name = "a"; system = "x86_64-linux"; builder = "/fake";
                  args = [ "succeed" ]; contents = "a"; };
            in derivation { name = "b"; system = "x86_64-linux"; builder = "/fake";
                  args = [ "succeed" ]; contents = "see ${a}"; }
            """
        _ = FileManager.default.createFile(atPath: file, contents: Data(expression.utf8))
        let built = try from.run("nix-build", "--no-out-link", file)
        #expect(built.status == 0, "\(built.errors)")
        let path = built.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let copied = try from.run(
            "nix", "copy", "--no-check-sigs", "--to",
            "unix://\(to.socket)?root=\(to.store.root)", path)
        #expect(copied.status == 0, "\(copied.errors)")
        let closure = try to.run("nix-store", "-qR", path)
        #expect(closure.output.split(separator: "\n").count == 2, "\(closure.errors)")
        // The client that copied is gone, and its temporary roots with it.
        let deleted = try to.run("nix-store", "--delete", path)
        #expect(deleted.status == 0, "\(deleted.errors)")
        #expect(try to.run("nix-store", "-q", "--hash", path).status != 0)
        #expect(!FileManager.default.fileExists(atPath: to.store.root + path))
    }

    @Test("a client that is not trusted cannot copy what no content proves")
    func untrusted() throws {
        let from = try DaemonFixture()
        let to = try DaemonFixture(trust: .untrusted)
        let path = try from.store.add(try TestStore.derivation("x"))
        let output = try #require(try from.store.build([path]).first?.result.outputs[.out])
        let full = "/nix/store/\(output)"
        let copied = try from.run(
            "nix", "copy", "--no-check-sigs", "--to",
            "unix://\(to.socket)?root=\(to.store.root)", full)
        #expect(copied.status != 0)
        #expect(copied.errors.contains("trusted-users"), "\(copied.errors)")
        #expect(try !to.store.engine.store.isValid(output))
    }
}
