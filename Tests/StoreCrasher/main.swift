import Dispatch
import Glibc
import Hashing
import LocalStore
import StoreModel

// A program for tests to kill:
//   store-crasher register ROOT SEED THREADS   registers objects for ever; prints each that is valid
//   store-crasher hold ROOT BASENAME           keeps a temporary root until its input ends

func fail(_ message: String) -> Never {
    say(message, on: 2)
    exit(1)
}

/// Prints a line at once; ends when nobody reads any more.
func say(_ message: String, on descriptor: CInt) {
    let line = message + "\n"
    guard write(descriptor, line, line.utf8.count) == line.utf8.count else { exit(0) }
}

/// The archive of a file, spelled out so that this program stands on its own.
func archive(ofFile contents: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    func add(_ string: [UInt8]) {
        withUnsafeBytes(of: UInt64(string.count).littleEndian) { bytes += $0 }
        bytes += string
        bytes += [UInt8](repeating: 0, count: (8 - string.count % 8) % 8)
    }
    for word in ["nix-archive-1", "(", "type", "regular", "contents"] { add([UInt8](word.utf8)) }
    add(contents)
    add([UInt8](")".utf8))
    return bytes
}

/// Puts a file into the store directory, as a launcher would.
func makeObject(_ number: Int, seed: String, in store: LocalStore) throws -> ValidPathInfo {
    let contents = [UInt8](
        String(repeating: "contents \(number) of \(seed)\n", count: 1 + number % 300).utf8)
    let digest = Digest.of(.sha256, contents)
    let hash = NixBase32.encode(digest.compressed(to: 20))
    let path = try StorePath(baseName: [UInt8]("\(hash)-object-\(number)".utf8))
    let place = store.object(at: path)
    let file = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
    guard file >= 0, write(file, contents, contents.count) == contents.count else {
        fail("\(place): \(String(cString: strerror(errno)))")
    }
    var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    guard fchmod(file, 0o444) == 0, futimens(file, &times) == 0, close(file) == 0 else {
        fail(place)
    }
    let nar = archive(ofFile: contents)
    return ValidPathInfo(
        path: path, narHash: .of(.sha256, nar), narSize: UInt64(nar.count), references: [path])
}

func register(in store: LocalStore, seed: String) throws {
    var last: StorePath?
    for number in 0... {
        var info = try makeObject(number, seed: seed, in: store)
        if let last { info.references.insert(last) }
        try store.register([info])
        last = info.path
        say(info.path.baseName, on: 1)
    }
}

/// Registers on a thread of its own.
func start(in store: LocalStore, seed: String) {
    DispatchQueue(label: seed).async {
        do {
            try register(in: store, seed: seed)
        } catch {
            fail("\(error)")
        }
    }
}

let words = CommandLine.arguments
guard words.count >= 4 else { fail("usage: store-crasher register|hold ROOT …") }
do {
    let store = try LocalStore(StoreLayout(root: words[2]))
    switch words[1] {
    case "hold":
        try store.addTemporaryRoot(StorePath(baseName: [UInt8](words[3].utf8)))
        say("held", on: 1)
        while getchar() != EOF {}
    case "register":
        for thread in 0..<(Int(words.last ?? "1") ?? 1) {
            start(in: store, seed: "\(words[3])-\(thread)")
        }
        while true { pause() }
    default: fail("unknown: \(words[1])")
    }
} catch {
    fail("\(error)")
}
