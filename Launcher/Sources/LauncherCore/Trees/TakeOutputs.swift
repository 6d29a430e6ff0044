import LaunchModel

/// What became of trees that were to change hands.
enum TakeResult: Equatable {
    /// They are the new owner's, canonical, and in staging under their positions.
    case taken([ObjectKind])
    /// They are not. What is in staging by now can only be deleted.
    case refused(Refusal)
}

/// Verifies the outputs of a build and takes them from the build user.
///
/// Runs in a worker that has the capabilities CHOWN, FOWNER, DAC_OVERRIDE and LEASE. Every process of the
/// build must be proved dead, so that nothing changes while this looks.
///
/// First every node of every output is verified, and nothing is changed. Only if all of them pass is
/// anything taken. Hard links between files of the outputs are allowed; a link to anywhere else is not.
/// A regular file that somebody can still write to, through a descriptor or a mapping that outlived the
/// build, is replaced by a copy.
///
/// - Parameters:
///   - outDirectory: The directory that the builder saw as the store; root's. Entries that are not in
///     `names` are not looked at.
///   - names: The outputs.
///   - builder: The user and the group that ran the build.
///   - newOwner: Whose the outputs become.
///   - limits: What all outputs together may cost.
///   - copies: Whether every output is copied to fresh inodes, instead of only the files with writers.
///   - staging: An empty directory that only root can reach, on the same mount.
/// - Returns: The kinds of the outputs, which are then at `staging/0`, `staging/1` and so on.
func takeOutputs(
    from outDirectory: CInt, names: [StoreObjectName], builder: FileOwner, newOwner: FileOwner,
    limits: OutputLimits, copies: Bool, staging: CInt
) -> TakeResult {
    let source = HeldFile(borrowing: outDirectory)
    let target = HeldFile(borrowing: staging)
    do throws(TreeFault) {
        let device = try at([]) { () throws(Failure) in try source.status().identity.device }
        let rules = OutputRules(builder: builder, device: device)
        var verification = OutputVerification(in: source, by: rules, limits: limits)
        let tops = try verification.verify(names)
        let ledger = verification.ledger
        let budget = TreeBudget(limits)
        if copies {
            var copying = TreeCopying(
                .outputs(rules, ledger), for: newOwner, into: target, budget: budget)
            for (position, name) in names.enumerated() {
                let kind = try copying.copy(
                    FileName(name), in: source, called: name.bytes,
                    as: FileName(decimal: position))
                guard kind == tops[position].kind else {
                    throw TreeFault(.outputOwnership, at: name.bytes)
                }
            }
        } else {
            // Before anything is taken: in staging nobody else can reach them.
            for (position, name) in names.enumerated() {
                try at(name.bytes) { () throws(Failure) in
                    try source.rename(
                        FileName(name), into: target, as: FileName(decimal: position))
                }
            }
            var taking = TreeTaking(
                by: .outputs(rules), copies: .whereNeeded, for: newOwner, in: target,
                ledger: ledger, budget: budget)
            for (position, name) in names.enumerated() {
                let kind = try taking.take(
                    FileName(decimal: position), called: name.bytes,
                    expecting: tops[position].identity)
                guard kind == tops[position].kind else {
                    throw TreeFault(.outputOwnership, at: name.bytes)
                }
            }
        }
        return .taken(tops.map { $0.kind })
    } catch {
        return .refused(error.refusal)
    }
}
