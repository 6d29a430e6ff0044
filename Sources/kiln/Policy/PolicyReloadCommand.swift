import ArgumentParser
import DerivationFormat
import Glibc
import Hashing
import HostSetup
import LaunchModel
import LocalStore
import Policy
import PolicyCompiler
import SystemCalls

extension PolicyCommand {
    /// `kiln policy reload`.
    struct Reload: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives the policies to every engine of a store that runs.",
            discussion: """
                The policies are read and compiled as at the start of an engine; if anything is wrong with \
                them, it is printed and nothing changes. Builds that run keep the policies that they began with; \
                whatever begins later has the new ones. Only root can do this, or without root the owner of the \
                store. The directory of policies is this command's, not the one that an engine was started \
                with.
                """)

        @OptionGroup var store: StoreOptions

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            try reportingPolicyErrors {
                let path = try store.policies ?? defaultPolicies()
                let sources = try trustedSources(path)
                let profiles = try loadProfiles(sources)
                let compiled: CompiledPolicies
                do throws(PolicyCompileError) {
                    compiled = try compile(profiles)
                } catch {
                    throw InputError("\(path): \(error)")
                }
                let replies = try hand(compiled, and: sources)
                tell(replies, of: compiled.generation)
                let isRefused = replies.contains {
                    if case .refused = $0 { true } else { false }
                }
                if isRefused { throw ExitCode(1) }
            }
        }

        /// Gives policies to every launcher of the store.
        private func hand(
            _ compiled: CompiledPolicies, and sources: [PolicySource]
        ) throws -> [ControlReply] {
            let layout = StoreLayout(root: try store.storeRoot().prefix)
            let launchers: [PacketSocket]
            do throws(HostSetupError) {
                launchers = try ControlDirectory(of: layout).launchers()
            } catch .system(let error) where error.errno == ENOENT {
                // Nobody has ever started an engine here.
                launchers = []
            } catch .system(let error) where error.errno == EACCES {
                throw CommandFailure(
                    "\(error); only root, or the owner of the store, can reload policies")
            } catch {
                throw CommandFailure("\(error)")
            }
            let set = PolicySet(generation: compiled.generation, profiles: compiled.profiles)
            let policies = SharedDescriptor(
                try sealedMemory(named: "kiln-policies", holding: set.encoded))
            let files = SharedDescriptor(
                try sealedMemory(
                    named: "kiln-policy-files", holding: HandedPolicies(sources).encoded))
            var replies: [ControlReply] = []
            for launcher in launchers {
                if let reply = try reply(of: launcher, to: policies, files) {
                    replies.append(reply)
                }
            }
            return replies
        }

        /// What one launcher answers; nothing if it is ending.
        private func reply(
            of launcher: PacketSocket, to policies: SharedDescriptor, _ files: SharedDescriptor
        ) throws -> ControlReply? {
            let packet: ReceivedPacket
            do throws(SystemError) {
                try policies.withNumber { (policies) throws(SystemError) in
                    try files.withNumber { (files) throws(SystemError) in
                        try launcher.send(
                            [ControlRequest.reload.rawValue], descriptors: [policies, files])
                    }
                }
                packet = try launcher.receive(limit: ControlReply.encodingLimit)
            } catch {
                guard [EPIPE, ECONNRESET].contains(error.errno) else { throw error }
                return nil
            }
            guard !packet.bytes.isEmpty else { return nil }
            do throws(CodingFault) {
                return try ControlReply(decoding: packet.bytes)
            } catch {
                throw CommandFailure("a launcher answered what is no answer: \(error)")
            }
        }

        private func tell(_ replies: [ControlReply], of generation: Generation) {
            let name = Base16.encode(generation.bytes)
            if json {
                print(
                    JSONValue.object([
                        "engines": .array(replies.map(\.json)), "generation": .string(name),
                    ]).text)
                return
            }
            for reply in replies {
                switch reply {
                case .reloaded(let previous, let running):
                    let old = Base16.encode(previous.bytes)
                    print(
                        "reloaded: generation \(name.prefix(16)) instead of \(old.prefix(16)); "
                            + "\(count(Int(running), "build")) under way keep what they began with")
                case .refused(let refusal):
                    printError(
                        "kiln: error: a launcher refused: \(refusal.reason) "
                            + "(\(text(refusal.subject)))")
                }
            }
            if replies.isEmpty { print("no engine runs; the next one reads these policies") }
        }
    }
}

extension ControlReply {
    /// The machine's form.
    fileprivate var json: JSONValue {
        switch self {
        case .reloaded(let previous, let running):
            .object([
                "previous": .string(Base16.encode(previous.bytes)),
                "running": .number("\(running)"),
            ])
        case .refused(let refusal):
            .object([
                "refused": .string("\(refusal.reason)"), "subject": .string(text(refusal.subject)),
            ])
        }
    }
}
