import LaunchModel

/// Takes a tree over from the engine, which runs and may be an enemy.
///
/// The one entry is renamed into a directory that only root can reach; then the walk goes from the top
/// down, and everything is taken before it is read or believed. What the engine can still do by then —
/// write through descriptors and mappings that it kept — it can do to no file of the result: such a file
/// is replaced by a copy.
///
/// Runs in a worker like ``takeOutputs(from:names:builder:newOwner:limits:copies:staging:)``.
///
/// - Parameters:
///   - incoming: The directory that the engine writes in.
///   - entry: The name of the entry there.
///   - engine: The user that the engine runs as; whose every node must be, with one name each.
///   - staging: An empty directory that only root can reach, on the same mount.
///   - limits: What the tree may cost.
///   - newOwner: Whose the tree becomes.
///   - copies: Whether every regular file is copied, which is a proof where the lease is only nearly one:
///     an open(2) of the engine's that the kernel allowed before the file was taken, and that gets its
///     write access after the lease was tested, is seen by nothing.
/// - Returns: The kind of the tree's top, which is then at `staging/0`.
func adopt(
    from incoming: CInt, entry: [UInt8], engine: UserID, staging: CInt, limits: OutputLimits,
    newOwner: FileOwner, copies: Bool = false
) -> TakeResult {
    guard let name = FileName(parsing: entry) else {
        return .refused(Refusal(.adoption, subject: entry))
    }
    let source = HeldFile(borrowing: incoming)
    let target = HeldFile(borrowing: staging)
    let staged = FileName(decimal: 0)
    do throws(TreeFault) {
        let device = try at([]) { () throws(Failure) in try target.status().identity.device }
        do throws(Failure) {
            try source.rename(name, into: target, as: staged)
        } catch {
            throw TreeFault(.adoption, errno: error.errno, at: entry)
        }
        let rules = AdoptionRules(engine: engine, device: device)
        var taking = TreeTaking(
            by: .adoption(rules), copies: copies ? .always : .whereNeeded, for: newOwner,
            in: target, ledger: LinkLedger(), budget: TreeBudget(limits))
        return .taken([try taking.take(staged, called: entry, expecting: nil)])
    } catch {
        return .refused(error.refusal)
    }
}
