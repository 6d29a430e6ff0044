import LaunchModel

/// What became of a tree that was to be copied.
enum CopyResult: Equatable {
    /// It is copied, except for this many entries that cannot be kept.
    case copied(skipped: UInt64)
    /// It is not. What was copied by now is at the new name and can only be deleted.
    case refused(Refusal)
}

/// Copies what is left of a failed build to a place where it is kept.
///
/// The original is not changed: a tree that a builder made never changes owner as it stands, because it
/// may hold links to files of others. For the same reason what is not the builder's is left out, as are
/// special files. Set-id bits and extended attributes do not go along; hard links become files.
///
/// Runs in a worker like ``takeOutputs(from:names:builder:newOwner:limits:copies:staging:)``, when every
/// process of the build is proved dead.
///
/// - Parameters:
///   - source: The directory that holds the tree.
///   - entry: The name of the tree there.
///   - builder: The user that ran the build.
///   - destination: A directory that only root can reach.
///   - newEntry: What the copy is called; there must be no such entry.
///   - newOwner: Whose the copy is.
///   - limits: What the tree may cost.
/// - Returns: How many entries were left out, or the first error.
func copyAside(
    from source: CInt, entry: [UInt8], builder: UserID, to destination: CInt, as newEntry: [UInt8],
    newOwner: FileOwner, limits: OutputLimits
) -> CopyResult {
    guard let name = FileName(parsing: entry) else {
        return .refused(Refusal(.systemCall, subject: entry))
    }
    guard let newName = FileName(parsing: newEntry) else {
        return .refused(Refusal(.systemCall, subject: newEntry))
    }
    var copying = TreeCopying(
        .aside(builder), for: newOwner, into: HeldFile(borrowing: destination),
        budget: TreeBudget(limits))
    do throws(TreeFault) {
        let kind = try copying.copy(
            name, in: HeldFile(borrowing: source), called: entry, as: newName)
        guard kind != nil else { return .refused(Refusal(.outputOwnership, subject: entry)) }
        return .copied(skipped: copying.skipped)
    } catch {
        return .refused(error.refusal)
    }
}
