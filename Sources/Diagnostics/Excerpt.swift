/// A line of a text with its number in front, and below it a caret at a column.
///
/// - Parameters:
///   - sourceLine: The line, without its end.
///   - line: Its number, from one.
///   - column: Where the caret stands, from one, in bytes.
/// - Returns: Two lines, without a newline at the end.
public func excerpt(of sourceLine: String, line: Int, column: Int) -> String {
    let number = "  \(line) | "
    // Tabs stay tabs, so that the caret stands below its column on every terminal.
    let lead = sourceLine.utf8.prefix(max(column, 1) - 1).map {
        $0 == UInt8(ascii: "\t") ? "\t" : " "
    }
    return number + sourceLine + "\n" + String(repeating: " ", count: number.utf8.count - 2)
        + "| " + lead.joined() + "^"
}
