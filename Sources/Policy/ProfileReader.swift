import LaunchModel

/// Reads a profile's values out of the merged keys of a chain of files.
struct ProfileReader {
    struct Item {
        var entry: PolicyDocument.Entry
        var document: PolicyDocument
    }

    private let chain: [PolicyDocument]
    private let document: PolicyDocument
    private var items: [[String]: Item] = [:]
    /// What was wrong.
    private(set) var errors: [PolicyError] = []

    /// Merges a chain of files, the root first.
    init(chain: [PolicyDocument]) {
        self.chain = chain
        document = chain[chain.count - 1]
        for document in chain {
            for entry in document.entries where !["schema", "extends"].contains(entry.path[0]) {
                if entry.path == ["description"], document.source != self.document.source {
                    continue
                }
                merge(Item(entry: entry, document: document))
            }
        }
    }

    private mutating func merge(_ item: Item) {
        let path = item.entry.path
        if item.entry.value == .table {
            if items[path]?.entry.value == .table { return }
        } else if items[path]?.entry.value == .table {
            items = items.filter { !($0.key.count > path.count && $0.key.starts(with: path)) }
        }
        items[path] = item
    }

    // MARK: Values

    /// The item at a dotted path.
    func item(_ path: String) -> Item? { items[path.split(separator: ".").map(String.init)] }

    /// The paths directly below a path, sorted by name.
    func children(of path: [String]) -> [(name: String, item: Item)] {
        items.filter { $0.key.count == path.count + 1 && $0.key.starts(with: path) }
            .map { ($0.key[path.count], $0.value) }.sorted { $0.0 < $1.0 }
    }

    mutating func fail(_ item: Item, _ message: String, suggestion: String? = nil) {
        errors.append(item.document.error(item.entry, message, suggestion: suggestion))
    }

    mutating func fail(_ item: Item, expected: String) {
        let key = PolicySchema.spell(item.entry.path)
        fail(item, "`\(key)` must be \(expected), not \(item.entry.value.kind)")
    }

    /// Reads an item with `body`, which answers nothing for a value it does not take.
    mutating func optional<Value: Hashable & Sendable>(
        _ path: String, _ expected: String, _ body: (PolicyValue) -> Value?
    ) -> Setting<Value>? {
        guard let item = item(path) else { return nil }
        guard let value = body(item.entry.value) else {
            switch item.entry.value {
            case .string(let text): fail(item, "`\(path)` must be \(expected), not \"\(text)\"")
            case .integer(let number): fail(item, "`\(path)` must be \(expected), not \(number)")
            case .boolean, .strings, .table, .other: fail(item, expected: expected)
            }
            return nil
        }
        return Setting(value, origin: item.entry.origin)
    }

    mutating func required<Value: Hashable & Sendable>(
        _ path: String, _ expected: String, _ body: (PolicyValue) -> Value?
    ) -> Setting<Value>? {
        if item(path) == nil {
            errors.append(
                document.error(
                    line: 1, column: 1,
                    "profile `\(document.source.name)` lacks `\(path)`, and so does what it extends",
                    suggestion: "set it to \(expected), or extend a profile that does"))
            return nil
        }
        return optional(path, expected, body)
    }

    static func string(_ value: PolicyValue) -> String? {
        if case .string(let text) = value { text } else { nil }
    }

    static func boolean(_ value: PolicyValue) -> Bool? {
        if case .boolean(let flag) = value { flag } else { nil }
    }

    static func integer(_ value: PolicyValue, in range: ClosedRange<Int>) -> Int? {
        if case .integer(let number) = value, range.contains(number) { number } else { nil }
    }

    static func size(_ value: PolicyValue) -> UInt64? { string(value).flatMap(parseSize) }

    // MARK: The profile

    private static let sizeWords = "a size such as \"64M\""
    private static let durationWords = "a time such as \"4h\", or \"unlimited\""

    /// The profile, or nothing if ``errors`` say why not.
    mutating func profile() -> Profile? {
        let description = optional("description", "a string", Self.string)
        let hostName = required(
            "identity.hostname", "a host name of 1 to 63 of a-z, 0-9, - and .", Self.hostName)
        let user = required("identity.uid", "a number from 1 to 65533", Self.identifier)
        let group = required("identity.gid", "a number from 1 to 65533", Self.identifier)
        let network = network()
        let rootSize = required("filesystem.root_size", Self.sizeWords) {
            Self.size($0).flatMap { $0 == 0 ? nil : $0 }
        }
        let temporarySize = required("filesystem.tmp_size", Self.sizeWords, Self.size)
        let sharedMemory = required("filesystem.shm", Self.sizeWords, Self.size)
        let shell = required("filesystem.shell", "a list of clean absolute paths") {
            value -> [String]? in
            guard case .strings(let paths) = value, paths.allSatisfy(Self.isPath) else {
                return nil
            }
            return paths
        }
        let mounts = mounts(shellIsMounted: shell?.value.isEmpty == false)
        let devices = devices()
        let syscalls = syscalls()
        let resourceLimits = resourceLimits()
        let limits = ProfileLimits(
            wallTime: limit("limits.wall_time", Self.durationWords, parseDuration),
            silentTime: limit("limits.silent_time", Self.durationWords, parseDuration),
            logSize: limit(
                "limits.log_size", "\(Self.sizeWords), or \"unlimited\"", parseSize))
        let environment = environment()
        let bytes = required("outputs.max_size", Self.sizeWords, Self.size)
        let entries = required("outputs.max_entries", "a number from 1") {
            Self.integer($0, in: 1...Int.max)
        }
        let depth = required("outputs.max_depth", "a number from 1 to 4096") {
            Self.integer($0, in: 1...4096)
        }
        let copies = required("outputs.always_copy", "true or false", Self.boolean)
        guard errors.isEmpty, let hostName, let user, let group, let network, let rootSize,
            let temporarySize, let sharedMemory, let shell, let syscalls, let bytes, let entries,
            let depth, let copies
        else { return nil }
        return Profile(
            name: document.source.name, file: document.source.file,
            description: description?.value ?? "",
            ancestors: chain.dropLast().reversed().map(\.source.name), user: user, group: group,
            hostName: hostName, network: network, rootSize: rootSize,
            temporarySize: temporarySize, sharedMemorySize: sharedMemory, shell: shell,
            mounts: mounts, devices: devices, syscalls: syscalls, resourceLimits: resourceLimits,
            limits: limits,
            outputs: OutputLimits(
                bytes: bytes.value, entries: UInt64(entries.value), depth: UInt32(depth.value)),
            alwaysCopiesOutputs: copies, effective: effective(), environmentValues: environment)
    }

    private static func identifier(_ value: PolicyValue) -> UInt32? {
        integer(value, in: 1...65533).map(UInt32.init)
    }

    private static func hostName(_ value: PolicyValue) -> String? {
        guard let name = string(value), (1...63).contains(name.utf8.count) else { return nil }
        return name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E
        } ? name : nil
    }

    static func isPath(_ text: String) -> Bool {
        isAbsoluteCleanPath(Array(text.utf8)) && text.utf8.count > 1
    }

    private mutating func network() -> Setting<Network>? {
        if let item = item("network.mode"), case .string(let word) = item.entry.value,
            ["proxy", "pasta", "host"].contains(word)
        {
            fail(item, "`network.mode`: \"\(word)\" is not available in this version")
            return nil
        }
        return required("network.mode", "\"none\" or \"loopback\"") { value -> Network? in
            switch Self.string(value) {
            case "none": Network.none
            case "loopback": .loopback
            default: nil
            }
        }
    }

    /// A limit that may be left out or `unlimited`.
    mutating func limit(
        _ path: String, _ expected: String, _ parse: (String) -> UInt64?
    ) -> UInt64? {
        let setting = optional(path, expected) { value -> UInt64? in
            guard let text = Self.string(value) else { return nil }
            return text == "unlimited" ? UInt64.max : parse(text)
        }
        return setting.flatMap { $0.value == .max ? nil : $0.value }
    }

    private func effective() -> [Profile.EffectiveKey] {
        items.compactMap { path, item -> Profile.EffectiveKey? in
            switch item.entry.value {
            case .string, .integer, .boolean, .strings:
                Profile.EffectiveKey(
                    key: PolicySchema.spell(path), value: item.entry.value.text,
                    origin: item.entry.origin, parsed: item.entry.value)
            case .table, .other: nil
            }
        }.sorted { $0.key < $1.key }
    }
}
