import Glibc
import LaunchModel

extension Refusal {
    /// What an administrator can do about it; nothing where the refusal itself says that.
    ///
    /// Source: what the launcher needs of a host, `docs/decisions` and `LaunchStep`.
    var advice: String? {
        let subject = String(decoding: subject, as: UTF8.self)
        switch reason {
        case .hostFeature where subject == "user namespaces" || subject == "id maps",
            .sandbox where subject.contains("user namespace"):
            return errno == ENOSPC
                ? "the kernel allows no more of them: sysctl user.max_user_namespaces=15000, as root"
                : "ordinary users may not make them here: sysctl kernel.unprivileged_userns_clone=1, "
                    + "or kernel.apparmor_restrict_unprivileged_userns=0, as root; or build as root"
        case .hostFeature where subject == "namespaces" || subject == "mounts":
            return "the host, or the container around this process, must allow mount namespaces"
        case .hostMount:
            return
                "install what the policy shows of the host, or make that mount optional in the policy"
        case .storePermissions:
            return "nobody but the owner may be able to write there, or in any directory above it"
        case .sandbox where subject.hasPrefix("mount a new proc"):
            return
                "a container that hides parts of /proc keeps users from mounting one: build outside of it, "
                + "or as root"
        case .execute:
            return
                "a builder must be in the sandbox: among the inputs, or shown by the profile, as "
                + "'host-toolchain' shows the host's programs"
        case .userNotClean:
            return "end the processes of that user; it is lent to nobody until they are gone"
        case .input: return "'kiln store verify' says what is wrong with the store"
        case .hostFeature, .sandbox, .staleGeneration, .malformedRequest, .stateDirectory,
            .buildDirectory, .outputMissing, .outputOwnership, .outputFileType, .outputSetID,
            .outputHardLink, .outputLimit, .outputWriter, .outputAttributes, .adoption, .nameTaken,
            .systemCall, .outOfOrder, .notKept:
            return nil
        }
    }
}
