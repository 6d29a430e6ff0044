import Glibc
public import Hashing
import StoreDatabase
public import StoreFiles
public import StoreModel
import SystemCalls

/// Something that is wrong with a store.
public enum StoreProblem: Hashable, Sendable {
    /// The database itself is damaged.
    case database(String)
    /// A valid object is not in the store directory.
    case missing(StorePath)
    /// A valid object cannot be read.
    case unreadable(StorePath, StoreFileError)
    /// A valid object's contents are not what was registered.
    case modified(StorePath, expected: Digest, found: Digest)
    /// A valid object's archive has another size than what was registered.
    case otherSize(StorePath, expected: UInt64, found: UInt64)
}

extension StoreProblem: CustomStringConvertible {
    /// One sentence that says what is wrong.
    public var description: String {
        switch self {
        case .database(let damage): "the database is damaged: \(damage)"
        case .missing(let path): "'\(path)' is valid and not there"
        case .unreadable(let path, let error): "'\(path)' cannot be read: \(error)"
        case .modified(let path, let expected, let found):
            "'\(path)' was modified: expected \(expected.text(.nix32, prefixed: true)), "
                + "found \(found.text(.nix32, prefixed: true))"
        case .otherSize(let path, let expected, let found):
            "the archive of '\(path)' has \(found) bytes, and \(expected) are registered"
        }
    }
}

/// What a verification looked at.
public struct VerifySummary: Hashable, Sendable {
    /// The objects that are valid.
    public var validPaths = 0
    /// The bytes of archives that were hashed.
    public var hashedBytes: UInt64 = 0
    /// The problems that were reported.
    public var problems = 0
    /// The entries of the store directory that are not valid objects; those wait to be collected.
    public var garbage = 0

    /// Nothing was looked at yet.
    public init() {}
}

extension LocalStore {
    /// Checks that every valid object is there and, if asked, that its contents are those registered.
    ///
    /// Each object is read once, and memory does not depend on its size. Nothing is changed.
    ///
    /// - Parameters:
    ///   - checkContents: Whether to read the objects.
    ///   - report: Takes each problem as it is found.
    /// - Returns: What was looked at.
    /// - Throws: ``LocalStoreError`` when the store itself cannot be read.
    public func verify(
        checkContents: Bool, report: (StoreProblem) -> Void
    ) throws(LocalStoreError) -> VerifySummary {
        var summary = VerifySummary()
        func found(_ problem: StoreProblem) {
            summary.problems += 1
            report(problem)
        }
        for damage in try inDatabase({ () throws(StoreDatabaseError) in try rows.damage() }) {
            found(.database(damage))
        }
        // Names before rows: what becomes valid in between is no garbage.
        let names = try directoryNames(layout.store)
        let valid = try allValidPaths()
        let validNames = Set(valid.map(\.bytes))
        summary.garbage = names.count { name in
            name != [UInt8](".links".utf8) && !validNames.contains(name)
        }
        for path in valid.sorted() {
            let place = object(at: path)
            let isThere = try systemCalls { () throws(SystemError) in
                try fileStatus(of: place) != nil
            }
            // Somebody may have deleted it since its row was read.
            guard let info = try pathInfo(path) else { continue }
            summary.validPaths += 1
            guard isThere else {
                found(.missing(path))
                continue
            }
            guard checkContents else { continue }
            do throws(StoreFileError) {
                let (digest, size) = try Self.narHash(of: place)
                summary.hashedBytes += size
                if digest != info.narHash {
                    found(.modified(path, expected: info.narHash, found: digest))
                } else if info.narSize != 0, size != info.narSize {
                    found(.otherSize(path, expected: info.narSize, found: size))
                }
            } catch {
                found(.unreadable(path, error))
            }
        }
        return summary
    }

    /// The digest and the size of an object's archive.
    private static func narHash(of place: String) throws(StoreFileError) -> (Digest, UInt64) {
        var hash = HashStream(.sha256)
        var size: UInt64 = 0
        try archive(place) { bytes in
            hash.update(bytes)
            size += UInt64(bytes.count)
        }
        return (hash.finalize(), size)
    }
}
