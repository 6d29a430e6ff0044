import Foundation
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("Network namespaces that were made beforehand", .serialized) struct NetworkTests {
        /// Prepares and starts a build that says one line and then waits.
        ///
        /// - Returns: The line.
        private func start(
            _ launcher: TestLauncher, _ build: UInt64, _ text: String
        ) throws -> String {
            let id = BuildID(rawValue: build)
            guard case .prepared = try launcher.prepare(id, try script(text + "; sleep 1000"))
            else { throw HarnessFailure("not prepared") }
            try launcher.send(.start(id))
            let (event, descriptors) = try launcher.receive()
            guard event == .started(id) else { throw HarnessFailure("\(event)") }
            return try line(descriptors[0])
        }

        private func line(_ fd: CInt) throws -> String {
            var line: [UInt8] = []
            var byte: UInt8 = 0
            while true {
                guard read(fd, &byte, 1) == 1 else {
                    throw HarnessFailure("no line: \(String(decoding: line, as: UTF8.self))")
                }
                if byte == 10 { return String(decoding: line, as: UTF8.self) }
                line.append(byte)
            }
        }

        private func kill(_ launcher: TestLauncher, _ builds: ClosedRange<UInt64>) throws {
            for build in builds { try launcher.send(.kill(BuildID(rawValue: build))) }
            for _ in builds {
                guard case .ended = try launcher.next() else { throw HarnessFailure("not ended") }
            }
        }

        /// The network namespaces that the launcher holds for builds to come.
        private func stock(_ launcher: TestLauncher) throws -> Set<String> {
            let directory = "/proc/\(launcher.process)/fd"
            var found: Set<String> = []
            for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
                var text = [CChar](repeating: 0, count: 64)
                // One that was closed meanwhile is none of the stock.
                let count = readlink(directory + "/" + name, &text, text.count - 1)
                guard count > 0 else { continue }
                let link = String(
                    decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if link.hasPrefix("net:") { found.insert(link) }
            }
            return found
        }

        /// Waits for the stock to be filled.
        private func filled(_ launcher: TestLauncher) throws -> Set<String> {
            for _ in 0..<1000 {
                let found = try stock(launcher)
                if found.count >= 4 { return found }
                usleep(10_000)
            }
            throw HarnessFailure("nothing is made beforehand")
        }

        @Test(
            "a build gets one from the stock, which is out of it then, and up",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func fromStock(mode: TestLauncher.Mode) throws {
            let launcher = try TestLauncher(mode, slots: 3).ready()
            #expect(try stock(launcher) == [])
            _ = try start(launcher, 1, "echo begun")
            let waiting = try filled(launcher)
            #expect(!waiting.contains("net:" + ownNetwork))
            let said = try start(
                launcher, 2,
                "echo $(readlink /proc/self/ns/net) $(bash -c 'echo x > /dev/udp/127.0.0.1/9' && echo up)"
            )
            let network = try #require(said.split(separator: " ").first)
            #expect(said.hasSuffix(" up"), "\(said)")
            #expect(waiting.contains(String(network)), "\(network) of \(waiting)")
            #expect(!(try stock(launcher)).contains(String(network)))
            try kill(launcher, 1...2)
        }

        private var ownNetwork: String {
            var text = [CChar](repeating: 0, count: 64)
            let count = readlink("/proc/self/ns/net", &text, text.count - 1)
            let link = text[..<max(0, count)].map { UInt8(bitPattern: $0) }
            return String(decoding: link.dropFirst(4), as: UTF8.self)
        }

        @Test(
            "builds at once share none and see no abstract socket of each other",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func apart(mode: TestLauncher.Mode) throws {
            let count: UInt64 = 10
            let launcher = try TestLauncher(mode, slots: 10).ready()
            let listen = """
                import socket, os
                s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'kiln-probe-' + str(os.getpid()) + os.environ['out'])
                names = [l for l in open('/proc/net/unix') if 'kiln-probe-' in l]
                print(os.readlink('/proc/self/ns/net'), len(names), flush=True)
                import time; time.sleep(1000)
                """
            var networks: Set<String> = []
            for build in 1...count {
                let said = try start(launcher, build, "python3 -c \"\(listen)\"")
                let words = said.split(separator: " ").map(String.init)
                // Its own.
                #expect(words.count == 2 && words[1] == "1", "\(said)")
                networks.insert(words[0])
            }
            #expect(networks.count == Int(count))
            #expect(!networks.contains("net:" + ownNetwork))
            try kill(launcher, 1...count)
        }

        @Test("none is used again: nothing was ever sent in any")
        func single() throws {
            let launcher = try TestLauncher(slots: 1).ready()
            let text = """
                sent() { sed -n 's/^ *lo: *//p' /proc/net/dev | cut -d' ' -f1; }
                [ $(sent) = 0 ] || echo "used"
                bash -c 'echo x > /dev/udp/127.0.0.1/9'
                [ $(sent) = 0 ] && echo "no news"
                true
                """
            // More than are made at once.
            for number in 1...20 as ClosedRange<UInt64> {
                let build = BuildID(rawValue: number)
                let (log, end) = try launcher.build(build, try script(text))
                #expect(log == "" && end == .exited(0), "\(number): \(log)")
                try launcher.discard(build)
            }
        }
    }
}
