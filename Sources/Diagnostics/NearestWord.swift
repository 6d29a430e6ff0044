/// The word of `words` that `word` was probably meant to be, at most two edits away.
public func nearest(_ word: String, in words: some Sequence<String>) -> String? {
    var best: (distance: Int, word: String)?
    for candidate in words {
        let distance = editDistance(Array(word.utf8), Array(candidate.utf8))
        guard distance <= 2, distance < candidate.utf8.count else { continue }
        if let known = best, (known.distance, known.word) <= (distance, candidate) { continue }
        best = (distance, candidate)
    }
    return best?.word
}

/// How many bytes must be put in, taken out or changed to make `right` of `left`.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    guard abs(left.count - right.count) <= 2 else { return 3 }
    var row = Array(0...right.count)
    for (index, byte) in left.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for column in right.indices {
            let change = diagonal + (byte == right[column] ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(change, row[column] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}
