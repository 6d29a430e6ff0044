import ArgumentParser
import DerivationFormat
import Glibc
import HostSetup
import Policy

/// `kiln doctor`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what of this host makes builds weaker or impossible, and what repairs it.",
        discussion: """
            Each line is ok, weaker (builds work, with less protection or limits than the host could give) or \
            broken (builds do not work), with the command that repairs it. Changes nothing. Ends with status 0 when \
            all is ok, 1 when something is weaker, and 3 when something is broken.
            """)

    @Option(help: "The directory that holds nix/store and nix/var.")
    var root: String?

    @Option(name: .customLong("policy-dir"), help: "The directory of policy files.")
    var policies: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let isRoot = getuid() == 0
        let store = try root.map { try StoreRoot($0) } ?? StoreRoot.standard()
        let host: HostFacts
        do {
            host = try thisHost()
        } catch {
            throw CommandFailure("\(error)")
        }
        var findings = kernelFindings(host)
        findings += storeFindings(root: store.prefix, isRoot: isRoot)
        findings.append(policyFinding())
        if !isRoot { findings += rootlessFindings() }
        print(json ? Self.json(findings) : Self.table(findings))
        let worst = Finding.State.allCases.last { state in findings.contains { $0.state == state } }
        switch worst {
        case .broken: throw ExitCode(3)
        case .weaker: throw ExitCode(1)
        case .ok, nil: break
        }
    }

    private func policyFinding() -> Finding {
        do {
            let directory = try policies.map(pathFromRoot) ?? PolicyLocation.find()
            let profiles = try loadProfiles(
                readPolicyDirectory([UInt8](directory.utf8), trustedOwner: getuid()))
            return Finding("policies", .ok, "\(profiles.count) profiles in \(directory)")
        } catch {
            let first = "\(error)".split(separator: "\n").first.map(String.init) ?? "\(error)"
            return Finding("policies", .broken, first, repair: "kiln policy check")
        }
    }

    /// A line for each finding, and one below it for its repair.
    static func table(_ findings: [Finding]) -> String {
        let width = findings.map(\.subject.count).max() ?? 0
        var lines: [String] = []
        for finding in findings {
            let subject = finding.subject.padded(to: width)
            lines.append("\(finding.state.rawValue.padded(to: 6))  \(subject)  \(finding.text)")
            if finding.state != .ok, !finding.repair.isEmpty {
                lines.append(
                    "\("".padded(to: 6))  \("".padded(to: width))  repair: \(finding.repair)")
            }
        }
        return lines.joined(separator: "\n")
    }

    static func json(_ findings: [Finding]) -> String {
        JSONValue.object([
            "findings": .array(
                findings.map {
                    .object([
                        "repair": .string($0.repair), "state": .string($0.state.rawValue),
                        "subject": .string($0.subject), "text": .string($0.text),
                    ])
                })
        ]).text
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
