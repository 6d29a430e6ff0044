// What a profile's keys expose. Weights: `reference/sandbox-runtimes.md` §2.9.6.
extension Profile {
    /// What no profile can open, so that a reader sees that it was thought of.
    var fixedExposure: [ExposureItem] {
        var items = [
            ExposureItem(
                name: "user", weight: 2000, badness: 0,
                reason: "a user of its own in a user namespace of its own, always")
        ]
        if value(of: "capabilities.no_new_privileges") == .boolean(false) {
            items.append(
                ExposureItem(
                    name: "no_new_privileges", weight: 1500, badness: 10,
                    reason: "set-id programs gain rights"))
        } else {
            items.append(
                ExposureItem(
                    name: "no_new_privileges", weight: 1500, badness: 0,
                    reason: "no program gains rights"))
        }
        items.append(
            ExposureItem(
                name: "output types", weight: 500, badness: 0,
                reason: "files, directories and links only, always"))
        return items
    }

    var networkExposure: [ExposureItem] {
        let mode = value(of: "network.mode")
        let (badness, reason) =
            switch mode {
            case .string("none"): (0, "no network at all")
            case .string("loopback"): (0, "a network of its own with nothing but lo")
            case .string("proxy"): (3, "named hosts through a proxy")
            case .string("pasta"): (7, "the outside through a user-mode network")
            default: (10, "the host's network (\(mode?.text ?? "not set"))")
            }
        return [
            ExposureItem(name: "network", weight: 2500, badness: badness, reason: reason)
        ]
    }

    /// What a builder sees of the host.
    var viewExposure: [ExposureItem] {
        var items = [capabilityExposure, storeExposure, mountExposure, deviceExposure]
        if let landlock = value(of: "filesystem.landlock") {
            let (badness, reason) =
                switch landlock {
                case .string("full"): (0, "paths and sockets are closed by Landlock too")
                case .string("scope"): (3, "only IPC is scoped by Landlock, no paths")
                default: (10, "Landlock is not used")
                }
            items.append(
                ExposureItem(name: "landlock", weight: 500, badness: badness, reason: reason))
        }
        return items
    }

    private var capabilityExposure: ExposureItem {
        guard case .strings(let kept) = value(of: "capabilities.keep"), !kept.isEmpty else {
            return ExposureItem(
                name: "capabilities", weight: 2000, badness: 0, reason: "no capabilities")
        }
        return ExposureItem(
            name: "capabilities", weight: 2000, badness: min(10, 3 * kept.count),
            reason: "keeps \(kept.joined(separator: ", "))")
    }

    private var storeExposure: ExposureItem {
        let (badness, reason) =
            switch value(of: "filesystem.store_view") {
            case nil, .string("closure"): (0, "builders see their inputs only")
            case .string("template"): (1, "inputs come from templates")
            default: (5, "builders see the whole store")
            }
        return ExposureItem(name: "store view", weight: 700, badness: badness, reason: reason)
    }

    private var mountExposure: ExposureItem {
        let mounts = tables(below: "mounts")
        let places = mounts.values.compactMap { table -> String? in
            if case .string(let place) = table["from"] { place } else { nil }
        }.sorted()
        return ExposureItem(
            name: "host mounts", weight: 700, badness: min(10, mounts.count),
            reason: mounts.isEmpty
                ? "nothing of the host" : "sees the host's \(places.joined(separator: ", "))")
    }

    private var deviceExposure: ExposureItem {
        let harmless: Set = [
            "null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm",
        ]
        let extra = effective.filter {
            $0.key.hasPrefix("devices.") && $0.parsed != .boolean(false)
                && !harmless.contains(String($0.key.dropFirst("devices.".count)))
        }.map { String($0.key.dropFirst("devices.".count)) }
        return ExposureItem(
            name: "extra devices", weight: 1000, badness: min(10, 5 * extra.count),
            reason: extra.isEmpty
                ? "pseudo-devices only" : "opens /dev/\(extra.joined(separator: ", /dev/"))")
    }

    var limitExposure: [ExposureItem] {
        let wanted = [
            "wall_time", "silent_time", "log_size", "open_files", "memory", "tasks",
        ]
        let missing = wanted.filter {
            let value = value(of: "limits.\($0)")
            return value == nil || value == .string("unlimited")
        }
        var items = [
            ExposureItem(
                name: "limits", weight: 500, badness: min(10, 2 * missing.count),
                reason: missing.isEmpty
                    ? "time, log, files, memory and processes are bounded"
                    : "no limit of \(missing.joined(separator: ", "))")
        ]
        if let level = value(of: "audit.level") {
            let (badness, reason) =
                switch level {
                case .string("full"), .string("denials"): (0, "denials are recorded")
                case .string("summary"): (5, "denials are counted only")
                default: (10, "denials are not recorded")
                }
            items.append(
                ExposureItem(name: "audit", weight: 300, badness: badness, reason: reason))
        }
        return items
    }
}
