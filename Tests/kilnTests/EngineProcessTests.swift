import Glibc
import SystemCalls
import Testing

@testable import kiln

@Suite("The engine as a child") struct EngineProcessTests {
    private func start(_ script: String, in directory: TemporaryDirectory) throws -> EngineProcess {
        let program = try directory.write("engine", "#!/bin/sh\n" + script, mode: 0o755)
        return try EngineProcess.start(
            EngineOptions(
                root: try StoreRoot("/srv/r"), maximumJobs: 3, cores: 2, policies: "/srv/p"),
            program: program)
    }

    @Test("it is told where the store is and gets the connection as descriptor 3")
    func arguments() throws {
        let directory = try TemporaryDirectory()
        let engine = try start(#"echo "$@" >&3"#, in: directory)
        let connection = engine.takeConnection()
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = try connection.withNumber { (number) throws(SystemError) in
            try check("read") { read(number, &buffer, buffer.count) }
        }
        #expect(
            String(decoding: buffer[..<count], as: UTF8.self)
                == "engine --connection-fd 3 --root /srv/r --max-jobs 3 --cores 2 "
                + "--policy-dir /srv/p\n")
        #expect(engine.wait() == .exited(0))
    }

    @Test("it is in a session of its own, with no descriptors but its four")
    func isolation() throws {
        let directory = try TemporaryDirectory()
        let engine = try start(
            #"""
            read -r stat </proc/self/stat; set -- $stat
            [ "$1" = "$6" ] || exit 10
            [ "$(readlink /proc/$$/fd/0)" = /dev/null ] || exit 12
            [ "$(readlink /proc/$$/fd/1)" = "$(readlink /proc/$$/fd/2)" ] || exit 13
            exec ls /proc/self/fd >"$0.list"
            """#, in: directory)
        #expect(engine.wait() == .exited(0))
        // The last is the directory that is being listed.
        #expect(
            try readFile(directory.path + "/engine.list", limit: 100)
                == [UInt8]("0\n1\n2\n3\n4\n".utf8))
    }

    @Test("how it ended is told")
    func fate() throws {
        let directory = try TemporaryDirectory()
        #expect(try start("exit 7", in: directory).wait() == .exited(7))
        let killed = try start("kill -9 $$", in: directory).wait()
        #expect(killed == .killed(signal: SIGKILL))
        #expect(killed.map { "\($0)" } == "was killed by signal 9 (Killed)")
        let waiting = try start("read -r line <&3", in: directory)
        #expect(waiting.wait(milliseconds: 0) == nil)
        // Closing our end is what ends it.
        _ = waiting.takeConnection()
        #expect(waiting.wait() == .exited(1))
    }

    @Test("a program that is not there is an error")
    func missing() throws {
        #expect(throws: SystemError(call: "posix_spawn", path: "/nonexistent", errno: ENOENT)) {
            try EngineProcess.start(
                EngineOptions(root: try StoreRoot("/"), maximumJobs: 1, cores: 1, policies: nil),
                program: "/nonexistent")
        }
    }
}
