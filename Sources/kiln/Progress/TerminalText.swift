import Glibc

/// A text without anything that a terminal would act upon.
///
/// What builders and daemons print may come from anybody. Escape sequences are dropped whole, other
/// control characters alone, and a tab becomes a space.
func plainText(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }) else { return text }
    var kept = String.UnicodeScalarView()
    var state = EscapeState.text
    for scalar in text.unicodeScalars {
        switch (state, scalar.value) {
        case (.text, 0x1b): state = .escape
        case (.text, 0x9b): state = .control
        case (.text, 0x09): kept.append(" ")
        case (.text, 0x0a): kept.append(scalar)
        case (.text, ..<0x20), (.text, 0x7f..<0xa0): break
        // Marks that turn the direction of text, so that it reads as another.
        case (.text, 0x202a...0x202e), (.text, 0x2066...0x2069): break
        case (.text, _): kept.append(scalar)
        case (.escape, 0x5b): state = .control
        case (.escape, 0x5d), (.escape, 0x50), (.escape, 0x58), (.escape, 0x5e), (.escape, 0x5f):
            state = .string
        case (.escape, 0x20...0x2f): break
        case (.escape, _): state = .text
        case (.control, 0x40...0x7e): state = .text
        case (.control, 0x1b): state = .escape
        case (.control, _): break
        case (.string, 0x07), (.string, 0x9c): state = .text
        case (.string, 0x1b): state = .escape
        case (.string, _): break
        }
    }
    return String(kept)
}

/// Where in an escape sequence a text is.
private enum EscapeState {
    case text
    /// Behind the escape character.
    case escape
    /// In `ESC [ … letter`.
    case control
    /// In a string that a bell or `ESC \` ends.
    case string
}

/// How many columns a character takes, near enough for everything that is printed here.
func columns(of scalar: Unicode.Scalar) -> Int {
    switch scalar.value {
    case 0x300..<0x370, 0x200b...0x200f, 0xfe00...0xfe0f: 0
    case 0x1100..<0x1160, 0x2e80..<0xa4d0, 0xac00..<0xd7a4, 0xf900..<0xfb00, 0xfe30..<0xfe70,
        0xff00..<0xff61, 0xffe0..<0xffe7, 0x1f300..<0x1f650, 0x1f900..<0x1fa00, 0x20000..<0x40000:
        2
    default: 1
    }
}

/// How many columns a text takes.
func columns(of text: String) -> Int {
    text.unicodeScalars.reduce(0) { $0 + columns(of: $1) }
}

/// The text, or as much of it as fits with `…` behind it.
func shortened(_ text: String, toColumns limit: Int) -> String {
    guard columns(of: text) > limit else { return text }
    var used = 0
    var kept = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        used += columns(of: scalar)
        if used > limit - 1 { break }
        kept.append(scalar)
    }
    return limit < 1 ? "" : String(kept) + "…"
}

/// What standard error can show.
struct Terminal: Hashable, Sendable {
    /// Columns and rows.
    var columns: Int
    var rows: Int
    /// Whether colours are wanted.
    var hasColours: Bool

    /// The terminal that standard error is now; nothing if it is none, or one that cannot move back.
    static func current() -> Terminal? {
        let type = environmentVariable("TERM") ?? "dumb"
        guard isatty(STDERR_FILENO) == 1, type != "dumb", !type.isEmpty else { return nil }
        var size = winsize()
        let isKnown =
            ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
        let refuses = environmentVariable("NO_COLOR").map { !$0.isEmpty } ?? false
        return Terminal(
            columns: isKnown ? Int(size.ws_col) : 80, rows: isKnown ? Int(size.ws_row) : 24,
            hasColours: !refuses)
    }
}
