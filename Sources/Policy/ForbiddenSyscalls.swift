import LaunchModel

extension Syscall {
    /// The names of the calls that no profile may allow, because the launcher's own filter denies them.
    public static let forbidden: Set<String> = Set(ForbiddenCalls.all.map { "\($0.name)" })

    /// Whether no profile may allow the call.
    public var isForbidden: Bool { Self.forbidden.contains(name) }
}

extension ProfileReader {
    /// Reports every line that allows what no profile may allow: by its name, or by its group without
    /// denying it by its name.
    mutating func refuseForbidden(
        groups: [String: SyscallAction], calls: [String: SyscallAction]
    ) {
        for (key, item) in children(of: ["syscalls"]) {
            if key.hasPrefix("@") {
                let group = String(key.dropFirst())
                guard groups[group] == .allow else { continue }
                let open = Syscall.all.filter {
                    $0.group == group && $0.isForbidden && calls[$0.name] == nil
                }
                guard let first = open.first else { continue }
                fail(
                    item, "`\(key)` holds \(open.count) calls that no profile may allow",
                    suggestion: "deny them by name, such as `\(first.name) = \"EPERM\"`")
            } else if calls[key] == .allow, Syscall.forbidden.contains(key) {
                fail(item, "no profile may allow `\(key)`")
            }
        }
    }
}
