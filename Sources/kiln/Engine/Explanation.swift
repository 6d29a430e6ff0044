import Glibc
import HostSetup
import LaunchModel
import Policy
import PolicyCompiler

/// The steps of a launch under one profile, one a line, each with its reason.
///
/// They come from the same function that the launcher performs them by.
///
/// - Parameters:
///   - name: The profile.
///   - directory: Where policies are; nothing means where they are by default.
/// - Returns: The lines.
/// - Throws: An error of the policies, or ``InputError`` when there is no such profile.
func explainLaunch(under name: String, policies directory: String?) throws -> [String] {
    let directory = try directory.map(pathFromRoot) ?? PolicyLocation.find()
    let profiles = try loadProfiles(
        readPolicyDirectory([UInt8](directory.utf8), trustedOwner: getuid()))
    guard let profile = profiles.first(where: { $0.name == name }) else {
        let known = profiles.map(\.name).sorted().joined(separator: ", ")
        throw InputError("there is no profile '\(name)' in \(directory); these are there: \(known)")
    }
    let isRoot = getuid() == 0
    let compiled = try compile(profile)
    let mode = isRoot ? LauncherConfiguration.Mode.privileged : .rootless
    let usesCgroup = try wouldUseCgroups()
    let steps = LaunchStep.steps(for: compiled, mode: mode, usesCgroup: usesCgroup)
    var lines = [
        "profile '\(name)' of \(profile.file), "
            + (isRoot
                ? "for builds as build users" : "for builds as yourself, in two user namespaces")
    ]
    var actor: LaunchStep.Actor?
    for (index, step) in steps.enumerated() {
        if step.actor != actor {
            actor = step.actor
            lines.append(title(of: step.actor))
        }
        lines.append(line(index, step.summary, step.reason))
    }
    lines.append("when the builder has ended:")
    for (index, step) in HandOverStep.steps(mode: mode, usesCgroup: usesCgroup).enumerated() {
        lines.append(line(steps.count + index, step.summary, step.reason))
    }
    return lines
}

private func line(_ index: Int, _ summary: StaticString, _ reason: StaticString) -> String {
    String(repeating: " ", count: index < 9 ? 3 : 2) + "\(index + 1). \(summary): \(reason)"
}

private func title(of actor: LaunchStep.Actor) -> String {
    switch actor {
    case .launcher: "the launcher:"
    case .firstProcess: "the sandbox's first process, root until it drops:"
    case .builder: "the builder's process, before it is the builder:"
    }
}
