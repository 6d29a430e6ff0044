import Policy
import Testing

@Suite("What no profile may allow") struct ForbiddenSyscallsTests {
    static let head = "schema = 1\nextends = \"default\"\n[syscalls]\n"

    @Test(
        "a line that allows it is an error at that line",
        arguments: ["bpf", "init_module", "io_uring_setup", "keyctl", "perf_event_open"])
    func calls(name: String) throws {
        let errors = try ProfileTests.errors(
            Self.head + "getcpu = \"allow\"\n\(name) = \"allow\"\n")
        #expect(errors.count == 1)
        #expect(errors.first?.description.contains("mine.toml:5:") == true, "\(errors)")
        #expect(errors.first?.description.contains("no profile may allow `\(name)`") == true)
    }

    @Test(
        "so is a line that allows its group, unless its own line denies it",
        arguments: ["kernel", "perf", "io-uring", "keyring", "userfault", "clock-set", "fanotify"])
    func groups(name: String) throws {
        let line = "\"@\(name)\" = \"allow\"\n"
        let errors = try ProfileTests.errors(Self.head + line)
        #expect(errors.count == 1)
        #expect(errors.first?.description.contains("mine.toml:4:") == true, "\(errors)")
        let denied = Syscall.all.filter { $0.group == name && $0.isForbidden }
            .map { "\($0.name) = \"EPERM\"\n" }
        #expect(try ProfileTests.errors(Self.head + line + denied.joined()) == [])
    }
}
