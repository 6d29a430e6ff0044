import LaunchModel
public import Policy

/// What became of expectations.
public struct ExpectationReport: Hashable, Sendable {
    /// How many pairs of an expectation and a profile were looked at.
    public var checked = 0
    /// What was not met, in the order of the expectations.
    public var failures: [ExpectationFailure] = []
}

/// Asks of every profile what is expected of it.
///
/// Calls are asked of the policy's words and of the compiled seccomp program, for every kernel that Kiln knows:
/// both must answer as expected, and alike.
///
/// - Throws: ``PolicyCompileError`` for a profile whose filter cannot be compiled.
public func check(
    _ expectations: [PolicyExpectation], of profiles: [Profile]
) throws(PolicyCompileError) -> ExpectationReport {
    var report = ExpectationReport()
    var filters: [FilterKey: FilterInterpreter] = [:]
    for expectation in expectations {
        for name in expectation.profiles {
            guard let profile = profiles.first(where: { $0.name == name }) else { continue }
            report.checked += 1
            let fault: String?
            if case .answer(let claim) = expectation.claim {
                fault = try callFault(of: profile, against: claim, &filters)
            } else {
                fault = profile.fault(against: expectation.claim, among: profiles)
            }
            if let fault {
                report.failures.append(
                    ExpectationFailure(expectation, profile: name, message: fault))
            }
        }
    }
    return report
}

private struct FilterKey: Hashable {
    var profile: String
    var kernel: Architecture
}

/// Why a profile does not answer calls as claimed; the first reason that is found.
private func callFault(
    of profile: Profile, against claim: PolicyExpectation.CallClaim,
    _ filters: inout [FilterKey: FilterInterpreter]
) throws(PolicyCompileError) -> String? {
    for kernel in [Architecture.x86_64, .aarch64] {
        guard
            let interface = claim.interface == .native ? kernel : kernel.compatible
        else { continue }
        let key = FilterKey(profile: profile.name, kernel: kernel)
        let filter: FilterInterpreter
        if let known = filters[key] {
            filter = known
        } else {
            filter = try interpreter(of: profile, for: kernel)
            filters[key] = filter
        }
        let table = Syscall.byNumber(on: interface)
        let told = profile.toldDenials.compiled
        for name in claim.calls {
            guard let call = Syscall.byName[name], let number = call.number(on: interface) else {
                continue
            }
            for arguments in argumentLists(claim.arguments) {
                let declared = profile.syscalls.answer(
                    to: number, on: interface, from: kernel, arguments: arguments, table: table)
                let compiled = answer(
                    of: filter.run(
                        number: number, architecture: interface.auditValue, arguments: arguments),
                    told)
                let words = "\(name)(\(text(arguments))) on \(interface)"
                guard claim.answer.isMet(by: declared) else {
                    let reason =
                        kernel == interface || profile.syscalls.foreign == .sameAsNative
                        ? profile.decision(about: call, arguments: arguments) : "syscalls.foreign"
                    return "\(words) gets \(declared) by \(reason), not \(claim.answer)"
                }
                guard compiled == declared.returnValue else {
                    return "\(words) gets \(declared) by the policy, but the compiled filter "
                        + "returns 0x\(String(compiled, radix: 16))"
                }
            }
        }
    }
    return nil
}

/// What a call gets: a filter's answer, or, where it leaves that to the first process, what that answers.
private func answer(of filter: UInt32, _ told: [CompiledDenial]) -> UInt32 {
    let index = Int(filter & 0xffff)
    guard filter & 0xffff_0000 == 0x7fc0_0000, told.indices.contains(index) else { return filter }
    return SyscallAction.errno(told[index].errno).returnValue
}

private func interpreter(
    of profile: Profile, for kernel: Architecture
) throws(PolicyCompileError) -> FilterInterpreter {
    let program = try SyscallFilter(of: profile, for: kernel).program()
    do throws(FilterInterpreter.Fault) {
        return try FilterInterpreter(program.flatMap(\.bytes))
    } catch {
        throw .invalidProgram(profile: profile.name, fault: "\(error)")
    }
}

/// Lists of six arguments in which the fixed ones are as they are said to be, with nothing and with everything
/// in the half that no filter may look at, and all others are nothing or everything.
private func argumentLists(_ fixed: [Int: UInt32]) -> [[UInt64]] {
    var lists: [[UInt64]] = []
    for high: UInt64 in [0, 0xffff_ffff] {
        for rest: UInt64 in [0, .max] {
            lists.append(
                (0..<6).map { index in fixed[index].map { high << 32 | UInt64($0) } ?? rest })
        }
    }
    return lists
}

private func text(_ arguments: [UInt64]) -> String {
    arguments.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
}
