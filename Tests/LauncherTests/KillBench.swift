import Foundation
import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    /// How long it takes from the request to kill a fork bomb to the proof that none of it is left.
    ///
    /// Measured, not tested, and only when `scripts/bench-kill` asks for it: it says how often.
    @Suite(
        "Time from kill to proof", .serialized,
        .enabled(if: ProcessInfo.processInfo.environment["KILN_BENCH_KILLS"] != nil))
    struct KillBench {
        /// How many processes a bomb has.
        private static let processes: UInt64 = 2000
        /// Every process forks for ever; the first that may not says so.
        private static let bomb = """
            exec nice -n 19 perl -e '$| = 1; while (1) { my $child = fork(); next if defined $child; \
            print "full\\n" unless $told++; select(undef, undef, undef, 0.2) }'
            """

        @Test("a fork bomb of 2,000 processes", arguments: ["cgroup", "no cgroup"])
        func bombs(kind: String) throws {
            let text = try #require(ProcessInfo.processInfo.environment["KILN_BENCH_KILLS"])
            let count = try #require(Int(text))
            let launcher = try TestLauncher(slots: 1) {
                if kind == "no cgroup" { $0.directories.cgroup = nil }
                // RLIMIT_NPROC
                let limit = ResourceLimit(resource: 6, soft: Self.processes, hard: Self.processes)
                $0.profiles[0].resourceLimits.append(limit)
            }.ready()
            var times: [Double] = []
            for number in 1...count {
                let build = BuildID(rawValue: UInt64(number))
                guard case .prepared = try launcher.prepare(build, try script(Self.bomb)) else {
                    throw HarnessFailure("not prepared")
                }
                try launcher.send(.start(build))
                let (started, descriptors) = try launcher.receive()
                #expect(started == .started(build))
                var said = [UInt8](repeating: 0, count: 4)
                #expect(read(descriptors[0], &said, said.count) > 0)
                let clock = ContinuousClock()
                let start = clock.now
                try launcher.send(.kill(build))
                let event = try launcher.next()
                let taken = clock.now - start
                guard case .ended(build, _) = event else { throw HarnessFailure("\(event)") }
                times.append(
                    Double(taken.components.attoseconds) / 1e18 + Double(taken.components.seconds))
                try launcher.discard(build)
                launcher.closeDescriptors()
            }
            times.sort()
            func rank(_ share: Double) -> String {
                let index = Int((share * Double(times.count)).rounded(.up)) - 1
                return String(format: "%.0f", times[max(0, index)] * 1000)
            }
            print(
                "kill to proof, \(kind), \(times.count) bombs of \(Self.processes), ms:",
                "min \(rank(0)) median \(rank(0.5)) p99 \(rank(0.99)) max \(rank(1))")
        }
    }
}
