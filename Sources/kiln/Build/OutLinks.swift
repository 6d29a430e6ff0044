import Glibc
import StoreModel
import SystemCalls

/// The symbolic links that `--out-link` makes, with what each points at.
///
/// The first thing that was asked for is `LINK`, the second `LINK-2` and so on; an output that is not
/// called `out` has its name behind that.
func outLinks(
    _ link: String, for items: [BuildReport.Item]
) -> [(link: String, target: StorePath)] {
    var links: [(String, StorePath)] = []
    for (index, item) in items.enumerated() {
        let base = index == 0 ? link : "\(link)-\(index + 1)"
        for (name, path) in item.outputs {
            links.append((name == OutputName.out.description ? base : "\(base)-\(name)", path))
        }
    }
    return links
}

extension Session {
    /// Makes links to objects, and has them keep the objects from being collected.
    ///
    /// A link that is there already is replaced; anything else is not.
    func makeLinks(_ links: [(link: String, target: StorePath)]) throws {
        for (link, target) in links {
            // A link of a store elsewhere points at where the object lies, so that it can be followed.
            try replaceLink(link, target: root.place(of: target))
            let path = try absolutePath(link)
            try client.addTemporaryRoot(target)
            try client.addIndirectRoot(link: [UInt8](path.utf8))
        }
    }
}

private func replaceLink(_ link: String, target: String) throws {
    var status = stat()
    if lstat(link, &status) == 0, status.st_mode & S_IFMT != S_IFLNK {
        throw InputError(
            "'\(link)' is there and is not a symbolic link; --out-link makes none of it")
    }
    let temporary = "\(link).kiln-\(String(UInt64.random(in: .min ... .max), radix: 16))"
    guard symlink(target, temporary) == 0 else { throw InputError(call: "symlink", path: link) }
    guard rename(temporary, link) == 0 else {
        let error = InputError(call: "rename", path: link)
        // The first error is the one to tell.
        _ = unlink(temporary)
        throw error
    }
}

private func absolutePath(_ path: String) throws(InputError) -> String {
    let parts = path.split(separator: "/", omittingEmptySubsequences: true)
    guard let name = parts.last else { throw InputError("'\(path)' cannot be a link") }
    let parent = String(path.dropLast(path.hasSuffix("/") ? name.utf8.count + 1 : name.utf8.count))
    guard let resolved = realpath(parent.isEmpty ? "." : parent, nil) else {
        throw InputError(call: "realpath", path: parent.isEmpty ? "." : parent)
    }
    defer { free(resolved) }
    let directory = String(cString: resolved)
    return (directory == "/" ? "" : directory) + "/" + name
}
