import DerivationFormat
import Hashing
import LaunchModel
import StoreModel

extension BuilderEnvironment {
    /// Files of `exportReferencesGraph`: for each path of a closure the path, an empty line where its
    /// deriver would be, the number of references, and those, a line each.
    mutating func addGraphFiles() throws(PlanningFault) {
        for (name, paths) in try attributes.exportedGraphs() {
            guard Self.isGraphFileName(name.bytes) else {
                throw .attribute(
                    "exportReferencesGraph", "has a file name that is not allowed: '\(name)'")
            }
            var text: [UInt8] = []
            for path in try graph(of: paths).sorted() {
                let references = facts(of: path)?.references.sorted() ?? []
                text += settings.store.path(of: path).bytes
                text += "\n\n\(references.count)\n".utf8
                for reference in references {
                    text += settings.store.path(of: reference).bytes
                    text.append(UInt8(ascii: "\n"))
                }
            }
            files.append(.init(name: name.bytes, contents: text))
        }
    }

    /// The objects of a graph as `.attrs.json` has them, sorted by path.
    func graphValue(of paths: [ByteString]) throws(PlanningFault) -> JSONValue {
        var entries: [JSONValue] = []
        for path in try graph(of: paths).sorted() {
            guard let facts = facts(of: path) else { continue }
            let closureSize = closure(of: [path]).reduce(UInt64(0)) {
                $0 + (self.facts(of: $1)?.narSize ?? 0)
            }
            var members: [String: JSONValue] = [
                "path": .string(text(of: path)),
                "narHash": .string(facts.narHash.text(.nix32, prefixed: true)),
                "narSize": .number("\(facts.narSize)"),
                "references": .array(facts.references.sorted().map { .string(text(of: $0)) }),
                "valid": .bool(true), "closureSize": .number("\(closureSize)"),
            ]
            if let address = facts.contentAddress { members["ca"] = .string("\(address)") }
            entries.append(.object(members))
        }
        return .array(entries)
    }

    private func text(of path: StorePath) -> String { "\(settings.store.path(of: path))" }

    /// The closure of paths, each in or below an input, with the outputs of every derivation in it.
    private func graph(of paths: [ByteString]) throws(PlanningFault) -> Set<StorePath> {
        var start: Set<StorePath> = []
        for text in paths {
            // A path below an object means the object.
            let prefix = settings.store.bytes.count + 1
            let end =
                text.bytes.dropFirst(prefix).firstIndex(of: UInt8(ascii: "/")) ?? text.bytes.count
            let path: StorePath
            do {
                path = try settings.store.parse([UInt8](text.bytes[..<end]))
            } catch {
                throw .graphOutsideOfClosure(text)
            }
            guard build.closure[path] != nil else { throw .graphOutsideOfClosure(text) }
            start.insert(path)
        }
        let closure = closure(of: start)
        let outputs = closure.reduce(into: Set<StorePath>()) {
            $0.formUnion(build.outputsOfDerivations[$1] ?? [])
        }
        return closure.union(self.closure(of: outputs))
    }

    private func facts(of path: StorePath) -> ObjectFacts? {
        build.closure[path] ?? build.graphObjects[path]
    }

    private func closure(of start: Set<StorePath>) -> Set<StorePath> {
        var reached = start
        var waiting = [StorePath](start)
        while let path = waiting.popLast() {
            for reference in facts(of: path)?.references ?? []
            where reached.insert(reference).inserted {
                waiting.append(reference)
            }
        }
        return reached
    }

    /// A letter or underscore, then letters, digits, `_`, `-` and `.`.
    private static func isGraphFileName(_ name: [UInt8]) -> Bool {
        guard let first = name.first, isLetter(first), name.count <= 255 else { return false }
        return name.allSatisfy {
            isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
