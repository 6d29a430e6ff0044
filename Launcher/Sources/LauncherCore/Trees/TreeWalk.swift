import CLinux
import LaunchModel

/// A walk over one tree, directories before what is in them, without recursion.
///
/// The walk names entries; who uses it opens them, decides, and enters directories. So a directory is
/// read only after its visitor has done what must come before that.
struct TreeWalk {
    /// What comes next.
    enum Step {
        /// An entry of ``directory``.
        case entry(FileName)
        /// Every entry of ``directory`` was visited; ``leave()`` is due.
        case end
    }

    private var stack: DirectoryStack
    private var listings: [Listing]
    private var buffer = [UInt8](repeating: 0, count: 32_768)
    private let top: [UInt8]
    /// What is left of the limits.
    var budget: TreeBudget

    /// A walk from one entry of `base`.
    ///
    /// - Parameters:
    ///   - name: The entry.
    ///   - base: The directory that it is in.
    ///   - top: What to call the entry in messages.
    ///   - budget: What the walk may cost.
    init(over name: FileName, in base: HeldFile, called top: [UInt8], budget: TreeBudget) {
        stack = DirectoryStack(base: base)
        listings = [Listing(of: name)]
        self.top = top
        self.budget = budget
    }

    /// The directory that the walk is in.
    var directory: HeldFile { stack.current }

    /// Whether the entries of ``directory`` are tops, not parts of a tree.
    var isAtTop: Bool { stack.depth == 0 }

    /// Goes on; nothing when the walk is over.
    mutating func next() throws(TreeFault) -> Step? {
        if let name = listings[listings.count - 1].next() {
            guard budget.spendEntry() else { throw fault(.outputLimit, at: name) }
            return .entry(name)
        }
        return isAtTop ? nil : .end
    }

    /// Takes the bytes of a regular file off the budget.
    mutating func spend(bytes: UInt64, at name: FileName) throws(TreeFault) {
        guard budget.spend(bytes: bytes) else { throw fault(.outputLimit, at: name) }
    }

    /// Goes into a directory that was opened from ``directory``, and reads its names.
    mutating func enter(_ name: FileName, _ file: HeldFile, identity: FileIdentity)
        throws(TreeFault)
    {
        guard stack.depth < budget.depth else { throw fault(.outputLimit, at: name) }
        var listing = Listing()
        while true {
            let names: [FileName]
            do {
                names = try file.readNames(with: &buffer)
            } catch {
                throw fault(error, at: name)
            }
            if names.isEmpty { break }
            // Before they are kept: a directory cannot make us hold more names than it may have.
            guard UInt64(listing.count + names.count) <= budget.entries else {
                throw fault(.outputLimit, at: name)
            }
            for entry in names { listing.append(entry) }
        }
        listings.append(listing)
        stack.enter(name, file, identity: identity)
    }

    /// Goes back to the directory around this one.
    mutating func leave() throws(TreeFault) {
        do {
            try stack.leave()
        } catch {
            throw fault(error, at: nil)
        }
        listings.removeLast()
    }

    /// A refusal that names an entry of ``directory``, or the directory itself.
    func fault(_ reason: Refusal.Reason, errno: Int32 = 0, at name: FileName?) -> TreeFault {
        TreeFault(reason, errno: errno, at: path(of: name))
    }

    /// A refusal for a call that failed on an entry of ``directory``.
    func fault(_ fault: Failure, at name: FileName?) -> TreeFault {
        TreeFault(fault, at: path(of: name))
    }

    /// The path of an entry of ``directory``: the top's name in messages, then the names below.
    func path(of name: FileName?) -> [UInt8] {
        let below = stack.path(of: name)
        guard let slash = below.firstIndex(of: UInt8(ascii: "/")) else { return top }
        return top + below[slash...]
    }
}

/// Names of one directory that are still to be visited, packed.
private struct Listing {
    private var names: [UInt8] = []
    private var position = 0
    private(set) var count = 0

    init() {}

    init(of name: FileName) { append(name) }

    mutating func append(_ name: FileName) {
        names += name.bytes
        names.append(0)
        count += 1
    }

    mutating func next() -> FileName? {
        guard position < names.count else { return nil }
        let rest = names[position...]
        let name = rest.prefix { $0 != 0 }
        position += name.count + 1
        return FileName(parsing: [UInt8](name))
    }
}
