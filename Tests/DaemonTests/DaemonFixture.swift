import BuildEngine
import Daemon
import DaemonWire
import DerivationFormat
import Foundation
import Goals
import StoreModel
import SystemCalls
import Testing

/// A daemon on a socket in the directory of its store, as real clients reach it.
final class DaemonFixture {
    let store: TestStore
    let socket: String
    private let listener: CInt

    init(trust: Trust = .trusted) throws {
        store = try TestStore()
        let socket = store.root + "/socket"
        self.socket = socket
        let number = try check("socket") {
            Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        }
        listener = number
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.utf8) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        try check("bind", on: socket) {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, length) }
            }
        }
        try check("listen", on: socket) { listen(number, 16) }
        let engine = store.engine
        Thread.detachNewThread {
            while true {
                let connection = accept(number, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread {
                    serve(
                        connection: OwnedDescriptor(takingOwnershipOf: connection), engine: engine,
                        trust: trust)
                }
            }
        }
    }

    deinit {
        shutdown(listener, CInt(SHUT_RDWR))
        close(listener)
    }

    /// Starts a real client of Nix, whose words nobody reads.
    func start(_ arguments: String...) throws -> Process {
        let process = client(arguments)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    private func client(_ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.environment = [
            "PATH": "/usr/bin:/bin", "HOME": store.root,
            "NIX_REMOTE": "unix://\(socket)?root=\(store.root)",
            "NIX_CONFIG": "experimental-features = nix-command\nsubstitute = false",
        ]
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs a real client of Nix against the daemon.
    func run(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
        let process = client(arguments)
        let output = Pipe()
        let errors = store.root + "/errors"
        _ = FileManager.default.createFile(atPath: errors, contents: nil)
        process.standardOutput = output
        process.standardError = FileHandle(forWritingAtPath: errors)
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = FileManager.default.contents(atPath: errors) ?? Data()
        return (
            process.terminationStatus, String(decoding: data, as: UTF8.self),
            String(decoding: text, as: UTF8.self)
        )
    }
}
