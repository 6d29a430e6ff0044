/// A number and its noun, in the plural where that is right.
func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// Bytes as text for people.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// Rows as lines whose cells stand below one another; the last cell of a row is not filled up.
func columns(_ rows: [[String]]) -> [String] {
    var widths: [Int] = []
    for row in rows {
        for (index, cell) in row.dropLast().enumerated() {
            // A cell that is longer than a line would push all others out of sight.
            let width = min(cell.count, 48)
            if index == widths.count {
                widths.append(width)
            } else {
                widths[index] = max(widths[index], width)
            }
        }
    }
    return rows.map { row in
        row.enumerated().map { index, cell in
            index == row.count - 1
                ? cell : cell + String(repeating: " ", count: max(0, widths[index] - cell.count))
        }.joined(separator: "  ")
    }
}
