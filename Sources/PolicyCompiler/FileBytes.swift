import Glibc
import SystemCalls

/// Up to `count` bytes of an open file from `offset` on; fewer if it ends before.
func bytes(of file: CInt, at offset: off_t, count: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(count, 64 << 10))
    while bytes.count < count {
        let wanted = min(buffer.count, count - bytes.count)
        let got = try check("pread") {
            pread(file, &buffer, wanted, offset + off_t(bytes.count))
        }
        if got == 0 { break }
        bytes += buffer.prefix(got)
    }
    return bytes
}
