public import DerivationFormat
import Glibc
import LaunchModel
public import Policy
public import StoreModel
public import SystemCalls

/// What one build was denied, as it is kept beside the store's logs.
///
/// There is a file of it only for the last build of a derivation, and only if something was denied.
public struct DenialRecord: Hashable, Sendable {
    /// How exact the counts are.
    public enum Counting: String, Hashable, Sendable {
        case exact
        /// The build was killed, and what it did last was not told.
        case atLeast
    }

    /// What was built.
    public var derivation: StorePath
    /// When the builder started, in seconds since 1970.
    public var startTime: Int64
    /// How exact the counts are.
    public var counting: Counting
    /// Each kind of calls, in the order in which they were first made.
    public var denied: [DenialExplanation]
    /// How many calls of further kinds there were.
    public var others: UInt64

    /// Puts a record together.
    public init(
        derivation: StorePath, startTime: Int64, counting: Counting, denied: [DenialExplanation],
        others: UInt64
    ) {
        self.derivation = derivation
        self.startTime = startTime
        self.counting = counting
        self.denied = denied
        self.others = others
    }

    /// What a build's log ends with.
    public var lines: [String] {
        let more = counting == .exact ? "" : " or more"
        var lines = denied.map { denial in
            let place = denial.origin.file == denial.policyFile ? "" : " in \(denial.policyFile)"
            return "denied: \(denial.spelledCall) ×\(denial.count)\(more) by \(denial.program) "
                + "(\(denial.answer)), policy \(denial.policy), \(denial.origin) — allow with "
                + denial.allowWith + place
        }
        if others > 0 { lines.append("denied: \(others)\(more) calls of other kinds") }
        return lines
    }
}

/// Makes the record of one build.
struct DenialRecorder {
    /// What the numbers mean; nothing if the profile tells none.
    let denials: ToldDenials?
    let derivation: StorePath
    let startTime: Int64
    /// Where records are.
    let directory: String

    /// The record of a build that ended; nothing if it was denied nothing.
    func record(of end: BuildEnd) -> DenialRecord? {
        guard !end.denied.isEmpty else { return nil }
        var record = DenialRecord(
            derivation: derivation, startTime: startTime, counting: .exact, denied: [],
            others: end.denied.others)
        if case .killed = end.builder { record.counting = .atLeast }
        for kind in end.denied.kinds {
            if let explanation = denials?.explanation(of: kind) {
                record.denied.append(explanation)
            } else {
                // Not what this profile's filter can have said; it was denied all the same.
                record.others &+= kind.count
            }
        }
        return record
    }
}

// MARK: The file

extension DenialRecord {
    /// The longest file that is one, in bytes.
    private static let sizeLimit = 1 << 20

    private static func path(of derivation: StorePath, in directory: String) -> String {
        "\(directory)/\(derivation.baseName).json"
    }

    /// Takes the place of the derivation's last record, at once.
    func write(in directory: String) throws(SystemError) {
        do {
            try check("mkdir", on: directory) { mkdir(directory, 0o755) }
        } catch {
            guard error.errno == EEXIST else { throw error }
        }
        let path = Self.path(of: derivation, in: directory)
        let temporary = "\(path).tmp-\(UInt64.random(in: 0 ... .max))"
        let file = OwnedDescriptor(
            takingOwnershipOf: try check("open", on: temporary) {
                open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
            })
        do {
            let bytes = [UInt8](json.text.utf8)
            var written = 0
            while written < bytes.count {
                written += try file.withNumber { (number) throws(SystemError) in
                    try check("write", on: temporary) {
                        bytes.withUnsafeBytes {
                            Glibc.write(
                                number, $0.baseAddress.map { $0 + written }, bytes.count - written)
                        }
                    }
                }
            }
            try check("rename", on: path) { rename(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Removes the record of an older build, if there is one.
    static func remove(of derivation: StorePath, in directory: String) throws(SystemError) {
        let path = path(of: derivation, in: directory)
        do {
            try check("unlink", on: path) { unlink(path) }
        } catch {
            guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
        }
    }

    /// Reads the record of a derivation's last build.
    ///
    /// There is none if the build was denied nothing, or there was no build.
    ///
    /// - Parameters:
    ///   - derivation: What was built.
    ///   - directory: Where records are: `nix/var/kiln/denials` of the store's root.
    /// - Throws: ``SystemError``; `EBADMSG` for a file that is no record.
    public init?(of derivation: StorePath, in directory: String) throws(SystemError) {
        let path = Self.path(of: derivation, in: directory)
        let number: CInt
        do {
            number = try check("open", on: path) { open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
        } catch {
            guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
            return nil
        }
        let file = OwnedDescriptor(takingOwnershipOf: number)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = try file.withNumber { (number) throws(SystemError) in
                try check("read", on: path) { read(number, &buffer, buffer.count) }
            }
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= Self.sizeLimit else {
                throw SystemError(call: "read", path: path, errno: EFBIG)
            }
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw SystemError(call: "read", path: path, errno: EBADMSG)
        }
        guard let record = DenialRecord(value, of: derivation) else {
            throw SystemError(call: "read", path: path, errno: EBADMSG)
        }
        self = record
    }
}

// MARK: JSON

extension DenialRecord {
    /// The file's form.
    var json: JSONValue {
        .object([
            "derivation": .string(derivation.baseName),
            "startTime": .number("\(startTime)"),
            "counting": .string(counting.rawValue),
            "denied": deniedJSON,
            "others": .number("\(others)"),
        ])
    }

    /// The denied calls alone, for the result of a build.
    public var deniedJSON: JSONValue { .array(denied.map(\.json)) }

    private init?(_ value: JSONValue, of derivation: StorePath) {
        guard case .object(let members) = value, case .number(let start)? = members["startTime"],
            case .string(let counting)? = members["counting"],
            case .array(let denied)? = members["denied"],
            case .number(let others)? = members["others"], let startTime = Int64(start),
            let counting = Counting(rawValue: counting), let others = UInt64(others)
        else { return nil }
        let explanations = denied.compactMap { DenialExplanation($0) }
        guard explanations.count == denied.count else { return nil }
        self.init(
            derivation: derivation, startTime: startTime, counting: counting,
            denied: explanations, others: others)
    }
}

extension DenialExplanation {
    fileprivate var json: JSONValue {
        .object([
            "call": .string(call), "interface": interface.map { .string($0) } ?? .null,
            "arguments": .array(arguments.map { .string($0) }), "program": .string(program),
            "count": .number("\(count)"), "answer": .string(answer), "policy": .string(policy),
            "file": .string(origin.file), "line": .number("\(origin.line)"),
            "column": .number("\(origin.column)"), "reason": .string(reason),
            "allowWith": .string(allowWith), "policyFile": .string(policyFile),
        ])
    }

    fileprivate init?(_ value: JSONValue) {
        guard case .object(let members) = value else { return nil }
        func text(_ key: String) -> String? {
            if case .string(let text)? = members[key] { text } else { nil }
        }
        func number<I: FixedWidthInteger>(_ key: String) -> I? {
            if case .number(let text)? = members[key] { I(text) } else { nil }
        }
        guard case .array(let arguments)? = members["arguments"], let call = text("call"),
            let program = text("program"), let count: UInt64 = number("count"),
            let answer = text("answer"), let policy = text("policy"), let file = text("file"),
            let line: Int = number("line"), let column: Int = number("column"),
            let reason = text("reason"), let allowWith = text("allowWith"),
            let policyFile = text("policyFile")
        else { return nil }
        self.init(
            call: call, interface: text("interface"),
            arguments: arguments.compactMap {
                if case .string(let argument) = $0 { argument } else { nil }
            }, program: program, count: count, answer: answer, policy: policy,
            origin: Origin(file: file, line: line, column: column), reason: reason,
            allowWith: allowWith, policyFile: policyFile)
    }
}
