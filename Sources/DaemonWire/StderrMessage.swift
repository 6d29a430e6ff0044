/// What a daemon tells its client while it works.
public enum StderrMessage: Hashable, Sendable {
    /// A line for people.
    case line(String)
    /// The client must send at most so many bytes of what it uploads.
    case read(UInt64)
    /// Bytes of what the client downloads.
    case write([UInt8])
    /// The work is done, and the reply follows.
    case last
    /// The work failed, and nothing follows.
    case error(level: UInt64, message: String, traces: [String])
    /// Something begins that takes time.
    case startActivity(
        id: UInt64, level: UInt64, type: UInt64, text: String, fields: [Field], parent: UInt64)
    /// It is over.
    case stopActivity(id: UInt64)
    /// Something came of it.
    case result(id: UInt64, type: UInt64, fields: [Field])

    /// A number or a text that an activity has.
    public enum Field: Hashable, Sendable {
        case integer(UInt64)
        case text(String)
    }

    fileprivate enum Tag {
        static let line: UInt64 = 0x6f6c_6d67
        static let read: UInt64 = 0x6461_7461
        static let write: UInt64 = 0x6461_7416
        static let last: UInt64 = 0x616c_7473
        static let error: UInt64 = 0x6378_7470
        static let startActivity: UInt64 = 0x5354_5254
        static let stopActivity: UInt64 = 0x5354_4f50
        static let result: UInt64 = 0x5253_4c54
    }
}

extension WireWriter {
    /// Appends a message, as far as the peer's version knows it.
    public mutating func message(_ message: StderrMessage, _ context: WireContext) {
        let knowsActivities = context.version >= ProtocolVersion(minor: 20)
        switch message {
        case .line(let text):
            integer(StderrMessage.Tag.line)
            self.text(text + "\n")
        case .read(let count):
            integer(StderrMessage.Tag.read)
            integer(count)
        case .write(let bytes):
            integer(StderrMessage.Tag.write)
            string(bytes)
        case .last: integer(StderrMessage.Tag.last)
        case .error(let level, let message, let traces):
            integer(StderrMessage.Tag.error)
            guard context.version >= ProtocolVersion(minor: 26) else {
                text(message)
                integer(1)
                return
            }
            text("Error")
            integer(level)
            text("Error")
            text(message)
            integer(0)
            list(traces) {
                $0.integer(0)
                $0.text($1)
            }
        case .startActivity(let id, let level, let type, let text, let fields, let parent):
            guard knowsActivities else {
                if !text.isEmpty { self.message(.line(text + "..."), context) }
                return
            }
            integer(StderrMessage.Tag.startActivity)
            for number in [id, level, type] { integer(number) }
            self.text(text)
            self.fields(fields)
            integer(parent)
        case .stopActivity(let id):
            guard knowsActivities else { return }
            integer(StderrMessage.Tag.stopActivity)
            integer(id)
        case .result(let id, let type, let fields):
            guard knowsActivities else { return }
            integer(StderrMessage.Tag.result)
            integer(id)
            integer(type)
            self.fields(fields)
        }
    }

    private mutating func fields(_ fields: [StderrMessage.Field]) {
        list(fields) {
            switch $1 {
            case .integer(let number):
                $0.integer(0)
                $0.integer(number)
            case .text(let text):
                $0.integer(1)
                $0.text(text)
            }
        }
    }
}

extension WireReader {
    /// The next message.
    public mutating func message(_ context: WireContext) throws(WireError) -> StderrMessage {
        let at = offset
        switch try integer() {
        case StderrMessage.Tag.line:
            let text = try text()
            return .line(text.hasSuffix("\n") ? String(text.dropLast()) : text)
        case StderrMessage.Tag.read: return .read(try integer())
        case StderrMessage.Tag.write: return .write(try string())
        case StderrMessage.Tag.last: return .last
        case StderrMessage.Tag.error: return try error(context)
        case StderrMessage.Tag.startActivity:
            return .startActivity(
                id: try integer(), level: try integer(), type: try integer(), text: try text(),
                fields: try fields(), parent: try integer())
        case StderrMessage.Tag.stopActivity: return .stopActivity(id: try integer())
        case StderrMessage.Tag.result:
            return .result(id: try integer(), type: try integer(), fields: try fields())
        default: throw .malformed("a message", at: at)
        }
    }

    private mutating func error(_ context: WireContext) throws(WireError) -> StderrMessage {
        guard context.version >= ProtocolVersion(minor: 26) else {
            let message = try text()
            _ = try integer()
            return .error(level: 0, message: message, traces: [])
        }
        _ = try text()
        let level = try integer()
        _ = try text()
        let message = try text()
        _ = try integer(limit: 0)
        let traces = try list(limit: WireLimits.short) { (reader) throws(WireError) in
            _ = try reader.integer(limit: 0)
            return try reader.text()
        }
        return .error(level: level, message: message, traces: traces)
    }

    private mutating func fields() throws(WireError) -> [StderrMessage.Field] {
        try list(limit: WireLimits.short) { (reader) throws(WireError) in
            let at = reader.offset
            switch try reader.integer() {
            case 0: return .integer(try reader.integer())
            case 1: return .text(try reader.text())
            default: throw .malformed("the kind of a field", at: at)
            }
        }
    }
}
