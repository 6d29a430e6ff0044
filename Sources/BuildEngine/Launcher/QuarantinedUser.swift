public import LaunchModel

/// A build user of which a process is left that cannot be killed; it is lent to nobody any more.
///
/// Its lock stays held while the launcher lives, and the next launcher looks for the processes again.
public struct QuarantinedUser: Hashable, Sendable, CustomStringConvertible {
    /// The user.
    public let user: UserID
    /// The numbers of the processes, of which there may be more; none if they could not be listed.
    public let processes: [UInt32]

    /// The alarm, in one line.
    public var description: String {
        let found =
            processes.isEmpty
            ? "it is not known which" : processes.map(String.init).joined(separator: ", ")
        return
            "build user \(user.rawValue) is lent no more: processes of it cannot be killed (\(found))"
    }
}
