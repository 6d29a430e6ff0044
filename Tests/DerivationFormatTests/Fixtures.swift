import DerivationFormat
import Glibc
import StoreModel

/// Golden data that Nix 2.34.8 made; see `Tests/Fixtures/README.md`.
enum Fixtures {
    static let directory =
        String(#filePath.dropLast("DerivationFormatTests/Fixtures.swift".utf8.count))
        + "Fixtures/nix/"

    /// The 77 derivations by base name.
    static let derivations: [(name: [UInt8], bytes: [UInt8])] = names(in: "drv").map {
        ([UInt8]($0.utf8), read("drv/" + $0))
    }

    static func read(_ name: String) -> [UInt8] {
        let file = open(directory + name, O_RDONLY)
        precondition(file >= 0, "the fixture \(name) is missing")
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            precondition(count >= 0)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    static func names(in folder: String) -> [String] {
        guard let stream = opendir(directory + folder) else {
            preconditionFailure("no fixtures in \(folder)")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func parse(_ name: [UInt8], _ bytes: [UInt8]) throws -> (StorePath, Derivation) {
        let path = try StorePath(baseName: name)
        return (path, try parseDerivation(bytes, name: String(path.objectName.dropLast(4))))
    }
}
