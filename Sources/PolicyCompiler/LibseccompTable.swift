import CSeccomp
import Glibc
import LaunchModel
import Policy
import SystemCalls

/// Lets libseccomp write the program that answers by number alone.
///
/// The interfaces are made one by one and merged: a rule that is added to several at once is translated by
/// name, which not every call survives.
func exportTable(
    of own: SyscallRouting, and foreign: SyscallRouting?, unknown: SyscallAction, profile: String
) throws(PolicyCompileError) -> [FilterInstruction] {
    do throws(LibseccompFault) {
        let filter = try LibseccompFilter(unknown: unknown)
        try filter.write(own)
        if let foreign {
            let part = try LibseccompFilter(unknown: unknown)
            try part.write(foreign)
            try filter.merge(part)
        }
        guard let program = FilterInstruction.decode(try filter.export()), !program.isEmpty else {
            throw LibseccompFault(call: "seccomp_export_bpf", errno: EIO)
        }
        return program
    } catch {
        throw .libseccomp(profile: profile, call: error.call, errno: error.errno)
    }
}

/// A call of libseccomp, or of the kernel for it, that failed.
private struct LibseccompFault: Error {
    var call: String
    var errno: Int32
}

/// A filter in libseccomp's hands.
private struct LibseccompFilter: ~Copyable {
    private let context: scmp_filter_ctx

    /// Starts a filter that gives every number the same answer.
    init(unknown: SyscallAction) throws(LibseccompFault) {
        guard let context = seccomp_init(unknown.returnValue) else {
            throw LibseccompFault(call: "seccomp_init", errno: EINVAL)
        }
        self.context = context
    }

    deinit { seccomp_release(context) }

    /// Makes this the table of one interface.
    func write(_ routing: SyscallRouting) throws(LibseccompFault) {
        // The prologue has sent every other interface away; this is the second lock on that door.
        try check("seccomp_attr_set") {
            seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SyscallAction.kill.returnValue)
        }
        // A binary search instead of a list of comparisons.
        try check("seccomp_attr_set") { seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) }
        let token = routing.architecture.auditValue
        if token != seccomp_arch_native() {
            try check("seccomp_arch_add") { seccomp_arch_add(context, token) }
            try check("seccomp_arch_remove") {
                seccomp_arch_remove(context, seccomp_arch_native())
            }
        }
        for entry in routing.table {
            try check("seccomp_rule_add_exact") {
                seccomp_rule_add_exact_array(
                    context, entry.action.returnValue, entry.number, 0, nil)
            }
        }
    }

    /// Takes another filter's architectures over.
    func merge(_ other: consuming LibseccompFilter) throws(LibseccompFault) {
        let code = seccomp_merge(context, other.context)
        guard code == 0 else { throw LibseccompFault(call: "seccomp_merge", errno: -code) }
        other.forget()
    }

    /// The program, as bytes.
    func export() throws(LibseccompFault) -> [UInt8] {
        do throws(SystemError) {
            let file = OwnedDescriptor(
                takingOwnershipOf: try SystemCalls.check("memfd_create") {
                    CSeccomp_memfd_create("filter", Self.closeOnExec)
                })
            return try file.withNumber { (number) throws(SystemError) in
                let code = seccomp_export_bpf(context, number)
                guard code == 0 else {
                    throw SystemError(call: "seccomp_export_bpf", path: nil, errno: -code)
                }
                return try bytes(of: number, at: 0, count: Self.sizeLimit)
            }
        } catch {
            throw LibseccompFault(call: error.call, errno: error.errno)
        }
    }

    /// Ends the filter's life here because libseccomp has taken it over.
    private consuming func forget() { discard self }

    /// `MFD_CLOEXEC`, a macro that Swift does not see.
    private static let closeOnExec: UInt32 = 1
    /// Far above what any program may have, in bytes; a longer one is refused by its length.
    private static let sizeLimit = 1 << 20

    private func check(_ call: String, _ body: () -> CInt) throws(LibseccompFault) {
        let code = body()
        guard code == 0 else { throw LibseccompFault(call: call, errno: -code) }
    }
}

/// What the C library says about an error number.
func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
