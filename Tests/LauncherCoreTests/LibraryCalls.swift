import Glibc

// Calls that the Glibc module does not show.

private func function<F>(_ name: String, as _: F.Type) -> F {
    guard let address = dlsym(nil, name) else { fatalError("no \(name)") }
    return unsafeBitCast(address, to: F.self)
}

func setxattr(
    _ path: String, _ name: String, _ value: [UInt8], _ size: Int, _ flags: CInt
) -> CInt {
    typealias F =
        @convention(c) (
            UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<UInt8>, Int, CInt
        ) -> CInt
    return function("setxattr", as: F.self)(path, name, value, size, flags)
}

func llistxattr(_ path: String, _ list: inout [CChar], _ size: Int) -> Int {
    typealias F =
        @convention(c) (
            UnsafePointer<CChar>, UnsafeMutablePointer<CChar>, Int
        ) -> Int
    return function("llistxattr", as: F.self)(path, &list, size)
}

/// Puts each of two entries where the other one was.
func exchange(_ left: CInt, _ leftName: String, _ right: CInt, _ rightName: String) -> CInt {
    typealias F =
        @convention(c) (
            CInt, UnsafePointer<CChar>, CInt, UnsafePointer<CChar>, CUnsignedInt
        ) -> CInt
    // RENAME_EXCHANGE
    return function("renameat2", as: F.self)(left, leftName, right, rightName, 2)
}

/// Makes this thread act on files as somebody else.
func becomeForFiles(user: UInt32, group: UInt32) {
    typealias F = @convention(c) (UInt32) -> CInt
    _ = function("setfsgid", as: F.self)(group)
    _ = function("setfsuid", as: F.self)(user)
    // The second call changes nothing and says what the first one did.
    precondition(function("setfsuid", as: F.self)(user) == CInt(bitPattern: user))
}
