import CLinux
import LaunchModel

/// What happens to objects: taken over, adopted, published, moved out; and to what is left of a build.
extension Launcher {
    func takeOutputs(of build: Build) {
        guard let work = build.work, let user = build.user else {
            preconditionFailure("an ended build has both")
        }
        let profile = build.chosenProfile
        let copies =
            build.handOver == .copied || profile.alwaysCopiesOutputs || !profile.network.isIsolated
        startTaking(build, .takeOutputs(build), keeping: [work.out.number]) { staging in
            LauncherCore.takeOutputs(
                from: work.out.number, names: build.outputs,
                builder: FileOwner(user: user.user, group: user.group),
                newOwner: FileOwner(user: .root, group: .root), limits: profile.outputs,
                copies: copies, staging: staging)
        }
    }

    func adopt(_ id: BuildID, _ name: StoreObjectName, _ request: LauncherRequest)
        throws(OutOfOrder)
    {
        let build = try newBuild(id, request)
        build.outputs = [name]
        // What the engine adds is not a build's: clients may add what a store may hold.
        let limits = OutputLimits(bytes: .max, entries: .max, depth: 4096)
        startTaking(build, .adopt(build), keeping: [places.incoming.number]) { staging in
            LauncherCore.adopt(
                from: places.incoming.number, entry: decimal(id.rawValue),
                engine: configuration.engineUser, staging: staging, limits: limits,
                newOwner: FileOwner(user: .root, group: .root))
        }
    }

    private func startTaking(
        _ build: Build, _ purpose: Worker.Purpose, keeping descriptors: [CInt],
        _ body: (CInt) -> TakeResult
    ) {
        do throws(Failure) {
            let staging: StagingDirectory
            if let spare = spareStaging.popLast() {
                staging = spare
            } else {
                staging = try StagingDirectory(in: places.staging.number)
            }
            build.staging = staging
            let number = staging.directory.number
            try startWorker(purpose, keeping: descriptors + [number]) { body(number).encoded }
        } catch {
            refuse(build, error.refusal(.systemCall, bytes("worker")))
        }
    }

    private func startWorker(
        _ purpose: Worker.Purpose, keeping descriptors: [CInt], _ body: () -> [UInt8]
    ) throws(Failure) {
        workers.append(
            try Worker(
                purpose, of: rights, proc: places.proc.number, keeping: descriptors, body))
    }

    func workerEnded(_ worker: Worker) {
        let result = worker.finish()
        workers.removeAll { $0 === worker }
        switch worker.purpose {
        case .takeOutputs(let build), .adopt(let build): taken(build, result)
        case .keep(let build, let name):
            build.found(.copiedAside)
            switch result.flatMap({ CopyResult(decoding: $0) }) {
            case .copied?: conversation.send(.kept(build.id, name: name))
            case .refused(let refusal)?: conversation.send(.refused(build.id, refusal))
            case nil: conversation.send(.refused(build.id, Refusal(.notKept)))
            }
        // What could not be deleted is tried again with the next trash.
        case .emptyTrash: break
        }
    }

    private func taken(_ build: Build, _ result: [UInt8]?) {
        guard let staging = build.staging, let result, let decoded = TakeResult(decoding: result)
        else {
            refuse(build, Refusal(.systemCall, subject: bytes("the worker died")))
            return
        }
        switch decoded {
        case .refused(let refusal): refuse(build, refusal)
        case .taken(let kinds):
            do throws(Failure) {
                guard kinds.count == build.outputs.count else {
                    throw Failure(errno: Int32(CLinux_EINVAL))
                }
                var opened: [CInt] = []
                for (index, kind) in kinds.enumerated() {
                    // The worker has seen what they are; still nothing here may ever block.
                    let how =
                        kind == .symbolicLink
                        ? CLinux_O_PATH
                        : CLinux_O_RDONLY | CLinux_O_NONBLOCK | CLinux_O_NOCTTY
                    let object = try open(
                        staging.directory.number, decimal(UInt64(index)), how)
                    guard try kind.isKind(of: fileStatus(of: object.number)) else {
                        throw Failure(errno: Int32(CLinux_EINVAL))
                    }
                    opened.append(object.release())
                }
                build.found(.objectsTaken)
                conversation.send(.taken(build.id, kinds), opened)
            } catch {
                refuse(build, error.refusal(.systemCall, bytes("staging")))
            }
        }
    }

    func publish(_ build: Build, _ output: UInt16) {
        guard let staging = build.staging, Int(output) < build.outputs.count else {
            refusePublication(build, Refusal(.malformedRequest))
            return
        }
        do {
            try rename(
                decimal(UInt64(output)), in: staging.directory.number,
                to: build.outputs[Int(output)].bytes, in: places.store.number)
            conversation.send(.published(build.id, output: output))
        } catch {
            let isTaken = error.isErrno(CLinux_EEXIST)
            refusePublication(
                build,
                error.refusal(isTaken ? .nameTaken : .systemCall, build.outputs[Int(output)].bytes))
        }
    }

    /// One object that cannot be published leaves the others as they are.
    private func refusePublication(_ build: Build, _ refusal: Refusal) {
        conversation.send(.refused(build.id, refusal))
    }

    func trash(_ name: StoreObjectName) {
        do {
            try moveAside(name.bytes, in: places.store.number, to: places.trash.number)
            noteTrash()
            conversation.send(.trashed(name))
        } catch {
            conversation.send(.nameRefused(name, error.refusal(.systemCall, name.bytes)))
        }
    }

    func keep(_ build: Build) {
        // One of which a process may be left is not walked.
        guard let work = build.work, let user = build.user, build.mayBeKept, user.isClean else {
            build.found(.copiedAside)
            conversation.send(.refused(build.id, Refusal(.notKept)))
            return
        }
        do {
            let name = try randomName()
            let limits = build.chosenProfile.outputs
            try startWorker(
                .keep(build, name: name), keeping: [places.work.number, places.kept.number]
            ) {
                let result = copyAside(
                    from: places.work.number, entry: work.buildName, builder: user.user,
                    to: places.kept.number, as: name,
                    newOwner: FileOwner(user: .root, group: .root), limits: limits)
                return result.encoded
            }
        } catch {
            build.found(.copiedAside)
            conversation.send(.refused(build.id, error.refusal(.notKept)))
        }
    }

    /// Moves what is left of a build to the trash, which takes no time, and gives its user back.
    func discard(_ build: Build) {
        do {
            if let work = build.work {
                try work.moveAside(from: places.work.number, to: places.trash.number)
                noteTrash()
            }
            if let staging = build.staging {
                if spareStaging.count < Self.spareLimit, try staging.isEmpty() {
                    spareStaging.append(staging)
                } else {
                    try moveAside(staging.name, in: places.staging.number, to: places.trash.number)
                    noteTrash()
                }
            }
        } catch {
            // A full disk may have no room for another name. What stays is below a name that nobody can
            // guess, in this launcher's own directory, and goes with that when the launcher ends.
        }
        if let user = build.user {
            pool.take(back: user)
            restUntil = CLinux_milliseconds() + Self.rest
        }
        build.found(.gone)
        builds[build.id.rawValue] = nil
        conversation.send(.discarded(build.id))
    }

    func noteTrash() {
        if trashDue == nil { trashDue = CLinux_milliseconds() + Self.trashDelay }
        trashCount += 1
    }

    /// Starts the one worker that deletes, if there is enough to delete, or nothing else to do, or some has
    /// waited for long.
    ///
    /// - Returns: How many milliseconds from now there will be something to do; nothing if there will not.
    func emptyTrash() -> Int64? {
        let isBusy = workers.contains { if case .emptyTrash = $0.purpose { true } else { false } }
        guard let due = trashDue, !isBusy else { return nil }
        let now = CLinux_milliseconds()
        guard trashCount >= Self.trashLimit || builds.isEmpty || now >= due else {
            return Int64(due - now)
        }
        trashDue = nil
        trashCount = 0
        let trash = places.trash.number
        do {
            try startWorker(.emptyTrash, keeping: [trash]) {
                deleteAll(in: trash)
                return []
            }
        } catch {
            noteTrash()
            return Int64(Self.trashDelay)
        }
        return nil
    }

    // MARK: Locks

    /// Nix's lock of a path: a file beside it, locked, that is marked when it is deleted.
    ///
    /// Source: `reference/nix-features.md` §13.
    func acquireLock(_ name: StoreObjectName) {
        do {
            // A lock that this engine holds already is busy for its other builds as for everybody.
            guard let file = try lockFile(name) else {
                conversation.send(.lockBusy(name))
                return
            }
            // It can be held and given up by it, and nothing else.
            let copy = CInt(try check(CLinux_dup_from(file.number, 3)))
            locks.append(HeldLock(name, file))
            conversation.send(.locked(name), [copy])
        } catch {
            conversation.send(.nameRefused(name, error.refusal(.systemCall, name.bytes)))
        }
    }

    /// Opens and locks the file, for reading only: the engine gets a copy of the descriptor, and the name
    /// may be an object's, because `<path>.lock` is a name that objects may have.
    private func lockFile(_ name: StoreObjectName) throws(Failure) -> Descriptor? {
        for _ in 0..<64 {
            let file = try open(
                places.store.number, Self.lockName(name),
                CLinux_O_RDONLY | CLinux_O_CREAT | CLinux_O_NONBLOCK, mode: 0o600)
            guard try isLockFile(fileStatus(of: file.number)) else {
                throw Failure(errno: Int32(CLinux_EEXIST))
            }
            let locked = CLinux_flock(file.number, flags(CLinux_LOCK_EX, CLinux_LOCK_NB))
            if Int64(locked) == -CLinux_EAGAIN { return nil }
            try check(locked)
            // Whoever deletes the file writes into it first; then another one has the name by now.
            let found = try fileStatus(of: file.number)
            if found.size == 0, found.links > 0 { return file }
        }
        return nil
    }

    private static func lockName(_ name: StoreObjectName) -> [UInt8] { name.bytes + bytes(".lock") }

    /// Whether a file is a lock as everybody makes them, and no object, which nobody may write.
    private func isLockFile(_ found: CLinux_status) -> Bool {
        found.isType(CLinux_S_IFREG) && found.user == 0 && found.mode & 0o7777 == 0o600
    }

    func releaseLock(_ name: StoreObjectName) {
        do throws(Failure) {
            guard let index = locks.firstIndex(where: { $0.name == name }) else {
                throw Failure(errno: Int32(CLinux_ENOENT))
            }
            let lock = locks.remove(at: index)
            let fileName = Self.lockName(name)
            let held = try fileStatus(of: lock.file.number)
            let opened = CLinux_openat(
                places.store.number, terminated(fileName),
                flags(CLinux_O_WRONLY, CLinux_O_NOFOLLOW, CLinux_O_NONBLOCK, CLinux_O_CLOEXEC), 0)
            if Int64(opened) != -CLinux_ENOENT {
                let file = Descriptor(owning: try check(opened))
                // If the file was moved away, what has its name now is somebody else's.
                if try fileStatus(of: file.number).isSameFile(as: held) {
                    // First the name, then the mark: who opened it before and waits sees the mark.
                    try check(CLinux_unlinkat(places.store.number, terminated(fileName), 0))
                    try write(file.number, bytes("d"))
                }
            }
            conversation.send(.unlocked(name))
        } catch {
            conversation.send(.nameRefused(name, error.refusal(.systemCall, name.bytes)))
        }
    }
}

/// Deletes everything in the trash; what cannot be deleted stays for the next time.
func deleteAll(in trash: CInt) {
    do {
        for name in try names(in: trash) { _ = deleteTree(in: trash, name: name) }
    } catch {
        return
    }
}

extension ObjectKind {
    /// Whether a file is of this kind.
    fileprivate func isKind(of status: CLinux_status) -> Bool {
        switch self {
        case .regular: status.isType(CLinux_S_IFREG)
        case .directory: status.isType(CLinux_S_IFDIR)
        case .symbolicLink: status.isType(CLinux_S_IFLNK)
        }
    }
}
