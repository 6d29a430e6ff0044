import CLinux
import Glibc
import LaunchModel

// Times a launch against other ways to run the same program in the same sandbox, taking turns:
//   launch-bench LAUNCHER MINIMAL BUBBLEWRAP ROOT CGROUP ROUNDS...
//
// ROOT has an empty store; CGROUP is a directory of a cgroup of version 2, or empty. ROUNDS are PATHS:COUNT, such
// as 10:100. Prints a line for each way and number of paths. Started by `scripts/bench-launch`.

/// A way to run `sh -c 'exit 0'`, and how long it took each time, in microseconds.
final class Contestant {
    let name: String
    let run: () throws -> Double
    /// It takes part in every so many rounds.
    let every: Int
    var taken: [Double] = []

    init(_ name: String, every: Int = 1, _ run: @escaping () throws -> Double) {
        self.name = name
        self.every = every
        self.run = run
    }

    func percentile(_ share: Double) -> Double {
        let sorted = taken.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}

/// The minimal C program, which launches once for each byte it gets.
final class Minimal {
    private let process: pid_t
    private let input: CInt
    private let output: CInt

    init(_ words: [String]) throws {
        var toIt: [CInt] = [-1, -1]
        var fromIt: [CInt] = [-1, -1]
        guard CLinux_pipe2(&toIt, CInt(CLinux_O_CLOEXEC)) == 0,
            CLinux_pipe2(&fromIt, CInt(CLinux_O_CLOEXEC)) == 0
        else { throw BenchFailure("pipe") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toIt[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromIt[1], 1)
        process = try spawn(words, &actions)
        close(toIt[0])
        close(fromIt[1])
        input = toIt[1]
        output = fromIt[0]
    }

    func launch() throws -> Double {
        let begin = now()
        var byte: UInt8 = 0
        guard write(input, &byte, 1) == 1, read(output, &byte, 1) == 1 else {
            throw BenchFailure("the minimal program ended")
        }
        return now() - begin
    }

    func end() throws {
        close(input)
        close(output)
        try reap(process, "the minimal program")
    }
}

/// Times one number of input paths.
func measure(_ paths: Int, rounds: Int, _ words: [String], base: inout [String: Double]) throws {
    let (launcher, minimal, bubblewrap, root, cgroup) = (
        words[1], words[2], words[3], words[4], words[5]
    )
    var names = [try StoreObjectName(parsing: bytes(String(repeating: "0", count: 32) + "-shell"))]
    for index in 1..<paths {
        let digits = String(index)
        let hash = String(repeating: "0", count: 32 - digits.count) + digits
        names.append(try StoreObjectName(parsing: bytes(hash + "-input")))
    }
    let store = root + "/nix/store/"
    for name in names { mkdir(store + String(decoding: name.bytes, as: UTF8.self), 0o755) }
    let shell = "/nix/store/" + String(decoding: names[0].bytes, as: UTF8.self) + "/sh"
    let list = root + "/inputs"
    let file = open(list, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    let lines = names.flatMap { $0.bytes + [UInt8(ascii: "\n")] }
    guard file >= 0, write(file, lines, lines.count) == lines.count else {
        throw BenchFailure("cannot write \(list)")
    }
    close(file)

    let request = LaunchRequest(
        inputs: names,
        outputs: [try StoreObjectName(parsing: bytes(String(repeating: "2", count: 32) + "-out"))],
        builder: bytes(shell), arguments: [bytes("sh"), bytes("-c"), bytes("exit 0")],
        environment: [], files: [], buildDirectory: bytes("/build"), personality: .native,
        keepsFailed: false
    ).encoded
    let kiln = try BenchLauncher(
        program: launcher, root: root, cgroup: cgroup.isEmpty ? nil : cgroup)
    func start(_ kind: String) throws -> Minimal {
        try Minimal([minimal, kind, store, root + "/" + kind, list, shell])
    }
    let pooled = try start("pooled")
    let fresh = try start("fresh")
    var arguments = [bubblewrap, "--unshare-all", "--die-with-parent"]
    for name in names {
        let text = String(decoding: name.bytes, as: UTF8.self)
        arguments += ["--ro-bind", store + text, "/nix/store/" + text]
    }
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", shell, "-c", "exit 0"]
    var contestants = [
        Contestant("minimal, pooled") { try pooled.launch() },
        Contestant("minimal, fresh network") { try fresh.launch() },
        Contestant("kiln") { try kiln.launch(request) },
    ]
    // Seconds each with many paths.
    if paths <= 1000 {
        contestants.append(
            Contestant("bubblewrap", every: paths <= 10 ? 1 : paths <= 100 ? 4 : 20) {
                let begin = now()
                try reap(try spawn(arguments, nil), "bubblewrap")
                return now() - begin
            })
    }
    for round in 0..<(rounds + 3) {
        for contestant in contestants where round % contestant.every == 0 {
            let taken = try contestant.run()
            // The first of each warm caches up.
            if round >= 3 || contestant.every > 1 { contestant.taken.append(taken) }
            // Namespaces of the one before are still taken down; that is not for the next to wait for.
            usleep(2000)
        }
    }
    try kiln.end()
    try pooled.end()
    try fresh.end()
    let floor = contestants[0].percentile(0.5)
    for contestant in contestants {
        let median = contestant.percentile(0.5)
        let more = median - (base[contestant.name] ?? median)
        if base[contestant.name] == nil { base[contestant.name] = median }
        let numbers = [
            contestant.percentile(0), contestant.percentile(0.1), median,
            contestant.percentile(0.9), more,
        ].map { padded(String(Int($0)), 9) }.joined()
        let ratio = String(Int(median / floor * 100 + 0.5))
        let name = contestant.name + String(repeating: " ", count: 24 - contestant.name.count)
        print(
            padded(String(paths), 6) + "  " + name + padded(String(contestant.taken.count), 5)
                + numbers + padded(ratio, 8) + " %")
    }
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

let words = CommandLine.arguments
guard words.count > 6, getuid() == 0 else {
    print("launch-bench is started by scripts/bench-launch, as root")
    exit(2)
}
print("Microseconds from the request until all of it is dead; the ratio is of the medians.")
print(" paths  way                     runs  minimum      p10   median      p90     more   ratio")
var base: [String: Double] = [:]
do {
    for round in words[6...] {
        let parts = round.split(separator: ":").compactMap { Int($0) }
        guard parts.count == 2 else { throw BenchFailure("not PATHS:COUNT: \(round)") }
        try measure(parts[0], rounds: parts[1], words, base: &base)
        fflush(nil)
    }
} catch {
    print("launch-bench: \(error)")
    exit(1)
}
