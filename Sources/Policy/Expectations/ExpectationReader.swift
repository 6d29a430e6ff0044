import Diagnostics

/// Reads files of expectations and reports every mistake in them at once.
///
/// - Parameters:
///   - sources: The files; a name is for messages only.
///   - profiles: The profiles that there are.
/// - Returns: The expectations, in the order of files and lines.
/// - Throws: ``PolicyErrors`` with every mistake.
public func loadExpectations(
    _ sources: [PolicySource], of profiles: [Profile]
) throws(PolicyErrors) -> [PolicyExpectation] {
    var errors: [PolicyError] = []
    var expectations: [PolicyExpectation] = []
    for source in sources {
        do throws(PolicyError) {
            var reader = ExpectationReader(try PolicyDocument(source), profiles: profiles)
            expectations += reader.expectations()
            errors += reader.errors
        } catch {
            errors.append(error)
        }
    }
    guard errors.isEmpty else { throw PolicyErrors(errors) }
    return expectations
}

/// Reads one file of expectations.
struct ExpectationReader {
    private let document: PolicyDocument
    private let names: Set<String>
    private let profiles: [Profile]
    /// What was wrong.
    private(set) var errors: [PolicyError] = []

    private static let top = ["schema", "profile", "profiles", "expect"]
    private static let keys = [
        "calls", "with", "interface", "answer", "key", "value", "at_most", "at_least",
        "no_looser_than", "exposure_at_most",
    ]

    init(_ document: PolicyDocument, profiles: [Profile]) {
        self.document = document
        self.profiles = profiles
        names = Set(profiles.map(\.name))
    }

    /// The expectations; those that have mistakes are left out.
    mutating func expectations() -> [PolicyExpectation] {
        checkKeys()
        guard document.entry(["schema"])?.value == .integer(PolicySchema.number) else {
            errors.append(
                document.error(
                    line: document.entry(["schema"])?.origin.line ?? 1, column: 1,
                    "`schema` must be \(PolicySchema.number)"))
            return []
        }
        let about = aboutProfiles()
        let tables = document.entries.filter { $0.path.count == 2 && $0.path[0] == "expect" }
        if tables.isEmpty {
            errors.append(
                document.error(
                    line: 1, column: 1, "there are no expectations in this file",
                    suggestion: "an expectation is a table `[expect.NAME]`"))
        }
        return tables.compactMap { table in
            guard table.value == .table else {
                fail(table, "`expect.\(table.path[1])` must be a table, not \(table.value.kind)")
                return nil
            }
            guard let claim = claim(table) else { return nil }
            return PolicyExpectation(
                name: table.path[1], origin: table.origin, profiles: about, claim: claim)
        }
    }

    private mutating func fail(
        _ entry: PolicyDocument.Entry, _ message: String, suggestion: String? = nil
    ) {
        errors.append(document.error(entry, message, suggestion: suggestion))
    }

    private func guess(_ word: String, in words: some Sequence<String>) -> String? {
        nearest(word, in: words).map { "did you mean `\($0)`?" }
    }

    private mutating func checkKeys() {
        for entry in document.entries {
            let known: [String]
            switch entry.path.count {
            case 1: known = Self.top
            case 3 where entry.path[0] == "expect": known = Self.keys
            default: continue
            }
            let name = entry.path[entry.path.count - 1]
            guard !known.contains(name) else { continue }
            fail(
                entry, "unknown key `\(name)`",
                suggestion: guess(name, in: known)
                    ?? "known here: \(known.sorted().joined(separator: ", "))")
        }
    }

    private mutating func aboutProfiles() -> [String] {
        let one = document.entry(["profile"])
        let several = document.entry(["profiles"])
        guard let entry = one ?? several, one == nil || several == nil else {
            errors.append(
                document.error(
                    line: 1, column: 1, "either `profile` or `profiles` is needed",
                    suggestion: "write `profile = \"default\"`"))
            return []
        }
        let wanted: [String]
        switch entry.value {
        case .string(let name) where one != nil: wanted = [name]
        case .strings(let names) where one == nil && !names.isEmpty: wanted = names
        default:
            fail(
                entry,
                one != nil
                    ? "`profile` must be a profile's name"
                    : "`profiles` must be a list of profiles' names")
            return []
        }
        for name in wanted where !names.contains(name) {
            fail(entry, "there is no profile `\(name)`", suggestion: guess(name, in: names))
        }
        return wanted.filter(names.contains)
    }

    // MARK: One expectation

    private func entry(_ table: PolicyDocument.Entry, _ key: String) -> PolicyDocument.Entry? {
        document.entry(table.path + [key])
    }

    private mutating func string(_ table: PolicyDocument.Entry, _ key: String) -> String? {
        guard let entry = entry(table, key) else { return nil }
        guard case .string(let text) = entry.value else {
            fail(entry, "`\(key)` must be a string, not \(entry.value.kind)")
            return nil
        }
        return text
    }

    private mutating func claim(_ table: PolicyDocument.Entry) -> PolicyExpectation.Claim? {
        let kinds = ["calls", "key", "no_looser_than", "exposure_at_most"].filter {
            entry(table, $0) != nil
        }
        guard kinds.count == 1 else {
            fail(
                table,
                "`expect.\(table.path[1])` needs exactly one of `calls`, `key`, `no_looser_than` and "
                    + "`exposure_at_most`")
            return nil
        }
        let allowed: [String: Set<String>] = [
            "calls": ["calls", "with", "interface", "answer"],
            "key": ["key", "value", "at_most", "at_least"],
        ]
        for entry in document.entries
        where entry.path.count == 3 && entry.path.starts(with: table.path)
            && Self.keys.contains(entry.path[2])
            && !(allowed[kinds[0]] ?? [kinds[0]]).contains(entry.path[2])
        {
            fail(entry, "`\(entry.path[2])` does not go with `\(kinds[0])`")
        }
        switch kinds[0] {
        case "calls": return callClaim(table).map { .answer($0) }
        case "key": return keyClaim(table)
        case "no_looser_than":
            guard let other = string(table, "no_looser_than") else { return nil }
            guard names.contains(other) else {
                if let entry = entry(table, "no_looser_than") {
                    fail(
                        entry, "there is no profile `\(other)`", suggestion: guess(other, in: names)
                    )
                }
                return nil
            }
            return .noLooser(than: other)
        default:
            guard let text = string(table, "exposure_at_most") else { return nil }
            guard let bound = Hundredths(text: text) else {
                if let entry = entry(table, "exposure_at_most") {
                    fail(entry, "`exposure_at_most` must be a number such as \"1.0\", at most 10")
                }
                return nil
            }
            return .exposure(atMost: bound)
        }
    }

    private mutating func keyClaim(_ table: PolicyDocument.Entry) -> PolicyExpectation.Claim? {
        guard let key = string(table, "key"), let place = entry(table, "key") else { return nil }
        let known = Set(profiles.flatMap { $0.shown.map(\.key) })
        let isPattern = PolicySchema.keys.contains { pattern in
            let parts = key.split(separator: ".").map(String.init)
            return parts.count == pattern.count
                && zip(parts, pattern).allSatisfy { $0 == $1 || $1 == "*" }
        }
        guard known.contains(key) || isPattern else {
            fail(place, "no profile has a key `\(key)`", suggestion: guess(key, in: known))
            return nil
        }
        let relations = PolicyExpectation.Relation.allCases.filter {
            entry(table, $0.rawValue) != nil
        }
        guard relations.count == 1, let relation = relations.first,
            let bound = entry(table, relation.rawValue)
        else {
            fail(table, "`key` needs exactly one of `value`, `at_most` and `at_least`")
            return nil
        }
        switch bound.value {
        case .string, .integer, .boolean, .strings: break
        case .table, .other:
            fail(bound, "`\(relation.rawValue)` cannot be \(bound.value.kind)")
            return nil
        }
        guard relation == .equal || KeyOrder.of(key).orders(bound.value) else {
            fail(bound, "`\(key)` has no order in which \(bound.value.text) stands; use `value`")
            return nil
        }
        return .value(key: key, relation, bound.value)
    }

    private mutating func callClaim(
        _ table: PolicyDocument.Entry
    ) -> PolicyExpectation.CallClaim? {
        guard let entry = entry(table, "calls") else { return nil }
        let calls: [String]
        switch entry.value {
        case .string(let call): calls = [call]
        case .strings(let list) where !list.isEmpty: calls = list
        default:
            fail(entry, "`calls` must be a system call or a list of them")
            return nil
        }
        let unknown = calls.filter { Syscall.byName[$0] == nil }
        for call in unknown {
            fail(
                entry, "there is no system call `\(call)`",
                suggestion: guess(call, in: Syscall.byName.keys))
        }
        let answer = answer(table)
        let interface = interface(table)
        guard unknown.isEmpty, let arguments = arguments(table, of: calls), let answer,
            let interface
        else { return nil }
        return PolicyExpectation.CallClaim(
            calls: calls, arguments: arguments, interface: interface, answer: answer)
    }

    private mutating func answer(
        _ table: PolicyDocument.Entry
    ) -> PolicyExpectation.Answer? {
        guard let place = entry(table, "answer") else {
            fail(table, "`expect.\(table.path[1])` lacks `answer`")
            return nil
        }
        guard let word = string(table, "answer") else { return nil }
        if word == "deny" { return .deny }
        if let action = SyscallAction(name: word) { return .action(action) }
        let words = ["deny"] + SyscallAction.names
        fail(
            place, "there is no answer \"\(word)\"",
            suggestion: guess(word, in: words) ?? "answers: \(words.joined(separator: ", "))")
        return nil
    }

    private mutating func interface(
        _ table: PolicyDocument.Entry
    ) -> PolicyExpectation.Interface? {
        guard let place = entry(table, "interface") else { return .native }
        guard let word = string(table, "interface") else { return nil }
        if let interface = PolicyExpectation.Interface(rawValue: word) { return interface }
        fail(place, "`interface` must be \"native\" or \"32-bit\", not \"\(word)\"")
        return nil
    }

    /// The arguments that `with` fixes, which every one of the calls must have at the same position.
    private mutating func arguments(
        _ table: PolicyDocument.Entry, of calls: [String]
    ) -> [Int: UInt32]? {
        guard let with = entry(table, "with") else { return [:] }
        guard with.value == .table else {
            fail(with, "`with` must be a table of arguments, such as `with.family = \"AF_ALG\"`")
            return nil
        }
        var arguments: [Int: UInt32] = [:]
        var isWhole = true
        for entry in document.entries
        where entry.path.count == 4 && entry.path.starts(with: with.path) {
            let text: String
            switch entry.value {
            case .string(let constant): text = constant
            case .integer(let number): text = String(number)
            case .boolean, .strings, .table, .other:
                fail(entry, "an argument is a number or a constant such as \"AF_ALG\"")
                isWhole = false
                continue
            }
            for call in calls {
                do throws(ConditionFault) {
                    let parsed = try ConditionParser.parse(
                        "\(entry.path[3]) == \(text)", call: call)
                    guard case .compare(let argument, _, .equal, let value) = parsed,
                        value & ~argument.mask == 0,
                        arguments[argument.index] ?? value == value
                    else {
                        fail(entry, "\(call) cannot have \(entry.path[3]) = \(text)")
                        isWhole = false
                        continue
                    }
                    arguments[argument.index] = value
                } catch {
                    fail(entry, error.message, suggestion: error.suggestion)
                    isWhole = false
                }
            }
        }
        return isWhole ? arguments : nil
    }
}
