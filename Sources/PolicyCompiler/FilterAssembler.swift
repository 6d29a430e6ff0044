import LaunchModel

/// Puts a seccomp program together from its end to its start.
///
/// Jumps of these programs go forward only, so everything that an instruction can jump to is known when it
/// is written, and one pass is enough.
struct FilterAssembler {
    /// A place in the program, as the number of instructions from there to the end.
    struct Place: Hashable {
        fileprivate let distanceToEnd: Int
    }

    private var reversed: [FilterInstruction]

    /// Starts with what the program ends with.
    init(endingWith program: [FilterInstruction]) { reversed = program.reversed() }

    /// The first instruction of what is there so far.
    var start: Place { Place(distanceToEnd: reversed.count) }

    /// The whole program.
    var program: [FilterInstruction] { reversed.reversed() }

    /// How many instructions there are so far.
    var count: Int { reversed.count }

    /// Puts an instruction in front of all others.
    mutating func prepend(_ instruction: FilterInstruction) { reversed.append(instruction) }

    /// Puts a question in front of all others.
    mutating func prepend(
        _ question: FilterInstruction.Question, _ operand: UInt32, then yes: Place,
        otherwise no: Place
    ) {
        var yes = yes
        var no = no
        // A conditional jump reaches 255 instructions. Any trampoline moves the other end away by one.
        if skip(to: yes) > 254 { yes = trampoline(to: yes) }
        if skip(to: no) > 254 { no = trampoline(to: no) }
        reversed.append(
            FilterInstruction(
                code: question.rawValue, skipTrue: UInt8(skip(to: yes)),
                skipFalse: UInt8(skip(to: no)), operand: operand))
    }

    private func skip(to place: Place) -> Int { reversed.count - place.distanceToEnd }

    private mutating func trampoline(to place: Place) -> Place {
        reversed.append(.skip(UInt32(skip(to: place))))
        return start
    }
}
