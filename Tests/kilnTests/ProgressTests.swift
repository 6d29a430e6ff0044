import DaemonWire
import StoreModel
import Testing

@testable import kiln

@Suite("What is told of builds") struct ProgressTests {
    private let terminal = Terminal(columns: 40, rows: 24, hasColours: false)

    private func start(_ id: UInt64, _ name: String) -> StderrMessage {
        let path = "/nix/store/00000000000000000000000000000000-\(name).drv"
        return .startActivity(
            id: id, level: 3, type: 105, text: "", fields: [.text(path), .text(""), .integer(1)],
            parent: 0)
    }

    private func log(_ id: UInt64, _ line: String) -> StderrMessage {
        .result(id: id, type: 101, fields: [.text(line)])
    }

    private func state(_ messages: [(UInt64, StderrMessage)]) -> ProgressState {
        var state = ProgressState()
        for (now, message) in messages { _ = state.handle(message, now: now) }
        return state
    }

    @Test("the view counts, and shows name, time and last line of what runs, oldest first")
    func counts() {
        var state = state([
            (1000, start(1, "first")), (2000, start(2, "second")), (2500, start(3, "third")),
            (2600, log(1, "compiling")),
            (2700, .result(id: 2, type: 104, fields: [.text("check")])),
            (2800, .stopActivity(id: 3)),
        ])
        state.expected = 7
        let lines = view(of: state, on: terminal, start: 0, now: 63_000)
        #expect(
            lines.map(\.text) == [
                "[2 running, 1 done, 4 waiting] 1m03s", "  first  1m02s  compiling",
                "  second  1m01s  (check)",
            ])
    }

    @Test("a daemon's own counts are believed over ours, failures among them")
    func daemonCounts() {
        var state = ProgressState()
        state.expected = 3
        let messages: [StderrMessage] = [
            .startActivity(id: 9, level: 5, type: 104, text: "", fields: [], parent: 0),
            start(1, "a"),
            .result(id: 9, type: 105, fields: [2, 5, 1, 1].map { .integer($0) }),
            // Of another activity, so it counts something else.
            .result(id: 8, type: 105, fields: [70, 71, 72, 73].map { .integer($0) }),
        ]
        for message in messages { _ = state.handle(message, now: 0) }
        let lines = view(of: state, on: terminal, start: 0, now: 0)
        #expect(lines[0].text == "[1 running, 2 done, 1 waiting, 1 faile…")
        #expect(lines[0].style == .alarming)
    }

    @Test("there is no view while there is nothing to build")
    func nothing() {
        #expect(view(of: ProgressState(), on: terminal, start: 0, now: 0).isEmpty)
    }

    @Test("the view fits the terminal, however small, and says how much it leaves out")
    func fits() {
        let messages = (0..<50).flatMap { number -> [(UInt64, StderrMessage)] in
            [
                (0, start(number, "build-\(number)")),
                (0, log(number, String(repeating: "日本語", count: 40))),
            ]
        }
        let state = state(messages)
        for columns in [1, 2, 10, 80, 500] {
            for rows in [1, 2, 3, 8, 100] {
                let terminal = Terminal(columns: columns, rows: rows, hasColours: false)
                let lines = view(of: state, on: terminal, start: 0, now: 0)
                #expect(lines.count <= max(1, rows - 1))
                #expect(lines.allSatisfy { kiln.columns(of: $0.text) <= max(1, columns - 1) })
            }
        }
        let lines = view(
            of: state, on: Terminal(columns: 80, rows: 100, hasColours: false), start: 0, now: 0)
        #expect(lines.count == 11)
        #expect(lines.last?.text == "  … and 41 more")
    }

    @Test("what a builder prints cannot act upon the terminal")
    func hostileLog() {
        let attacks = [
            "\u{1b}[2J\u{1b}[Hgone": "gone", "\u{1b}]0;title\u{7}text": "text",
            "\u{1b}]52;c;ZXZpbA==\u{1b}\\after": "after", "a\rb": "ab", "a\tb": "a b",
            "\u{9b}31mred": "red", "\u{1b}(0line": "line", "x\u{202e}dlrow": "xdlrow",
            "\u{1b}Pdevice\u{1b}\\end": "end", "naïve 日本": "naïve 日本", "cut\u{1b}[3": "cut",
        ]
        for (text, plain) in attacks {
            #expect(plainText(text) == plain)
            var state = state([(0, start(1, "a"))])
            #expect(
                state.handle(log(1, text), now: 0) == .log(someStorePath("a.drv"), line: plain))
        }
    }

    @Test("only the end of a log is kept, and only of the builds that ended last")
    func bounded() {
        var state = state([(0, start(1, "long"))])
        for number in 0..<100 { _ = state.handle(log(1, "line \(number)"), now: 0) }
        _ = state.handle(log(1, String(repeating: "x", count: 1 << 20)), now: 0)
        let tail = state.tail(of: someStorePath("long.drv"))
        #expect(tail.count == ProgressState.tailLength)
        #expect(tail.first == "line 91")
        #expect(tail.last?.utf8.count == ProgressState.lineLength)
        _ = state.handle(.stopActivity(id: 1), now: 0)
        #expect(state.tail(of: someStorePath("long.drv")) == tail)
        for number in 0..<UInt64(ProgressState.tailsKept) {
            _ = state.handle(start(2, "other-\(number)"), now: 0)
            _ = state.handle(log(2, "line"), now: 0)
            _ = state.handle(.stopActivity(id: 2), now: 0)
        }
        #expect(state.tail(of: someStorePath("long.drv")).isEmpty)
        #expect(state.tail(of: someStorePath("other-255.drv")) == ["line"])
    }

    @Test("the screen is left as it was, also when the window became narrower meanwhile")
    func screen() {
        var screen = ViewScreen()
        let lines = [
            ViewLine(text: String(repeating: "x", count: 39), style: .bold),
            ViewLine(text: "y", style: .plain),
        ]
        #expect(
            screen.show(lines, below: ["above"], on: terminal)
                == "above\n" + lines[0].text + "\ny\n")
        #expect(screen.show([], below: [], on: terminal) == "\u{1b}[2A\r\u{1b}[J")
        #expect(screen.erase(on: terminal) == "")
        _ = screen.show(lines, below: [], on: terminal)
        let narrow = Terminal(columns: 20, rows: 24, hasColours: false)
        #expect(screen.erase(on: narrow) == "\u{1b}[3A\r\u{1b}[J")
        let coloured = Terminal(columns: 40, rows: 24, hasColours: true)
        #expect(
            screen.show([lines[1], ViewLine(text: "z", style: .bold)], below: [], on: coloured)
                == "y\n\u{1b}[1mz\u{1b}[0m\n")
    }

    @Test("times are told as people say them")
    func times() {
        #expect(duration(0) == "0s")
        #expect(duration(59_999) == "59s")
        #expect(duration(125_000) == "2m05s")
        #expect(duration(3_720_000) == "1h02m")
    }
}
