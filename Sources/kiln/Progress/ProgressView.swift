/// A line of the live view.
struct ViewLine: Hashable, Sendable {
    /// How a line looks where there are colours.
    enum Style: String, Hashable, Sendable {
        case plain = ""
        case bold = "1"
        case faint = "2"
        case alarming = "1;31"
    }

    var text: String
    var style: Style
}

/// The lines that show `state`: the counts, then the builds that run, oldest first.
///
/// No line is wider than the terminal less one column, since some terminals wrap when the last column is
/// written; and the view never fills the screen.
///
/// - Parameters:
///   - state: What is known.
///   - terminal: What it is shown on.
///   - start: When the command began, in milliseconds.
///   - now: The time, in milliseconds.
/// - Returns: The lines; none when there is nothing to show.
func view(
    of state: ProgressState, on terminal: Terminal, start: UInt64, now: UInt64
) -> [ViewLine] {
    guard state.isBusy else { return [] }
    let width = max(1, terminal.columns - 1)
    var counts = ["\(state.running.count) running", "\(state.done) done"]
    if state.waiting > 0 { counts.append("\(state.waiting) waiting") }
    if state.failed > 0 { counts.append("\(state.failed) failed") }
    var lines = [
        ViewLine(
            text: shortened(
                "[\(counts.joined(separator: ", "))] \(duration(now - min(now, start)))",
                toColumns: width),
            style: state.failed > 0 ? .alarming : .bold)
    ]
    let room = max(0, min(10, terminal.rows - 2))
    let isCut = state.running.count > room
    for build in state.running.prefix(isCut ? max(0, room - 1) : room) {
        var text = "  \(build.name)  \(duration(now - min(now, build.start)))"
        if let phase = build.phase { text += "  (\(phase))" }
        if let line = build.tail.last { text += "  \(line)" }
        lines.append(ViewLine(text: shortened(text, toColumns: width), style: .plain))
    }
    if isCut, room > 0 {
        let rest = state.running.count - max(0, room - 1)
        lines.append(
            ViewLine(text: shortened("  … and \(rest) more", toColumns: width), style: .faint))
    }
    return lines
}

/// A time for people, such as `7s`, `2m05s` or `1h02m`.
func duration(_ milliseconds: UInt64) -> String {
    let seconds = milliseconds / 1000
    func two(_ number: UInt64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    switch seconds {
    case ..<60: return "\(seconds)s"
    case ..<3600: return "\(seconds / 60)m\(two(seconds % 60))s"
    default: return "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
    }
}

/// What stands on the screen, and the bytes that change it.
struct ViewScreen: Sendable {
    private var shown: [ViewLine] = []

    /// The bytes that take the view away and leave the cursor where it began.
    ///
    /// When the window has become narrower, the terminal has broken the lines that were there.
    mutating func erase(on terminal: Terminal) -> String {
        let rows = shown.reduce(0) { rows, line in
            rows + max(1, (columns(of: line.text) + terminal.columns - 1) / terminal.columns)
        }
        shown = []
        guard rows > 0 else { return "" }
        return "\u{1b}[\(rows)A\r\u{1b}[J"
    }

    /// The bytes that show `lines` instead of what is there, below `above`.
    ///
    /// - Parameters:
    ///   - lines: The view.
    ///   - above: Lines that stay.
    ///   - terminal: What it is shown on.
    /// - Returns: The bytes, as text.
    mutating func show(_ lines: [ViewLine], below above: [String], on terminal: Terminal) -> String
    {
        var output = erase(on: terminal)
        for line in above { output += line + "\n" }
        for line in lines {
            output +=
                terminal.hasColours && line.style != .plain
                ? "\u{1b}[\(line.style.rawValue)m\(line.text)\u{1b}[0m\n" : line.text + "\n"
        }
        shown = lines
        return output
    }
}
