import Glibc
public import StoreModel
import SystemCalls

/// What the permanent roots of a store are.
public struct RootSurvey: Hashable, Sendable {
    /// What keeps which object alive: the path of the link or file.
    public var roots: [String: StorePath] = [:]
    /// Links that lead to something that is not there, so that they keep nothing alive.
    public var stale: Set<String> = []
}

/// Finds the permanent roots below some directories.
///
/// Directories are entered by their own names only, never through links, so there are no circles; how
/// many entries and levels there may be is bounded.
///
/// Source: `reference/nix-features.md` §12, "permanent roots".
struct RootScan {
    private static let entries = 4_000_000
    private static let levels = 64

    private let layout: StoreLayout
    private let stores: [[UInt8]]
    private(set) var survey = RootSurvey()

    init(_ layout: StoreLayout) {
        self.layout = layout
        // Links say what store paths say; one that a person made may say where objects really lie.
        stores = [layout.logicalStore.bytes, [UInt8](layout.store.utf8)]
    }

    /// Adds the roots below a directory; one that is not there has none.
    mutating func scan(_ directory: String) throws(LocalStoreError) {
        var open: [(path: String, level: Int)] = [(directory, 0)]
        var count = 0
        while let (path, level) = open.popLast() {
            count += 1
            guard count <= Self.entries, level <= Self.levels else {
                throw .unreadableRoot(path, fault: "there are too many roots, or too deep ones")
            }
            guard let status = try Self.status(path) else { continue }
            if isDirectory(status) {
                for name in try directoryNames(path) {
                    guard let text = String(validating: name, as: UTF8.self) else {
                        throw .unreadableRoot(path, fault: "the name of an entry is not UTF-8")
                    }
                    open.append((path + "/" + text, level + 1))
                }
            } else if isLink(status) {
                try follow(path)
            } else if isRegular(status), let root = Self.parsed(Self.name(of: path)) {
                survey.roots[path] = root
            }
        }
    }

    /// Takes a link for a root if it leads into the store, at once or by exactly one other link.
    private mutating func follow(_ link: String) throws(LocalStoreError) {
        let target = try Self.target(link)
        if let root = root(at: target) {
            survey.roots[link] = root
            return
        }
        guard let text = String(validating: target, as: UTF8.self) else {
            throw .unreadableRoot(link, fault: "it leads to a path that is not UTF-8")
        }
        let second = text.hasPrefix("/") ? text : Self.directory(of: link) + "/" + text
        guard let status = try Self.status(second) else {
            survey.stale.insert(link)
            return
        }
        if isLink(status), let root = root(at: try Self.target(second)) {
            survey.roots[second] = root
        }
    }

    /// The object that a path leads to or into.
    private func root(at path: [UInt8]) -> StorePath? {
        for store in stores where path.starts(with: store + [UInt8(ascii: "/")]) {
            let name = path[(store.count + 1)...].prefix { $0 != UInt8(ascii: "/") }
            if let root = Self.parsed(name) { return root }
        }
        return nil
    }

    private static func parsed(_ name: some Sequence<UInt8>) -> StorePath? {
        do {
            return try StorePath(baseName: [UInt8](name))
        } catch {
            return nil
        }
    }

    private static func directory(of path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    private static func name(of path: String) -> Substring.UTF8View {
        path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...].utf8
    }

    private static func status(_ path: String) throws(LocalStoreError) -> stat? {
        try systemCalls { () throws(SystemError) in try fileStatus(of: path) }
    }

    private static func target(_ link: String) throws(LocalStoreError) -> [UInt8] {
        try systemCalls { () throws(SystemError) in try linkTarget(of: link) }
    }
}
