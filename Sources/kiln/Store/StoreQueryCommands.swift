import ArgumentParser
import DerivationFormat
import Hashing
import StoreModel

extension StoreCommand {
    /// `kiln store info`.
    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints what is known of store paths.")

        @OptionGroup var store: StoreOptions

        @Flag(help: "Print one JSON object whose keys are the paths.")
        var json = false

        @Argument(help: "Store paths.")
        var paths: [String]

        func run() throws {
            let root = try store.storeRoot()
            let wanted = try paths.map { try storePath($0, in: root) }
            try store.withSession { session in
                printInfos(try wanted.map { try session.info($0) }, asJSON: json)
            }
        }
    }

    /// `kiln store closure`.
    struct Closure: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints everything that store paths refer to, themselves included.")

        @OptionGroup var store: StoreOptions

        @Flag(help: "Print one JSON object whose keys are the paths.")
        var json = false

        @Argument(help: "Store paths.")
        var paths: [String]

        func run() throws {
            let root = try store.storeRoot()
            let wanted = try paths.map { try storePath($0, in: root) }
            try store.withSession { session in
                let closure = try session.closure(of: wanted)
                if json {
                    printInfos(closure, asJSON: true)
                } else {
                    for info in closure { print(fullPath(info.path)) }
                }
            }
        }
    }
}

extension Session {
    /// What is known of a path that must be valid.
    func info(_ path: StorePath) throws -> ValidPathInfo {
        guard let info = try client.pathInfo(path) else {
            throw CommandFailure(
                "'\(fullPath(path))' is not valid in the store at \(root.path)")
        }
        return info
    }

    /// What is known of everything that `paths` refer to, themselves included, in order.
    func closure(of paths: [StorePath]) throws -> [ValidPathInfo] {
        var found: [StorePath: ValidPathInfo] = [:]
        var rest = Set(paths)
        while let path = rest.popFirst() {
            let info = try info(path)
            found[path] = info
            for reference in info.references where found[reference] == nil {
                rest.insert(reference)
            }
        }
        return found.values.sorted { $0.path < $1.path }
    }
}

/// Prints what is known of paths.
func printInfos(_ infos: [ValidPathInfo], asJSON: Bool) {
    if asJSON {
        let members = infos.map { (fullPath($0.path), json(of: $0)) }
        print(JSONValue.object(Dictionary(members) { first, _ in first }).text)
        return
    }
    for info in infos {
        print(fullPath(info.path))
        for (key, value) in lines(of: info) { print("  \(key): \(value)") }
    }
}

/// What is known of a path, in the members of Nix's `path-info --json`.
func json(of info: ValidPathInfo) -> JSONValue {
    var members: [String: JSONValue] = [
        "narHash": .string(info.narHash.text(.sri, prefixed: false)),
        "narSize": .number("\(info.narSize)"),
        "references": .array(info.references.sorted().map { .string(fullPath($0)) }),
        "registrationTime": .number("\(info.registrationTime)"),
        "ultimate": .bool(info.isUltimate),
        "signatures": .array(info.signatures.sorted().map { .string($0) }),
    ]
    members["deriver"] = info.deriver.map { .string(fullPath($0)) } ?? .null
    members["ca"] = info.contentAddress.map { .string("\($0)") } ?? .null
    return .object(members)
}

private func lines(of info: ValidPathInfo) -> [(String, String)] {
    var lines = [
        ("hash of the archive", info.narHash.text(.sri, prefixed: false)),
        ("size of the archive", "\(info.narSize)"),
    ]
    if let address = info.contentAddress { lines.append(("content address", "\(address)")) }
    if let deriver = info.deriver { lines.append(("deriver", fullPath(deriver))) }
    lines += info.references.sorted().map { ("reference", fullPath($0)) }
    lines += info.signatures.sorted().map { ("signature", plainText($0)) }
    if info.isUltimate { lines.append(("built here", "yes")) }
    return lines
}
