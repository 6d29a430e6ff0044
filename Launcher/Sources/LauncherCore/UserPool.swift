import CLinux
import LaunchModel

/// A build user that is lent to exactly one build, for as long as its lock is held.
final class LentUser {
    let user: UserID
    let group: GroupID
    fileprivate let slot: Int
    /// The lock file that every daemon of the host respects; none for the caller, who is nobody else's.
    fileprivate var lock: Descriptor?
    /// That no process of the user exists: from lending to ``takeEvidence()``, and again from a proof on.
    private var evidence: CleanUser? = CleanUser()

    fileprivate init(user: UserID, group: GroupID, slot: Int, lock: consuming Descriptor?) {
        self.user = user
        self.group = group
        self.slot = slot
        self.lock = consume lock
    }

    /// Whether no process of the user exists.
    var isClean: Bool {
        switch evidence {
        case .some: true
        case .none: false
        }
    }

    /// Whether it is whoever started the launcher, whose other processes are no builds.
    var isCaller: Bool { slot < 0 }

    /// Starting a process takes the evidence away.
    func takeEvidence() -> CleanUser? { evidence.take() }

    fileprivate func give(_ evidence: consuming CleanUser) { self.evidence = consume evidence }
}

/// Evidence that no process of a build user exists; only ``UserPool`` makes one.
struct CleanUser: ~Copyable {
    fileprivate init() {}
}

/// The users of the host that builds run as.
struct UserPool {
    private enum State: Hashable {
        case free
        case lent
        /// Free, clean, and still locked: see ``take(back:)``.
        case resting
        case quarantined
    }

    private struct Slot {
        let user: UserID
        let group: GroupID
        let lockName: [UInt8]
        var state = State.free
        /// Since when a process of it keeps it from being lent, in milliseconds of the monotonic clock.
        var occupiedSince: UInt64?
    }

    private var slots: [Slot] = []
    /// The caller is one user for any number of builds, and has no lock.
    private let isCaller: Bool
    /// Where to begin looking, so that users take turns.
    private var next = 0
    private var resting: [LentUser] = []
    private var quarantined: [LentUser] = []
    /// Users that are lent to nobody any more, and that nobody was told of yet.
    private var alarms: [LauncherEvent] = []
    /// How long processes may take to die, in milliseconds.
    static let patience: UInt64 = 5000

    /// Whether locks are held for nobody, to be given up by ``release()``.
    var hasResting: Bool { !resting.isEmpty }

    init(_ users: BuildUsers) {
        switch users {
        case .group(let group, let members):
            isCaller = false
            for user in members {
                slots.append(
                    Slot(user: user, group: group, lockName: decimal(UInt64(user.rawValue))))
            }
        case .automatic(let first, let count):
            isCaller = false
            for index in 0..<UInt32(count) {
                // A sum that no id can be is refused when the configuration is checked.
                let id = first.rawValue &+ index &* 65_536
                slots.append(
                    Slot(
                        user: UserID(rawValue: id), group: GroupID(rawValue: id),
                        lockName: bytes("slot-") + decimal(UInt64(index))))
            }
        case .caller: isCaller = true
        }
    }

    /// Whether an id of the pool is the superuser's or a killer's, or cannot be an id.
    static func isUnsafe(_ users: BuildUsers) -> Bool {
        func isUnsafe(_ id: UInt32) -> Bool {
            id == 0 || id == .max || UserKiller.reserved.contains(id)
        }
        switch users {
        case .group(let group, let members):
            return members.isEmpty || isUnsafe(group.rawValue)
                || members.contains { isUnsafe($0.rawValue) }
        case .automatic(let first, let count):
            guard count > 0, !isUnsafe(first.rawValue) else { return true }
            let last = UInt64(first.rawValue) + UInt64(count - 1) * 65_536
            return last >= UInt64(UInt32.max)
                || (first.rawValue <= UserKiller.reserved.upperBound
                    && last >= UInt64(UserKiller.reserved.lowerBound))
        case .caller: return false
        }
    }

    /// Whether builds could run as this user or in this group, which are not the superuser's.
    static func includes(_ user: UserID, _ group: GroupID, _ users: BuildUsers) -> Bool {
        switch users {
        case .group(let buildGroup, let members): group == buildGroup || members.contains(user)
        case .automatic(let first, let count):
            (0..<UInt32(count)).contains {
                let id = first.rawValue &+ $0 &* 65_536
                return id == user.rawValue || id == group.rawValue
            }
        case .caller: false
        }
    }

    /// Lends a free user, if there is one that no other daemon uses and of which no process is left.
    ///
    /// - Parameters:
    ///   - locks: The directory of the host's lock files.
    ///   - table: The host's processes.
    ///   - now: Milliseconds of the monotonic clock.
    /// - Returns: The user, or nothing if all are busy.
    /// - Throws: The refusal, when a lock or the list of processes cannot be read.
    mutating func lend(
        locks: CInt, processes table: ProcessTable, now: UInt64
    ) throws(Refusal) -> LentUser? {
        guard !isCaller else {
            return LentUser(user: .root, group: .root, slot: -1, lock: nil)
        }
        if let user = resting.popLast() {
            slots[user.slot].state = .lent
            return user
        }
        for offset in slots.indices {
            let index = (next + offset) % slots.count
            guard slots[index].state == .free else { continue }
            guard let lock = try lock(slots[index].lockName, in: locks) else { continue }
            // Another daemon may have left a process behind; its user is not for us until that is gone.
            let user = slots[index].user
            let found = try refusing(.userNotClean, slots[index].lockName) {
                () throws(Failure) in try Self.survivors(of: user, in: table)
            }
            guard found.isEmpty else {
                let since = slots[index].occupiedSince ?? now
                slots[index].occupiedSince = since
                if now >= since + Self.patience { quarantine(index, lock, found) }
                continue
            }
            slots[index].occupiedSince = nil
            slots[index].state = .lent
            next = index + 1
            return LentUser(
                user: slots[index].user, group: slots[index].group, slot: index, lock: lock)
        }
        return nil
    }

    /// Kills what is left of users that nobody lent, and waits for it to be gone.
    ///
    /// For the time before the first build: a launcher that was killed may have left it. A user of which
    /// something stays is quarantined.
    ///
    /// - Throws: The refusal, when a lock or the list of processes cannot be read.
    mutating func clear(locks: CInt, processes table: ProcessTable) throws(Refusal) {
        guard !isCaller else { return }
        let users = slots.map { $0.user }
        let listed = try refusing(.userNotClean) { () throws(Failure) in
            try table.processes(of: users)
        }
        for index in slots.indices where listed.contains(where: { $0.user == slots[index].user }) {
            // Somebody builds as this user, and answers for it.
            guard let lock = try lock(slots[index].lockName, in: locks) else { continue }
            let user = slots[index].user
            let deadline = CLinux_milliseconds() + Self.patience
            var found: [FoundProcess] = []
            repeat {
                found = try refusing(.userNotClean, slots[index].lockName) {
                    () throws(Failure) in try Self.survivors(of: user, in: table)
                }
                if found.isEmpty { break }
                _ = CLinux_poll(nil, 0, 10)
            } while CLinux_milliseconds() < deadline
            if !found.isEmpty { quarantine(index, lock, found) }
        }
    }

    /// Kills every process of a user that is lent to nobody.
    ///
    /// - Returns: Those that were there nevertheless, and were told to die once more.
    private static func survivors(
        of user: UserID, in table: ProcessTable
    ) throws(Failure) -> [FoundProcess] {
        guard try UserKiller.strike(user) else { throw Failure(errno: Int32(CLinux_EAGAIN)) }
        let found = try table.processes(of: [user])
        for process in found { try table.kill(process) }
        return found
    }

    private mutating func quarantine(
        _ index: Int, _ lock: consuming Descriptor, _ found: [FoundProcess]
    ) {
        let user = LentUser(
            user: slots[index].user, group: slots[index].group, slot: index, lock: lock)
        _ = user.takeEvidence()
        alarm(of: user.user, found)
        take(back: user)
    }

    /// Has the engine told that a user is lent to nobody any more.
    mutating func alarm(of user: UserID, _ found: [FoundProcess]) {
        var processes: [UInt32] = []
        for process in found where process.user == user {
            let number = UInt32(bitPattern: process.pid)
            if processes.count < LauncherEvent.survivorLimit, !processes.contains(number) {
                processes.append(number)
            }
        }
        alarms.append(.quarantined(user, processes: processes))
    }

    /// What is to be told; each once.
    mutating func takeAlarms() -> [LauncherEvent] {
        let all = alarms
        alarms = []
        return all
    }

    private func lock(_ name: [UInt8], in locks: CInt) throws(Refusal) -> Descriptor? {
        do {
            let lock = try open(locks, name, CLinux_O_RDWR | CLinux_O_CREAT, mode: 0o600)
            try check(CLinux_flock(lock.number, flags(CLinux_LOCK_EX, CLinux_LOCK_NB)))
            return lock
        } catch {
            guard error.isErrno(CLinux_EAGAIN) else { throw error.refusal(.stateDirectory, name) }
            return nil
        }
    }

    /// Looks twice for processes of lent users, all of them in the same two passes.
    ///
    /// Users of whom there are none are clean from now on.
    ///
    /// - Returns: The processes that were found.
    static func prove(
        _ users: [LentUser], in table: ProcessTable
    ) throws(Failure) -> [FoundProcess] {
        // The caller has other processes than builds. That the kernel reaped the first process of the
        // pid namespace is the proof then: it is reaped after every other one.
        for user in users where user.isCaller { user.give(CleanUser()) }
        let pool = users.filter { !$0.isCaller }
        guard !pool.isEmpty else { return [] }
        var found: [FoundProcess] = []
        for _ in 0..<2 { found += try table.processes(of: pool.map { $0.user }) }
        for user in pool where !found.contains(where: { $0.user == user.user }) {
            user.give(CleanUser())
        }
        return found
    }

    /// Takes a user back; one of whom it is not known that no process exists is never lent again.
    ///
    /// A clean user keeps its lock for a while, so that the next build need not look for processes again:
    /// nobody who respects the lock has started any.
    mutating func take(back user: LentUser) {
        guard !user.isCaller else { return }
        guard user.isClean else {
            // Its lock stays held, so that nobody else lends it either.
            quarantined.append(user)
            slots[user.slot].state = .quarantined
            return
        }
        slots[user.slot].state = .resting
        resting.append(user)
    }

    /// Gives up the locks of users that nobody needs.
    mutating func release() {
        for user in resting {
            user.lock = nil
            slots[user.slot].state = .free
        }
        resting = []
    }
}
