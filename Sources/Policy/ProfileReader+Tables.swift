import LaunchModel

// The tables whose keys are names: mounts, devices, limits and environment.
extension ProfileReader {
    /// Places that the sandbox itself makes; a mount there would hide them.
    private static let reserved = [
        "/proc", "/dev", "/sys", "/build", "/nix/store", "/tmp", "/etc/passwd", "/etc/group",
        "/etc/hosts",
    ]

    /// Places of the host that no mount shows: the kernel's, and the store, which builds see in part.
    private static let closed = ["/proc", "/dev", "/sys", "/nix/store"]

    mutating func mounts(shellIsMounted: Bool) -> [Setting<HostMount>] {
        var mounts: [Setting<HostMount>] = []
        for (name, table) in children(of: ["mounts"]) {
            guard table.entry.value == .table else {
                fail(table, expected: "a table")
                continue
            }
            let path = "mounts.\(name)"
            guard isName(name) else {
                fail(table, "`\(name)` is not a name of a-z, 0-9, - and _")
                continue
            }
            let enabled = optional("\(path).enabled", "true or false", Self.boolean)
            let from = optional("\(path).from", "a clean absolute path other than /") {
                Self.string($0).flatMap { Self.isPath($0) ? $0 : nil }
            }
            let to = optional("\(path).to", "a clean absolute path other than /") {
                Self.string($0).flatMap { Self.isPath($0) ? $0 : nil }
            }
            let isOptional = optional("\(path).optional", "true or false", Self.boolean)
            let follows = optional("\(path).follow", "true or false", Self.boolean)
            guard enabled?.value != false else { continue }
            guard let from else {
                if item("\(path).from") == nil { fail(table, "`\(path)` lacks `from`") }
                continue
            }
            let target = to ?? from
            if let place = Self.reserved.first(where: {
                target.value == $0 || target.value.hasPrefix($0 + "/")
                    || $0.hasPrefix(target.value + "/")
            }) {
                fail(table, "`\(path)` would cover the sandbox's own \(place)")
                continue
            }
            if let place = Self.closed.first(where: {
                from.value == $0 || from.value.hasPrefix($0 + "/")
                    || $0.hasPrefix(from.value + "/")
            }) {
                fail(table, "`\(path)` would show the host's \(place)")
                continue
            }
            if shellIsMounted, ["/bin", "/bin/sh"].contains(target.value) {
                fail(
                    table, "`\(path)` and `filesystem.shell` both make /bin/sh",
                    suggestion: "set `filesystem.shell = []` to take the host's")
                continue
            }
            mounts.append(
                Setting(
                    HostMount(
                        source: Array(from.value.utf8), target: Array(target.value.utf8),
                        presence: isOptional?.value == true ? .optional : .required,
                        followsLink: follows?.value == true),
                    origin: table.entry.origin))
        }
        // Sorted by target, an outer mount comes before one inside it and does not cover it.
        mounts.sort { $0.value.target.lexicographicallyPrecedes($1.value.target) }
        for (first, second) in zip(mounts, mounts.dropFirst())
        where first.value.target == second.value.target {
            let target = String(decoding: second.value.target, as: UTF8.self)
            for (name, table) in children(of: ["mounts"])
            where table.entry.origin == second.origin {
                fail(table, "`mounts.\(name)`: \(first.origin) mounts something at \(target) too")
            }
        }
        return mounts
    }

    mutating func devices() -> [Setting<Device>] {
        let known: [(String, Device)] = [
            ("null", .null), ("zero", .zero), ("full", .full), ("random", .random),
            ("urandom", .urandom), ("tty", .tty), ("kvm", .kvm),
        ]
        return known.compactMap { name, device in
            let setting = optional("devices.\(name)", "true or false", Self.boolean)
            guard let setting, setting.value else { return nil }
            return Setting(device, origin: setting.origin)
        }
    }

    mutating func resourceLimits() -> [Setting<ResourceLimit>] {
        // The numbers of RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC and RLIMIT_NOFILE, equal on all
        // architectures that Kiln knows.
        var limits: [Setting<ResourceLimit>] = []
        for (name, resource) in [("file_size", UInt32(1)), ("core", 4)] {
            let setting = optional("limits.\(name)", "a size such as \"64M\", or \"unlimited\"") {
                value -> UInt64? in
                guard let text = Self.string(value) else { return nil }
                return text == "unlimited" ? UInt64.max : parseSize(text)
            }
            if let setting { limits.append(rlimit(resource, setting)) }
        }
        for (name, resource) in [("processes", UInt32(6)), ("open_files", 7)] {
            let setting = optional("limits.\(name)", "a number from 16 to 1048576") {
                Self.integer($0, in: 16...1_048_576).map { UInt64($0) }
            }
            if let setting { limits.append(rlimit(resource, setting)) }
        }
        return limits
    }

    private func rlimit(_ resource: UInt32, _ setting: Setting<UInt64>) -> Setting<ResourceLimit> {
        Setting(
            ResourceLimit(resource: resource, soft: setting.value, hard: setting.value),
            origin: setting.origin)
    }

    mutating func environment() -> [String: Setting<String>] {
        var environment: [String: Setting<String>] = [:]
        for (name, item) in children(of: ["env", "set"]) {
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")) else {
                fail(item, "`\(name)` cannot be the name of an environment variable")
                continue
            }
            guard case .string(let value) = item.entry.value else {
                fail(item, expected: "a string")
                continue
            }
            environment[name] = Setting(value, origin: item.entry.origin)
        }
        return environment
    }

    func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
                    || $0 == 0x5F
            }
    }
}
