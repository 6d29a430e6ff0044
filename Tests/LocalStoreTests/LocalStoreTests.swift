import Glibc
import LocalStore
import StoreModel
import Testing

@Suite("Opening a store") struct LocalStoreTests {
    @Test("an empty root gets the state directory that other programs expect")
    func stateDirectory() throws {
        let root = try TestRoot()
        let store = try root.open()
        #expect(try root.read("nix/var/nix/db/schema") == "10")
        for file in ["big-lock", "reserved", "db.sqlite"] {
            #expect(access("\(root.layout.state)/db/\(file)", F_OK) == 0, "\(file)")
        }
        for directory in ["gcroots/auto", "gcroots/per-user", "profiles/per-user", "temproots"] {
            #expect(access("\(root.layout.state)/\(directory)", X_OK) == 0, "\(directory)")
        }
        #expect(try store.allValidPaths().isEmpty)
        #expect(try store.findRoots().isEmpty)
    }

    @Test("a root without a store directory is refused")
    func noStoreDirectory() throws {
        let root = try TestRoot(directory: "nix")
        #expect(throws: LocalStoreError.storeDirectoryMissing(root.layout.store)) {
            try root.open()
        }
    }

    @Test("a schema that is not 10 is refused", arguments: ["11", "9", "7", "", "10x", "ten"])
    func schema(text: String) throws {
        let root = try TestRoot()
        _ = try root.open()
        try root.write(text, to: "nix/var/nix/db/schema")
        #expect(throws: LocalStoreError.schema(text, file: root.layout.state + "/db/schema")) {
            try root.open()
        }
        try root.write("10\n", to: "nix/var/nix/db/schema")
        _ = try root.open()
    }

    @Test("a missing database beside a schema file is not made anew")
    func databaseMissing() throws {
        let root = try TestRoot()
        _ = try root.open()
        let file = root.layout.state + "/db/db.sqlite"
        #expect(unlink(file) == 0)
        #expect(throws: LocalStoreError.databaseMissing(file)) { try root.open() }
    }

    @Test("many stores may be opened on one empty root at once")
    func opening() async throws {
        let root = try TestRoot()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let store = try root.open()
                    let info = try root.makeText("t\(number)", "\(number)")
                    try store.register([info])
                }
            }
            try await group.waitForAll()
        }
        #expect(try root.open().allValidPaths().count == 8)
    }
}
