import DaemonWire
import Glibc
import StoreModel

/// Bytes in memory, given out in pieces of at most `piece` bytes.
struct Bytes: ByteSource {
    var rest: ArraySlice<UInt8>
    var piece = Int.max

    init(_ bytes: [UInt8], piece: Int = .max) {
        rest = bytes[...]
        self.piece = piece
    }

    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int {
        let count = min(rest.count, buffer.count, piece)
        buffer.copyBytes(from: rest.prefix(count))
        rest = rest.dropFirst(count)
        return count
    }
}

func reader(_ bytes: [UInt8], piece: Int = .max) -> WireReader<Bytes> {
    WireReader(Bytes(bytes, piece: piece))
}

/// Upstream's golden bytes.
///
/// They are not copied here: `KILN_SHARED` says where they are, and beside the
/// repository is where they are looked for.
enum Golden {
    static let directory: String? = {
        let beside =
            String(#filePath.dropLast("Tests/DaemonWireTests/Golden.swift".utf8.count))
            + "../shared"
        let shared = getenv("KILN_SHARED").map { String(cString: $0) } ?? beside
        let directory = shared + "/fixtures/upstream/"
        return access(directory, R_OK) == 0 ? directory : nil
    }()

    static func read(_ name: String) -> [UInt8] {
        guard let directory else { preconditionFailure("upstream's golden bytes are absent") }
        let file = open(directory + name, O_RDONLY)
        precondition(file >= 0, "\(name) is missing")
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(file, &bytes, bytes.count)
        return [UInt8](bytes[..<max(count, 0)])
    }
}

func storePath(_ baseName: String) -> StorePath {
    do {
        return try StorePath(baseName: [UInt8](baseName.utf8))
    } catch {
        preconditionFailure("\(error)")
    }
}
