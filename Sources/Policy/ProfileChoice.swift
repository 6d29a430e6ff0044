/// The name of the profile that a build gets.
///
/// Fixed-output builds have a profile of their own, which a request cannot change.
public func chooseProfile(isFixedOutput: Bool, requested: String?) -> String {
    isFixedOutput ? "fixed-output" : requested ?? "default"
}
