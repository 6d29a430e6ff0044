/// Joins a directory and a path below it; an absolute path stays as it is.
///
/// `.`, `..` and empty components are taken out by their text alone, as Nix does, whatever links there are.
///
/// - Parameters:
///   - path: The path.
///   - directory: An absolute path.
/// - Returns: An absolute path; `/` is its own parent.
func absolutePath(_ path: String, below directory: String) -> String {
    let whole = path.utf8.first == UInt8(ascii: "/") ? path : directory + "/" + path
    var components: [Substring] = []
    for component in whole.split(separator: "/") {
        switch component {
        case ".": continue
        case "..": _ = components.popLast()
        default: components.append(component)
        }
    }
    return "/" + components.joined(separator: "/")
}

/// The directory that a file lies in.
func parentDirectory(of path: String) -> String {
    absolutePath("..", below: path)
}

/// The name of the file at a path; nothing for the root.
func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? ""
}
