import LaunchModel

/// What every node of an output must be before it is taken.
struct OutputRules {
    let builder: FileOwner
    /// The file system that the outputs are on.
    let device: UInt64

    /// Why a node may not be in an output, by what the kernel says of it alone.
    ///
    /// - Parameters:
    ///   - status: What the kernel says.
    ///   - isTop: Whether the node is a whole output, which must be the builder's alone.
    /// - Returns: The reason; nothing if the node may be taken.
    func objection(to status: FileStatus, isTop: Bool) -> Refusal.Reason? {
        if status.kind == .special || status.identity.device != device { return .outputFileType }
        if status.owner != builder { return .outputOwnership }
        if isTop, status.kind != .symbolicLink, status.isWritableByGroupOrOthers {
            return .outputOwnership
        }
        if status.hasSetID { return .outputSetID }
        if status.isFrozen { return .outputAttributes }
        return nil
    }
}

/// What every node of a tree must be before it is adopted from the engine.
struct AdoptionRules {
    let engine: UserID
    /// The file system that the tree is on.
    let device: UInt64

    /// Why a node may not be adopted, by what the kernel says of it alone.
    func objection(to status: FileStatus) -> Refusal.Reason? {
        if status.kind == .special || status.identity.device != device { return .outputFileType }
        if status.owner.user != engine { return .adoption }
        if let objection = objectionToLinks(of: status) { return objection }
        if status.hasSetID { return .outputSetID }
        if status.isFrozen { return .outputAttributes }
        return nil
    }

    /// Why the number of names of a node is wrong; asked again when the engine has lost it.
    func objectionToLinks(of status: FileStatus) -> Refusal.Reason? {
        status.kind != .directory && status.links != 1 ? .adoption : nil
    }
}
