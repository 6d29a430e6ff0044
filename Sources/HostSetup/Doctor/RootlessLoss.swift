public import LaunchModel

/// What an ordinary user's launch lacks, and what that costs.
public struct RootlessLoss: Hashable, Sendable {
    /// The step that is left out; nothing for what is no step of a launch.
    public var step: LaunchStep?
    /// What the loss costs in protection.
    public var cost: String

    /// Every loss, in the order of the steps.
    ///
    /// A step that only root performs is never left out silently: the tests compare this with the list of
    /// steps.
    public static let all = [
        RootlessLoss(
            step: .lendUser,
            cost: "no build user separates builds from your files: only the sandbox's mounts do"),
        RootlessLoss(
            step: .proveUserClean,
            cost:
                "that nothing is left is known from the pid namespace alone, not from a look at every process"
        ),
        RootlessLoss(
            step: .clearGroups, cost: "builders keep your supplementary groups"),
        RootlessLoss(
            step: nil,
            cost: "engine and launcher are both you: a broken engine can do what you can"),
    ]
}

/// What an ordinary user is told of each loss.
public func rootlessFindings() -> [Finding] {
    RootlessLoss.all.map {
        Finding(
            "without root", .weaker, $0.cost,
            repair: "run the build as root, who then uses build users")
    }
}
