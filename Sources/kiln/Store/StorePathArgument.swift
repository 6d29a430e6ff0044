import Glibc
import StoreModel

/// The object that an argument means.
///
/// That is a path in `/nix/store`, a path under the root's own `nix/store`, a base name, or a symbolic
/// link to one of these, such as the one that `kiln build --out-link` makes. What follows an object's
/// name in a path is ignored.
///
/// - Throws: ``InputError`` that says what was looked for.
func storePath(_ argument: String, in root: StoreRoot) throws(InputError) -> StorePath {
    var text = argument
    // As many links as the kernel follows.
    for _ in 0..<40 {
        if let path = directStorePath(text, in: root) { return path }
        var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(text, &target, target.count)
        guard count > 0 else { break }
        let bytes = target[..<count].map { UInt8(bitPattern: $0) }
        let link = String(decoding: bytes, as: UTF8.self)
        if link.hasPrefix("/") {
            text = link
        } else {
            let parent = text.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            text = (parent + [Substring(link)]).joined(separator: "/")
        }
    }
    throw InputError(
        "'\(argument)' is not a store path; one looks like \(StoreDirectory.standard.text)"
            + "/<32 characters>-<name>")
}

private func directStorePath(_ text: String, in root: StoreRoot) -> StorePath? {
    let store = StoreDirectory.standard.text
    var name = Substring(text)
    for directory in [root.prefix + store + "/", store + "/"] where text.hasPrefix(directory) {
        name = text.dropFirst(directory.count)
        break
    }
    let base = name.prefix { $0 != "/" }
    // A name of the working directory's is a base name only when it stands alone.
    guard name.count < text.count || base.count == text.count else { return nil }
    do {
        return try StorePath(baseName: [UInt8](base.utf8))
    } catch {
        return nil
    }
}

extension StoreDirectory {
    /// The path as text.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The full path of an object, as commands print it.
func fullPath(_ path: StorePath) -> String { StoreDirectory.standard.path(of: path).description }

/// Checks that an object may have a name.
func checkObjectName(_ name: String) throws(InputError) {
    do {
        _ = try StorePath(
            baseName: [UInt8](repeating: UInt8(ascii: "0"), count: 32) + [UInt8]("-\(name)".utf8))
    } catch {
        throw InputError(
            "'\(name)' cannot be the name of a store object: \(text(of: error)); "
                + "choose another with --name")
    }
}
