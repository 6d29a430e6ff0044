import Diagnostics

/// How many profiles may stand above one another.
private let depthLimit = 8

/// Reads profiles, merges what they extend, and reports every mistake at once.
///
/// A profile's keys replace those of the profile it extends, one by one; lists are replaced whole.
public func loadProfiles(_ sources: [PolicySource]) throws(PolicyErrors) -> [Profile] {
    var errors: [PolicyError] = []
    var documents: [String: PolicyDocument] = [:]
    for source in sources {
        do throws(PolicyError) {
            let document = try PolicyDocument(source)
            if !isProfileName(source.name) {
                errors.append(
                    document.error(
                        line: 1, column: 1, "`\(source.name)` is not a profile name",
                        suggestion: "1 to 32 of a-z, 0-9 and -, beginning with a letter"))
            } else if documents[source.name] != nil {
                errors.append(
                    document.error(line: 1, column: 1, "a second profile named `\(source.name)`"))
            }
            documents[source.name] = document
            errors += keyErrors(document)
        } catch {
            errors.append(error)
        }
    }
    var profiles: [Profile] = []
    for name in documents.keys.sorted() {
        guard let chain = chain(of: name, in: documents, &errors) else { continue }
        var reader = ProfileReader(chain: chain)
        let profile = reader.profile()
        errors += reader.errors
        if let profile { profiles.append(profile) }
    }
    guard errors.isEmpty else { throw PolicyErrors(errors) }
    return profiles
}

/// A profile's source and those of what it extends, the profile itself first.
///
/// It ends early where a source is missing or cannot be read; ``loadProfiles(_:)`` says why. `missing` is the
/// name of the profile that was looked for in vain, if one was.
public func chainOfSources(
    from name: String, in sources: [PolicySource]
) -> (chain: [PolicySource], missing: String?) {
    var chain: [PolicySource] = []
    var next = name
    while !chain.contains(where: { $0.name == next }) {
        guard let source = sources.first(where: { $0.name == next }) else { return (chain, next) }
        chain.append(source)
        do throws(PolicyError) {
            let document = try PolicyDocument(source)
            guard case .string(let parent) = document.entry(["extends"])?.value else { break }
            next = parent
        } catch {
            break
        }
    }
    return (chain, nil)
}

private func isProfileName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (0x61...0x7A).contains(first), name.utf8.count <= 32 else {
        return false
    }
    return name.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
    }
}

/// Unknown keys, and keys that this version cannot honour, of one file.
private func keyErrors(_ document: PolicyDocument) -> [PolicyError] {
    var errors: [PolicyError] = []
    for entry in document.entries {
        let fault = PolicySchema.fault(entry.path, isTable: entry.value == .table)
        if let fault {
            errors.append(document.error(entry, fault.message, suggestion: fault.suggestion))
        }
    }
    guard let schema = document.entry(["schema"]) else {
        errors.append(
            document.error(
                line: 1, column: 1, "`schema` is missing",
                suggestion: "write `schema = \(PolicySchema.number)`"))
        return errors
    }
    if schema.value != .integer(PolicySchema.number) {
        errors.append(
            document.error(schema, "this version knows schema \(PolicySchema.number) only"))
    }
    return errors
}

/// A profile and what it extends, the root first; nothing if that does not work out.
private func chain(
    of name: String, in documents: [String: PolicyDocument], _ errors: inout [PolicyError]
) -> [PolicyDocument]? {
    var chain: [PolicyDocument] = []
    var next: String? = name
    while let current = next, let document = documents[current] {
        chain.insert(document, at: 0)
        guard let entry = document.entry(["extends"]) else { return chain }
        guard case .string(let parent) = entry.value else {
            errors.append(
                document.error(entry, "`extends` must be a string, not \(entry.value.kind)"))
            return nil
        }
        guard documents[parent] != nil else {
            errors.append(
                document.error(
                    entry, "there is no profile `\(parent)`",
                    suggestion: nearest(parent, in: documents.keys).map { "did you mean `\($0)`?" })
            )
            return nil
        }
        if chain.contains(where: { $0.source.name == parent }) {
            errors.append(document.error(entry, "`\(parent)` extends itself through this"))
            return nil
        }
        if chain.count == depthLimit {
            errors.append(
                document.error(entry, "more than \(depthLimit) profiles extend one another"))
            return nil
        }
        next = parent
    }
    return nil
}
