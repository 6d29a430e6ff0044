import CLinux

/// What the kernel says of a process in its `status`, where the calls that change it do not tell.
///
/// Source: proc_pid_status(5).
struct ProcessStatus {
    /// Real, effective, saved and file system.
    let users: [UInt32]
    let groups: [UInt32]
    let supplementaryGroups: [UInt32]
    let inheritable: UInt64
    let permitted: UInt64
    let effective: UInt64
    let bounding: UInt64
    let ambient: UInt64
    let noNewPrivileges: UInt64
    /// 2 is "filter".
    let seccompMode: UInt64
    /// How many seccomp programs are loaded.
    let filters: UInt64

    /// Opens this process's own, to be read later, also under a filter that allows no open.
    ///
    /// - Parameter proc: The top of a proc that only root mounts.
    /// - Returns: The file, which the caller owns.
    /// - Throws: What the kernel refused, or `EPERM` when it is no proc.
    static func open(in proc: CInt) throws(Failure) -> Descriptor {
        guard Int64(try check(CLinux_file_system_type(proc))) == CLinux_PROC_SUPER_MAGIC else {
            throw Failure(errno: Int32(CLinux_EPERM))
        }
        return try LauncherCore.open(proc, bytes("self/status"), CLinux_O_RDONLY)
    }

    /// Reads what ``open(in:)`` opened, as it is now; only once.
    init(reading file: CInt) throws(Failure) {
        try self.init(parsing: try readStream(file, limit: 64 << 10))
    }

    /// Reads the lines that matter.
    ///
    /// - Throws: EINVAL if one is missing or not as it should be: what is not known is not believed.
    init(parsing text: [UInt8]) throws(Failure) {
        users = try numbers(after: "Uid", count: 4, in: text)
        groups = try numbers(after: "Gid", count: 4, in: text)
        supplementaryGroups = try numbers(after: "Groups", in: text)
        inheritable = try set(after: "CapInh", in: text)
        permitted = try set(after: "CapPrm", in: text)
        effective = try set(after: "CapEff", in: text)
        bounding = try set(after: "CapBnd", in: text)
        ambient = try set(after: "CapAmb", in: text)
        noNewPrivileges = UInt64(try numbers(after: "NoNewPrivs", count: 1, in: text)[0])
        seccompMode = UInt64(try numbers(after: "Seccomp", count: 1, in: text)[0])
        filters = UInt64(try numbers(after: "Seccomp_filters", count: 1, in: text)[0])
    }
}

/// What a process may be at most, to be compared with what it is.
struct ProcessRights {
    /// What it should have for supplementary groups.
    enum Groups {
        case none
        /// An ordinary user cannot give them up.
        case whatever
    }

    let user: UInt32
    let group: UInt32
    let groups: Groups
    /// Which capabilities it may have, now or ever.
    let capabilities: UInt64
    /// How many filters it has, exactly.
    let filters: UInt64

    /// What of a process is not as it must be, in words for people; nothing if all is.
    func objection(to status: ProcessStatus) -> StaticString? {
        if status.users != [user, user, user, user] { return "user ids" }
        if status.groups != [group, group, group, group] { return "group ids" }
        if groups == .none, !status.supplementaryGroups.isEmpty { return "supplementary groups" }
        if (status.permitted | status.effective) & ~capabilities != 0 { return "capabilities" }
        if status.inheritable != 0 { return "inheritable capabilities" }
        if status.ambient != 0 { return "ambient capabilities" }
        if status.bounding & ~capabilities != 0 { return "the bounding set" }
        if status.noNewPrivileges != 1 { return "no new privileges" }
        if status.seccompMode != 2 || status.filters != filters { return "seccomp filters" }
        return nil
    }
}

/// The text of a line, without its name and the white space after it.
func line(_ key: StaticString, in text: [UInt8]) throws(Failure) -> ArraySlice<UInt8> {
    let start = bytes(key) + [UInt8(ascii: ":")]
    for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: start) {
        return line.dropFirst(start.count)
    }
    throw Failure(errno: Int32(CLinux_EINVAL))
}

private func isSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\t") || byte == UInt8(ascii: " ")
}

/// The decimal numbers of a line.
func numbers(
    after key: StaticString, count: Int? = nil, in text: [UInt8]
) throws(Failure) -> [UInt32] {
    var found: [UInt32] = []
    for word in try line(key, in: text).split(whereSeparator: isSpace) {
        var value: UInt64 = 0
        for byte in word {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), value <= UInt32.max else {
                throw Failure(errno: Int32(CLinux_EINVAL))
            }
            value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        guard value <= UInt32.max else { throw Failure(errno: Int32(CLinux_EINVAL)) }
        found.append(UInt32(value))
    }
    guard count == nil || found.count == count else { throw Failure(errno: Int32(CLinux_EINVAL)) }
    return found
}

/// The bits of a line: 16 digits of base 16.
private func set(after key: StaticString, in text: [UInt8]) throws(Failure) -> UInt64 {
    let digits = try line(key, in: text).drop(while: isSpace)
    guard digits.count == 16 else { throw Failure(errno: Int32(CLinux_EINVAL)) }
    var value: UInt64 = 0
    for byte in digits {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"):
            value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
        default: throw Failure(errno: Int32(CLinux_EINVAL))
        }
    }
    return value
}
