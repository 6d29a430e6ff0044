import Glibc
import SystemCalls
import Testing

@Suite("System calls") struct SystemCallsTests {
    @Test("a failure says the call, what it was applied to, and why")
    func failures() {
        #expect(throws: SystemError(call: "open", path: "/nowhere/x", errno: ENOENT)) {
            try check("open", on: "/nowhere/x") { open("/nowhere/x", O_RDONLY) }
        }
        #expect(
            SystemError(call: "open", path: "/x", errno: ENOENT).description
                == "open '/x': No such file or directory")
    }

    @Test("a call that a signal interrupts is made again")
    func interrupted() throws {
        var calls = 0
        let result = try check("read") { () -> Int in
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 7
        }
        #expect(result == 7 && calls == 3)
    }

    @Test("a descriptor is closed when its owner ends, and not before")
    func owned() throws {
        let number: CInt
        do {
            let descriptor = OwnedDescriptor(
                takingOwnershipOf: try check("open") { open("/dev/null", O_RDONLY | O_CLOEXEC) })
            number = descriptor.withNumber { $0 }
            #expect(descriptor.withNumber { fcntl($0, F_GETFD) } == FD_CLOEXEC)
        }
        // Other tests run beside this one and may have the number by now, but not for this file.
        var status = stat()
        let isSame = fstat(number, &status) == 0 && status.st_rdev == makedev(1, 3)
        #expect(!isSame)
    }

    private func makedev(_ major: UInt64, _ minor: UInt64) -> UInt64 { major << 8 | minor }
}
