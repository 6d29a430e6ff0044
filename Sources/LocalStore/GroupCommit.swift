import CLinux
import Dispatch
import Glibc
import StoreDatabase
import StoreModel
import Synchronization
import SystemCalls

/// Makes objects valid for many threads with one sync and one transaction.
///
/// The first thread that comes leads: it commits for itself and everybody who came meanwhile, and then
/// hands the lead to the first of those who came during that. Nobody waits for more than two commits.
final class GroupCommit: Sendable {
    /// One thread's request, and what became of it.
    private final class Ticket: Sendable {
        enum State {
            case waiting
            case leading
            case done(Result<Void, LocalStoreError>)
        }

        let registration: Registration
        let state = Mutex(State.waiting)
        let changed = DispatchSemaphore(value: 0)

        init(_ registration: Registration) { self.registration = registration }

        func become(_ new: State) {
            state.withLock { $0 = new }
            changed.signal()
        }
    }

    private struct Queue {
        var waiting: [Ticket] = []
        var hasLeader = false
    }

    private let queue = Mutex(Queue())
    private let rows: StoreDatabase
    private let layout: StoreLayout
    /// Opened once: the kernel reports a failed write-back to descriptors that were open before it.
    private let directory: SharedDescriptor

    init(_ rows: StoreDatabase, directory: SharedDescriptor, layout: StoreLayout) {
        self.rows = rows
        self.directory = directory
        self.layout = layout
    }

    /// Makes one registration's objects valid; returns when that is durable.
    func commit(_ registration: Registration) throws(LocalStoreError) {
        let own = Ticket(registration)
        let leads = queue.withLock { queue in
            queue.waiting.append(own)
            defer { queue.hasLeader = true }
            return !queue.hasLeader
        }
        if leads { own.become(.leading) }
        while true {
            own.changed.wait()
            switch own.state.withLock({ $0 }) {
            case .waiting: preconditionFailure("a ticket is signalled when it changes")
            case .leading: lead()
            case .done(let result): return try result.get()
            }
        }
    }

    private func lead() {
        let group = queue.withLock { queue in
            defer { queue.waiting = [] }
            return queue.waiting
        }
        let results = commit(group.map(\.registration))
        let next = queue.withLock { queue in
            queue.hasLeader = !queue.waiting.isEmpty
            return queue.waiting.first
        }
        next?.become(.leading)
        for (ticket, result) in zip(group, results) { ticket.become(.done(result)) }
    }

    private func commit(_ group: [Registration]) -> [Result<Void, LocalStoreError>] {
        var results = [Result<Void, LocalStoreError>?](repeating: nil, count: group.count)
        for (index, registration) in group.enumerated() {
            do throws(LocalStoreError) {
                try checkObjects(of: registration)
            } catch {
                results[index] = .failure(error)
            }
        }
        let present = group.indices.filter { results[$0] == nil }
        if !present.isEmpty {
            do throws(SystemError) {
                // Contents and names first: a row must never outlive, in a power cut, its object.
                try sync()
                let outcomes = rows.register(present.map { group[$0] })
                for (index, outcome) in zip(present, outcomes) {
                    results[index] = outcome.mapError { LocalStoreError($0) }
                }
            } catch {
                for index in present { results[index] = .failure(.system(error)) }
            }
        }
        return results.map { result in
            guard let result else { preconditionFailure("every registration has a result") }
            return result
        }
    }

    private func checkObjects(of registration: Registration) throws(LocalStoreError) {
        for info in registration.infos {
            let place = layout.store + "/" + info.path.baseName
            let status = try systemCalls { () throws(SystemError) in try fileStatus(of: place) }
            guard let status, isDirectory(status) || isRegular(status) || isLink(status) else {
                throw .objectMissing(info.path, at: place)
            }
        }
    }

    private func sync() throws(SystemError) {
        try directory.withNumber { (number) throws(SystemError) in
            try checkKernel("syncfs", on: layout.store) { CLinux_syncfs(number) }
            try check("fsync", on: layout.store) { fsync(number) }
        }
    }
}
