import LaunchModel

/// Makes trees the new owner's, where they are.
///
/// The trees are in a directory that only root can reach. Each node changes owner before anything else
/// is done to it and before it is read, so that whoever had rights by being its owner, and still runs,
/// has none from then on. What was decided before that is decided again after it.
struct TreeTaking {
    /// Whom the trees are taken from.
    enum Rules {
        /// A builder, every process of which is dead.
        case outputs(OutputRules)
        /// The engine, which runs.
        case adoption(AdoptionRules)
    }

    /// When a regular file is replaced by a copy.
    enum Copies {
        /// When it is not proved that nobody can write to it.
        case whereNeeded
        /// Always.
        case always
    }

    private let rules: Rules
    private let copies: Copies
    private let owner: FileOwner
    private let staging: HeldFile
    private var budget: TreeBudget
    private var ledger: LinkLedger

    /// Prepares to take trees that lie in `staging`.
    ///
    /// - Parameters:
    ///   - rules: Whom they are taken from.
    ///   - copies: When files are replaced by copies.
    ///   - owner: Whose they become.
    ///   - staging: Where they lie, which only root can reach.
    ///   - ledger: The files of the outputs that have several names; empty for an adoption.
    ///   - budget: What all trees together may cost.
    init(
        by rules: Rules, copies: Copies, for owner: FileOwner, in staging: HeldFile,
        ledger: LinkLedger, budget: TreeBudget
    ) {
        self.rules = rules
        self.copies = copies
        self.owner = owner
        self.staging = staging
        self.ledger = ledger
        self.budget = budget
    }

    /// Takes one tree.
    ///
    /// - Parameters:
    ///   - name: Its name in staging.
    ///   - top: What to call it in messages.
    ///   - identity: The inode that it must be, if that is known.
    /// - Returns: What the top is.
    /// - Throws: ``TreeFault`` at the first node that may not be taken; others may be taken by then.
    mutating func take(_ name: FileName, called top: [UInt8], expecting identity: FileIdentity?)
        throws(TreeFault) -> ObjectKind
    {
        var walk = TreeWalk(over: name, in: staging, called: top, budget: budget)
        var kind: ObjectKind?
        while let step = try walk.next() {
            switch step {
            case .entry(let name):
                let isTop = walk.isAtTop
                let node: TreeNode
                do {
                    node = try TreeNode(opening: name, in: walk.directory)
                } catch {
                    throw walk.fault(error, at: name)
                }
                if isTop {
                    if let identity, identity != node.status.identity {
                        throw walk.fault(.outputOwnership, at: name)
                    }
                    kind = node.kind.object
                }
                try take(node, name, isTop: isTop, &walk)
            case .end:
                // Last, because renames in a directory change its time.
                let directory = walk.directory
                try at(walk.path(of: nil)) { () throws(Failure) in
                    try directory.change(time: .canonical)
                }
                try walk.leave()
            }
        }
        budget = walk.budget
        guard let kind else { throw TreeFault(.outputFileType, at: top) }
        return kind
    }

    private mutating func take(
        _ node: TreeNode, _ name: FileName, isTop: Bool, _ walk: inout TreeWalk
    ) throws(TreeFault) {
        let fate = try admit(node, name, isTop: isTop, walk)
        if fate != .taken && fate != .copied {
            try at(walk.path(of: name)) { () throws(Failure) in try node.file.change(owner: owner)
            }
        }
        let status = try at(walk.path(of: name)) { () throws(Failure) in try node.file.status() }
        guard status.owner == owner else { throw walk.fault(.outputOwnership, at: name) }
        if case .adoption(let rules) = rules, let objection = rules.objectionToLinks(of: status) {
            throw walk.fault(objection, at: name)
        }
        switch node.kind {
        case .special: throw walk.fault(.outputFileType, at: name)
        case .symbolicLink:
            try at(walk.path(of: name)) { () throws(Failure) in
                try node.file.change(time: .canonical)
            }
            ledger.record(.taken, of: status)
        case .directory:
            try close(node, to: CanonicalMode.directory, name, walk)
            try walk.enter(name, node.file, identity: status.identity)
        case .regular:
            if fate == .taken { return try walk.spend(bytes: status.size, at: name) }
            try close(node, to: CanonicalMode.regular(status), name, walk)
            try at(walk.path(of: name)) { () throws(Failure) in
                try node.file.change(time: .canonical)
            }
            if copies == .whereNeeded, fate != .copied, node.file.provesNoWriter() {
                ledger.record(.taken, of: status)
                // Only now does the length stand.
                let final = try at(walk.path(of: name)) { () throws(Failure) in
                    try node.file.status()
                }
                try walk.spend(bytes: final.size, at: name)
            } else {
                ledger.record(.copied, of: status)
                try replaceByCopy(node, status, name, &walk)
            }
        }
    }

    /// Refuses a node that may not be taken.
    ///
    /// - Returns: What was done to it under another name; nothing if it has only this one.
    private func admit(_ node: TreeNode, _ name: FileName, isTop: Bool, _ walk: TreeWalk)
        throws(TreeFault) -> LinkLedger.Fate?
    {
        switch rules {
        case .adoption(let rules):
            if let objection = rules.objection(to: node.status) {
                throw walk.fault(objection, at: name)
            }
            // The kernel itself removes capabilities when the owner changes, so they show only now.
            try refuseRights(of: node, name, walk)
            return nil
        case .outputs(let rules):
            let isLinked = node.kind != .directory && node.status.links > 1
            let fate = ledger.fate(of: node.status)
            // Its first name made it the new owner's.
            if let fate, fate != .untouched, node.status.owner == owner { return fate }
            if let objection = rules.objection(to: node.status, isTop: isTop) {
                throw walk.fault(objection, at: name)
            }
            guard !isLinked || fate != nil else { throw walk.fault(.outputHardLink, at: name) }
            return fate
        }
    }

    /// Takes away what rights the mode and the attributes of a node give to others than its owner.
    private func close(_ node: TreeNode, to mode: UInt32, _ name: FileName, _ walk: TreeWalk)
        throws(TreeFault)
    {
        try at(walk.path(of: name)) { () throws(Failure) in try node.file.change(mode: mode) }
        try refuseRights(of: node, name, walk)
        do {
            try node.file.removeHarmlessAttributes()
        } catch {
            throw walk.fault(.outputAttributes, errno: error.errno, at: name)
        }
    }

    /// Puts a fresh file, which nobody else ever had open, in the place of one that may be written to.
    private func replaceByCopy(
        _ node: TreeNode, _ status: FileStatus, _ name: FileName, _ walk: inout TreeWalk
    ) throws(TreeFault) {
        try walk.spend(bytes: status.size, at: name)
        let directory = walk.directory
        let copied: UInt64 = try at(walk.path(of: name)) { () throws(Failure) -> UInt64 in
            let fresh = try staging.create(.replacement)
            let copied = try fresh.copyContents(of: node.file, size: status.size)
            try fresh.change(owner: owner)
            try fresh.change(mode: CanonicalMode.regular(status))
            try fresh.change(time: .canonical)
            // If this is never reached, what is left is in staging, and that is discarded.
            try staging.rename(.replacement, replacing: name, in: directory)
            return copied
        }
        if copied > status.size { try walk.spend(bytes: copied - status.size, at: name) }
    }
}

/// Refuses a regular file or directory whose extended attributes carry rights.
func refuseRights(of node: TreeNode, _ name: FileName, _ walk: TreeWalk) throws(TreeFault) {
    guard node.kind == .regular || node.kind == .directory else { return }
    let hasRights = try at(walk.path(of: name)) { () throws(Failure) in
        try node.file.hasAttributesWithRights()
    }
    if hasRights { throw walk.fault(.outputAttributes, at: name) }
}
