import Glibc
import Testing

@testable import kiln

/// A directory that is gone when the test is over.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/kiln-command-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw InputError(call: "mkdtemp", path: "/tmp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        do {
            try removeTree(path)
        } catch {
            Issue.record("\(error)")
        }
    }

    /// Writes a file and returns its path.
    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> String {
        let place = path + "/" + name
        let number = open(place, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard number >= 0 else { throw InputError(call: "open", path: place) }
        defer { close(number) }
        try writeAll([UInt8](text.utf8), to: number, called: place)
        return place
    }

    /// Makes a directory and returns its path.
    func make(_ name: String) throws -> String {
        let place = path + "/" + name
        guard mkdir(place, 0o755) == 0 else { throw InputError(call: "mkdir", path: place) }
        return place
    }

    /// The names in it.
    func names() throws -> [String] {
        try directoryEntries(path).map { String(decoding: $0, as: UTF8.self) }
    }
}
