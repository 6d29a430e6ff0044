import LaunchModel

/// Looks at every node of the outputs of one build, and changes nothing.
struct OutputVerification {
    /// What the top of an output was.
    struct Top {
        let kind: ObjectKind
        let identity: FileIdentity
    }

    private let directory: HeldFile
    private let rules: OutputRules
    private let limits: OutputLimits
    private var budget: TreeBudget
    /// The files with several names that were seen.
    private(set) var ledger = LinkLedger()

    /// Prepares to verify outputs in the builder's store directory.
    init(in directory: HeldFile, by rules: OutputRules, limits: OutputLimits) {
        self.directory = directory
        self.rules = rules
        self.limits = limits
        budget = TreeBudget(limits)
    }

    /// Verifies all outputs of one build.
    mutating func verify(_ names: [StoreObjectName]) throws(TreeFault) -> [Top] {
        var tops: [Top] = []
        for name in names { tops.append(try verify(name)) }
        let unbalanced = ledger.unbalanced
        if !unbalanced.isEmpty { throw try fault(for: unbalanced, in: names) }
        return tops
    }

    private mutating func verify(_ output: StoreObjectName) throws(TreeFault) -> Top {
        var walk = TreeWalk(
            over: FileName(output), in: directory, called: output.bytes, budget: budget)
        var top: Top?
        while let step = try walk.next() {
            switch step {
            case .entry(let name):
                let isTop = walk.isAtTop
                let node: TreeNode
                do {
                    node = try TreeNode(opening: name, in: walk.directory)
                } catch {
                    if isTop, error.isAbsence {
                        throw walk.fault(.outputMissing, errno: error.errno, at: name)
                    }
                    throw walk.fault(error, at: name)
                }
                if let objection = rules.objection(to: node.status, isTop: isTop) {
                    throw walk.fault(objection, at: name)
                }
                try refuseRights(of: node, name, walk)
                ledger.note(node.status)
                if isTop, let kind = node.kind.object {
                    top = Top(kind: kind, identity: node.status.identity)
                }
                switch node.kind {
                case .symbolicLink, .special: break
                case .regular: try walk.spend(bytes: node.status.size, at: name)
                case .directory:
                    try walk.enter(name, node.file, identity: node.status.identity)
                }
            case .end: try walk.leave()
            }
        }
        budget = walk.budget
        guard let top else { throw TreeFault(.outputMissing, at: output.bytes) }
        return top
    }

    /// The refusal that names the first file with a link outside.
    ///
    /// Paths are not kept while walking, so this walks again; it happens once, at the end of a build
    /// that is refused anyway.
    private func fault(for inodes: [UInt64], in outputs: [StoreObjectName]) throws(TreeFault)
        -> TreeFault
    {
        for output in outputs {
            var walk = TreeWalk(
                over: FileName(output), in: directory, called: output.bytes,
                budget: TreeBudget(limits))
            while let step = try walk.next() {
                switch step {
                case .entry(let name):
                    let node: TreeNode
                    do {
                        node = try TreeNode(opening: name, in: walk.directory)
                    } catch {
                        throw walk.fault(error, at: name)
                    }
                    if node.kind != .directory, inodes.contains(node.status.identity.inode) {
                        return walk.fault(.outputHardLink, at: name)
                    }
                    if node.kind == .directory {
                        try walk.enter(name, node.file, identity: node.status.identity)
                    }
                case .end: try walk.leave()
                }
            }
        }
        return TreeFault(.outputHardLink, at: [])
    }
}
