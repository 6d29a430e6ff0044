import LaunchModel

/// Copies trees to inodes that nobody else ever had open.
struct TreeCopying {
    /// What is copied, and what it becomes.
    enum Manner {
        /// Outputs, each node of which must pass; they become canonical.
        case outputs(OutputRules, LinkLedger)
        /// What is left of a failed build of this user; what cannot be kept is left out.
        case aside(UserID)
    }

    private let manner: Manner
    private let owner: FileOwner
    private let target: HeldFile
    private var budget: TreeBudget
    /// How many entries were left out.
    private(set) var skipped: UInt64 = 0

    /// Prepares to copy into `target`, which only root can reach.
    init(_ manner: Manner, for owner: FileOwner, into target: HeldFile, budget: TreeBudget) {
        self.manner = manner
        self.owner = owner
        self.target = target
        self.budget = budget
    }

    /// Copies one tree.
    ///
    /// - Parameters:
    ///   - name: Its name in `base`.
    ///   - base: The directory that it is in.
    ///   - top: What to call it in messages.
    ///   - newName: What the copy is called; there must be no such entry.
    /// - Returns: What the top is; nothing if it was left out.
    /// - Throws: ``TreeFault`` at the first node that is refused; others are copied by then.
    mutating func copy(
        _ name: FileName, in base: HeldFile, called top: [UInt8], as newName: FileName
    ) throws(TreeFault) -> ObjectKind? {
        var walk = TreeWalk(over: name, in: base, called: top, budget: budget)
        var copies = DirectoryStack(base: target)
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
                guard try admit(node, name, isTop: isTop, walk) else {
                    skipped += 1
                    continue
                }
                if isTop { kind = node.kind.object }
                try copy(node, name, as: isTop ? newName : name, &walk, &copies)
            case .end:
                let original = walk.directory
                let copy = copies.current
                try at(walk.path(of: nil)) { () throws(Failure) in
                    try finish(copy, like: try original.status())
                    try copies.leave()
                }
                try walk.leave()
            }
        }
        budget = walk.budget
        return kind
    }

    private func copy(
        _ node: TreeNode, _ name: FileName, as newName: FileName, _ walk: inout TreeWalk,
        _ copies: inout DirectoryStack
    ) throws(TreeFault) {
        let target = copies.current
        switch node.kind {
        case .special: throw walk.fault(.outputFileType, at: name)
        case .symbolicLink:
            try at(walk.path(of: name)) { () throws(Failure) in
                try target.makeLink(newName, to: try node.file.linkTarget())
                try finish(try target.open(newName, for: .place), like: node.status)
            }
        case .directory:
            try walk.enter(name, node.file, identity: node.status.identity)
            try at(walk.path(of: name)) { () throws(Failure) in
                let copy = try target.makeDirectory(newName)
                copies.enter(newName, copy, identity: try copy.status().identity)
            }
        case .regular:
            try walk.spend(bytes: node.status.size, at: name)
            let size: UInt64 = try at(walk.path(of: name)) { () throws(Failure) -> UInt64 in
                let copy = try target.create(newName)
                let size = try copy.copyContents(of: node.file, size: node.status.size)
                try finish(copy, like: node.status)
                return size
            }
            if size > node.status.size {
                try walk.spend(bytes: size - node.status.size, at: name)
            }
        }
    }

    /// Whether a node is copied; refuses what outputs may not hold.
    private func admit(_ node: TreeNode, _ name: FileName, isTop: Bool, _ walk: TreeWalk)
        throws(TreeFault) -> Bool
    {
        switch manner {
        case .aside(let user):
            // A file of somebody else is a link to it that was planted here: not to be shown.
            return node.kind != .special && node.status.owner.user == user
        case .outputs(let rules, let ledger):
            if let objection = rules.objection(to: node.status, isTop: isTop) {
                throw walk.fault(objection, at: name)
            }
            if node.kind != .directory, node.status.links > 1, ledger.fate(of: node.status) == nil {
                throw walk.fault(.outputHardLink, at: name)
            }
            try refuseRights(of: node, name, walk)
            return true
        }
    }

    /// Gives a copy its owner, its mode and its time, in this order.
    private func finish(_ copy: HeldFile, like status: FileStatus) throws(Failure) {
        try copy.change(owner: owner)
        let isCanonical =
            switch manner {
            case .outputs: true
            case .aside: false
            }
        switch status.kind {
        case .symbolicLink, .special: break
        case .directory:
            try copy.change(
                mode: isCanonical ? CanonicalMode.directory : status.permissions | 0o700)
        case .regular:
            try copy.change(
                mode: isCanonical ? CanonicalMode.regular(status) : status.permissions | 0o600)
        }
        try copy.change(time: isCanonical ? .canonical : status.modified)
    }
}
