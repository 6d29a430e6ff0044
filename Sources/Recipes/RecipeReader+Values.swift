import Hashing
import StoreModel

/// The keys of one table.
struct Fields {
    var entries: [String: RecipeEntry]
    var place: RecipePlace
}

extension RecipeReader {
    /// The entries of a table by key; unknown ones are reported.
    mutating func fields(
        _ entries: [RecipeEntry], known: [String], of what: String, at place: RecipePlace
    ) -> Fields {
        var fields = Fields(entries: [:], place: place)
        for entry in entries {
            guard known.contains(entry.key) else {
                fail(
                    entry.place, "`\(entry.key)` is not a key of \(what)",
                    suggestion: didYouMean(entry.key, known)
                        ?? "known are " + known.joined(separator: ", "))
                continue
            }
            fields.entries[entry.key] = entry
        }
        return fields
    }

    mutating func table(_ entry: RecipeEntry) -> [RecipeEntry]? {
        if case .table(let entries) = entry.value { return entries }
        fail(entry, expected: "a table")
        return nil
    }

    mutating func string(_ fields: Fields, _ key: String) -> Placed<String>? {
        guard let entry = fields.entries[key] else { return nil }
        if case .string(let text) = entry.value { return Placed(text, at: entry.place) }
        fail(entry, expected: "a string")
        return nil
    }

    mutating func strings(_ fields: Fields, _ key: String) -> Placed<[String]>? {
        guard let entry = fields.entries[key] else { return nil }
        if case .list(let items) = entry.value {
            let strings = items.compactMap { if case .string(let text) = $0 { text } else { nil } }
            if strings.count == items.count { return Placed(strings, at: entry.place) }
        }
        fail(entry, expected: "a list of strings")
        return nil
    }

    mutating func boolean(_ fields: Fields, _ key: String) -> Bool {
        guard let entry = fields.entries[key] else { return false }
        if case .boolean(let flag) = entry.value { return flag }
        fail(entry, expected: "true or false")
        return false
    }

    mutating func template(_ text: Placed<String>) -> Placed<Template>? {
        do {
            return Placed(try Template(parsing: text.value), at: text.place)
        } catch {
            fail(text.place, "\(error)", suggestion: "write `@@{` for `@{` itself")
            return nil
        }
    }

    mutating func digest(_ text: Placed<String>, _ algorithm: HashAlgorithm?) -> Digest? {
        do {
            return try Digest(parsing: text.value, algorithm: algorithm)
        } catch {
            fail(
                text.place, "\(error)",
                suggestion: "write it as sha256-BASE64, which `kiln hash` prints")
            return nil
        }
    }

    // MARK: Inputs

    private static let inputKeys = [
        "path": ["path", "name"], "text": ["text", "name"],
        "derivation": ["derivation", "file", "output"],
        "url": ["url", "hash", "name", "executable", "unpack"],
    ]

    /// The inputs of a derivation.
    mutating func inputs(_ fields: Fields) -> [RecipeInput] {
        guard let entry = fields.entries["inputs"], let entries = table(entry) else { return [] }
        if entries.count > Self.inputLimit {
            fail(entry.place, "more than \(Self.inputLimit) inputs")
        }
        var inputs: [RecipeInput] = []
        for entry in entries.prefix(Self.inputLimit) {
            guard let inner = table(entry) else { continue }
            guard isVariable(entry.key) else {
                fail(
                    entry.place, "`\(entry.key)` cannot be the name of an input",
                    suggestion:
                        "an input becomes a variable: letters, digits and _, no digit first, and none of name, system, builder, args, outputs"
                )
                continue
            }
            if let kind = input(entry.key, inner, at: entry.place) {
                inputs.append(RecipeInput(name: entry.key, place: entry.place, kind: kind))
            }
        }
        return inputs
    }

    private func isVariable(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        let taken = [
            "name", "system", "builder", "args", "outputs", "outputHash", "outputHashAlgo",
            "outputHashMode",
        ]
        // Names with two underscores in front mean something to Nix.
        return !taken.contains(name) && !name.hasPrefix("__")
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0)
                    || (0x30...0x39).contains($0) || $0 == 0x5F
            }
    }

    private mutating func input(
        _ name: String, _ entries: [RecipeEntry], at place: RecipePlace
    ) -> RecipeInputKind? {
        let kinds = ["path", "text", "derivation", "url"].filter { kind in
            entries.contains { $0.key == kind }
        }
        guard let kind = kinds.first, kinds.count == 1, let known = Self.inputKeys[kind] else {
            fail(
                place, "the input `\(name)` must be one of `path`, `text`, `derivation` and `url`",
                suggestion: entries.first.flatMap { didYouMean($0.key, Self.inputKeys.keys) })
            return nil
        }
        let before = errors.count
        let fields = fields(entries, known: known, of: "an input of kind `\(kind)`", at: place)
        let objectName = string(fields, "name")
        if let objectName, !isObjectName(objectName.value) {
            fail(
                objectName.place, "`\(objectName.value)` cannot be the name of a store object",
                suggestion: nameAdvice)
        }
        guard let main = string(fields, kind) else { return nil }
        if kind != "text", main.value.isEmpty { fail(main.place, "`\(kind)` is empty") }
        let result: RecipeInputKind?
        switch kind {
        case "path": result = .tree(main, name: objectName?.value)
        case "text":
            result = template(main).map { .text($0, name: objectName?.value ?? name) }
        case "url": result = download(main, fields, name: objectName?.value)
        default:
            var output: Placed<OutputName>?
            if let text = string(fields, "output") {
                output = OutputName([UInt8](text.value.utf8)).map { Placed($0, at: text.place) }
                if output == nil {
                    fail(text.place, "`\(text.value)` cannot be the name of an output")
                }
            }
            let file = string(fields, "file")
            if let file, file.value.isEmpty { fail(file.place, "`file` is empty") }
            result = .derivation(main, file: file, output: output)
        }
        return errors.count == before ? result : nil
    }

    private mutating func download(
        _ url: Placed<String>, _ fields: Fields, name: String?
    ) -> RecipeInputKind? {
        let isPrintable = url.value.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        if !isPrintable || !url.value.contains("://") {
            fail(url.place, "`\(url.value)` is not a URL")
        }
        guard let hash = string(fields, "hash") else {
            if fields.entries["hash"] == nil {
                fail(
                    fields.place, "what is fetched needs a `hash` that it is checked against",
                    suggestion: "write it as sha256-BASE64, which `kiln hash` prints")
            }
            return nil
        }
        let last = url.value.split(separator: "/").last.map(String.init) ?? ""
        let name = name ?? last
        if !isObjectName(name) || name.hasSuffix(".drv") || !isObjectName(name + ".drv") {
            fail(
                url.place, "`\(name)` cannot be the name of a store object",
                suggestion: "set `name`: " + nameAdvice)
        }
        let isExecutable = boolean(fields, "executable")
        let unpacks = boolean(fields, "unpack")
        guard let digest = digest(hash, nil) else { return nil }
        return .url(
            RecipeDownload(
                url: url.value, name: name, hash: hash.value, digest: digest,
                isExecutable: isExecutable, unpacks: unpacks))
    }
}
