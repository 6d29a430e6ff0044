import Glibc
import Hashing
import LocalStore
import StoreModel
import Testing

@Suite("Roots") struct RootTests {
    let root: TestRoot
    let store: LocalStore
    let a: ValidPathInfo
    let b: ValidPathInfo

    init() throws {
        root = try TestRoot()
        store = try root.open()
        a = try root.makeText("a")
        b = try root.makeTree("b", references: [a.path])
        try store.register([a, b])
    }

    private func isAlive(_ path: StorePath, _ paths: Set<StorePath>, in store: LocalStore? = nil)
        throws -> Bool
    {
        do throws(LocalStoreError) {
            try (store ?? self.store).deletable(paths)
            return false
        } catch {
            guard case .stillAlive(path, _) = error else { throw error }
            return true
        }
    }

    @Test("what nothing refers to is deletable, together with what refers to it")
    func deletable() throws {
        try store.deletable([b.path])
        try store.deletable([a.path, b.path])
        #expect(try isAlive(a.path, [a.path]))
        try store.deletable([])
    }

    @Test("a permanent root is a link outside and one in gcroots/auto, and keeps its object alive")
    func permanent() throws {
        let link = root.path + "/result"
        // Each by a store that is closed at once, and with it a temporary root.
        try root.open().addPermanentRoot(link: link, to: b.path)
        #expect(try store.findRoots() == [link: b.path])
        let name = Digest.of(.sha1, link).text(.nix32, prefixed: false)
        #expect(try root.link("nix/var/nix/gcroots/auto/\(name)") == link)
        #expect(try isAlive(b.path, [a.path, b.path]))
        // Again, and to another object: the link follows.
        try root.open().addPermanentRoot(link: link, to: b.path)
        try root.open().addPermanentRoot(link: link, to: a.path)
        #expect(try store.findRoots() == [link: a.path])
        try store.deletable([b.path])
        #expect(unlink(link) == 0)
        let survey = try store.surveyRoots()
        #expect(survey.roots.isEmpty)
        #expect(survey.stale == ["\(root.layout.state)/gcroots/auto/\(name)"])
    }

    @Test("a root never replaces something else, lies in the store, or keeps what is not valid")
    func refusedLinks() throws {
        try root.write("precious", to: "file")
        let other = root.path + "/other"
        #expect(symlink("/etc/passwd", other) == 0)
        for link in [
            root.path + "/file", other, "relative", root.path + "/a/../b", "/nix/store/x", "",
            root.layout.store + "/x",
        ] {
            #expect(throws: LocalStoreError.self, "\(link)") {
                try store.addPermanentRoot(link: link, to: b.path)
            }
        }
        #expect(try root.read("file") == "precious")
        let c = try root.makeText("c", "not valid")
        #expect(throws: LocalStoreError.notValid(c.path)) {
            try store.addPermanentRoot(link: root.path + "/c", to: c.path)
        }
        #expect(try store.findRoots().isEmpty)
    }

    @Test("roots are found in subdirectories and profiles, by link and by name")
    func survey() throws {
        let state = root.layout.state
        #expect(mkdir(state + "/gcroots/mine", 0o755) == 0)
        #expect(symlink("/nix/store/\(a.path)/bin/x", state + "/gcroots/mine/direct") == 0)
        #expect(symlink(root.layout.store + "/\(a.path)", state + "/gcroots/mine/real") == 0)
        try root.write("", to: "nix/var/nix/gcroots/\(b.path)")
        #expect(symlink("/nix/store/\(b.path)", state + "/profiles/p-1-link") == 0)
        #expect(symlink("p-1-link", state + "/profiles/p") == 0)
        // A circle of directories, a link to a file, and an object that is not valid.
        #expect(symlink(state + "/gcroots", state + "/gcroots/mine/circle") == 0)
        #expect(symlink("/etc/passwd", state + "/gcroots/mine/file") == 0)
        #expect(
            symlink(
                "/nix/store/00000000000000000000000000000000-x", state + "/gcroots/mine/gone") == 0)
        #expect(
            try store.findRoots() == [
                state + "/gcroots/mine/direct": a.path, state + "/gcroots/mine/real": a.path,
                state + "/gcroots/\(b.path)": b.path, state + "/profiles/p-1-link": b.path,
            ])
    }

    @Test("a root that cannot be read makes nothing deletable")
    func unreadable() throws {
        // Even root cannot look behind a file that is no directory's name too long for the kernel.
        let long = "/" + String(repeating: "x", count: 300)
        #expect(symlink(long, root.layout.state + "/gcroots/auto/long") == 0)
        #expect(throws: LocalStoreError.self) { try store.deletable([b.path]) }
        #expect(throws: LocalStoreError.self) { try store.findRoots() }
    }

    @Test("a temporary root lives as long as its store is open")
    func temporary() throws {
        var other: LocalStore? = try root.open()
        try other?.addTemporaryRoot(b.path)
        try other?.addTemporaryRoot(b.path)
        #expect(try isAlive(b.path, [b.path]))
        let names = try root.names("nix/var/nix/temproots")
        #expect(names.count == 2)
        #expect(names.contains("\(getpid())") && names.contains("0\(getpid())"))
        #expect(
            try names.map { try root.read("nix/var/nix/temproots/\($0)") }.sorted()
                == ["", "/nix/store/\(b.path)\0"])
        other = nil
        try store.deletable([b.path])
    }

    @Test("a client's temporary roots go with the client, and the store's stay")
    func clients() throws {
        let c = try root.makeText("c", "c")
        var client: TemporaryRoots? = try store.makeTemporaryRoots()
        let others = try (0..<20).map { _ in try store.makeTemporaryRoots() }
        try client?.add(c.path)
        try others.last?.add(b.path)
        #expect(try isAlive(c.path, [c.path]))
        client = nil
        try store.deletable([c.path])
        #expect(try isAlive(b.path, [b.path]))
        #expect(try root.names("nix/var/nix/temproots").count == 21)
    }

    @Test("while a collector runs, a root counts when the collector has taken note of it")
    func collector() async throws {
        let directory = root.layout.state + "/gc-socket"
        #expect(mkdir(directory, 0o755) == 0)
        let lock = open(root.layout.state + "/gc.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let server = try listen(directory + "/socket")
        defer { close(server) }
        let adding = Task.detached { [store, b] in try store.addTemporaryRoot(b.path) }
        // The first collector ends before it answers; only what the second one said counts.
        for answer in ["", "1"] {
            let client = accept(server, nil, nil)
            try #require(client >= 0)
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(client, &buffer, buffer.count)
            #expect(String(decoding: buffer[..<count], as: UTF8.self) == "/nix/store/\(b.path)\n")
            #expect(
                try root.names("nix/var/nix/temproots").allSatisfy {
                    try root.read("nix/var/nix/temproots/\($0)").isEmpty
                })
            #expect(write(client, answer, answer.utf8.count) == answer.utf8.count)
            close(client)
        }
        try await adding.value
        #expect(try isAlive(b.path, [b.path]))
    }

    private func listen(_ path: String) throws -> CInt {
        let server = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        try #require(server >= 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && Glibc.listen(server, 8) == 0)
        return server
    }

    @Test("a temporary root of another process counts until the process is dead")
    func otherProcess() throws {
        let holder = try Process([
            Process.built("store-crasher"), "hold", root.path, b.path.baseName,
        ])
        #expect(holder.line() == "held")
        #expect(try isAlive(b.path, [b.path]))
        #expect(kill(holder.id, SIGKILL) == 0)
        holder.wait()
        #expect(try root.names("nix/var/nix/temproots").contains("\(holder.id)"))
        try store.deletable([b.path])
        #expect(try !root.names("nix/var/nix/temproots").contains("\(holder.id)"))
    }

    @Test("a file of temporary roots that nobody wrote so makes nothing deletable")
    func foreignTemporaryRoots() throws {
        let file = root.path + "/nix/var/nix/temproots/1"
        let number = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(number) }
        #expect(flock(number, LOCK_EX) == 0)
        #expect(write(number, "/elsewhere\0", 11) == 11)
        #expect(throws: LocalStoreError.self) { try store.deletable([b.path]) }
        #expect(flock(number, LOCK_UN) == 0)
        try store.deletable([b.path])
    }

    @Test("nobody adds a temporary root while the collection lock is held")
    func collectionLock() throws {
        try store.withCollectionLock { () throws(LocalStoreError) in
            try store.deletable([b.path])
            let lock = open(root.layout.state + "/gc.lock", O_RDWR | O_CLOEXEC)
            #expect(flock(lock, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK)
            close(lock)
        }
        try store.addTemporaryRoot(b.path)
        #expect(try isAlive(b.path, [b.path]))
    }
}

extension TestRoot {
    /// Where a symbolic link leads.
    func link(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path + "/" + name, &buffer, buffer.count)
        try #require(count > 0)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func names(_ directory: String) throws -> [String] {
        let stream = try #require(opendir(path + "/" + directory))
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
