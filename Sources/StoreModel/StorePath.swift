public import LaunchModel

/// The path of a store object, without the store directory: `<hash>-<name>`.
///
/// Which directory it lies in is a parameter of everything that prints or computes paths.
public struct StorePath: Hashable, Sendable {
    /// The base name; checked.
    public let name: StoreObjectName

    /// Takes a name that was checked already.
    public init(_ name: StoreObjectName) { self.name = name }

    /// Parses a base name such as `0c…-hello`.
    ///
    /// - Throws: ``StoreObjectName/Fault`` at the first byte that does not fit.
    public init(baseName bytes: [UInt8]) throws(StoreObjectName.Fault) {
        name = try StoreObjectName(parsing: bytes)
    }

    /// The bytes of the base name.
    public var bytes: [UInt8] { name.bytes }

    /// The base name as text; every byte of one is ASCII.
    public var baseName: String { String(decoding: name.bytes, as: UTF8.self) }

    /// The 32 characters before the dash.
    public var hashPart: String { String(decoding: name.hashPart, as: UTF8.self) }

    /// The part after the dash.
    public var objectName: String { String(decoding: name.name, as: UTF8.self) }

    /// Whether the name ends in `.drv`.
    public var isDerivation: Bool {
        name.name.count > 4 && name.name.suffix(4).elementsEqual(".drv".utf8)
    }
}

extension StorePath: Comparable, CustomStringConvertible {
    /// Orders base names bytewise.
    public static func < (left: StorePath, right: StorePath) -> Bool { left.name < right.name }

    /// The base name.
    public var description: String { baseName }
}

/// The directory that store paths are in, as derivations and hashes know it, such as `/nix/store`.
public struct StoreDirectory: Hashable, Sendable {
    /// The absolute path, without a slash at the end.
    public let bytes: [UInt8]

    /// The directory that nearly everyone has.
    public static let standard = StoreDirectory(unchecked: [UInt8]("/nix/store".utf8))

    /// Takes an absolute path without empty, `.` or `..` components; nothing if it is not one.
    public init?(_ path: [UInt8]) {
        guard isAbsoluteCleanPath(path), path.count > 1 else { return nil }
        bytes = path
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// The full path of an object: the directory, a slash, the base name.
    public func path(of path: StorePath) -> ByteString {
        ByteString(bytes + [UInt8(ascii: "/")] + path.bytes)
    }

    /// The object that a full path names: the directory itself, a slash, and one base name.
    ///
    /// - Throws: ``StorePathFault``.
    public func parse(_ path: [UInt8]) throws(StorePathFault) -> StorePath {
        guard path.count > bytes.count, path[bytes.count] == UInt8(ascii: "/"),
            path.starts(with: bytes)
        else { throw .notInStore(ByteString(path)) }
        do {
            return try StorePath(baseName: [UInt8](path[(bytes.count + 1)...]))
        } catch {
            throw .name(error, ByteString(path))
        }
    }
}

/// Why something is not the path of a store object.
public enum StorePathFault: Error, Hashable, Sendable {
    /// The path does not lie directly in the store directory.
    case notInStore(ByteString)
    /// The base name is not one.
    case name(StoreObjectName.Fault, ByteString)
}
