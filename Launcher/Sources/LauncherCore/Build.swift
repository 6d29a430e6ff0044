import CLinux
import LaunchModel

/// One build, or one tree that is being adopted.
final class Build {
    let id: BuildID
    private(set) var phase = BuildPhase.unknown

    /// What was asked for; wiped when the builder has started.
    var request: LaunchRequest?
    /// What it was prepared with; it keeps that when policies are reloaded.
    var profile: CompiledProfile?
    /// The profile of a build that was prepared.
    var chosenProfile: CompiledProfile {
        guard let profile else { preconditionFailure("a prepared build has a profile") }
        return profile
    }
    /// The objects that the build makes, in the order of its outputs.
    var outputs: [StoreObjectName] = []
    var mayBeKept = false
    /// What the engine asked for; the profile may be stricter.
    var handOver = LaunchRequest.HandOver.copied
    var user: LentUser?
    var work: WorkDirectory?
    var cgroup: BuildCgroup?
    var staging: StagingDirectory?

    /// The first process of the sandbox, until it was reaped.
    var firstProcess: Descriptor?
    var firstProcessID: CInt = 0
    /// What the first process says; packets of ``SandboxReport``.
    var status: Descriptor?
    /// What became of the builder, as soon as that is known.
    var builderEnd: BuildEnd.Builder?
    /// The denied calls that the first process told last.
    var denied = DeniedCalls()
    var userTime: UInt64 = 0
    var systemTime: UInt64 = 0
    /// What kills the build user's processes, after the first process was reaped.
    var killer: ChildProcess?
    /// Whether a killer did its work since the first process was reaped.
    var isStruck = false
    /// When waiting for the last processes is given up, in milliseconds of the monotonic clock.
    var deadline: UInt64?

    init(_ id: BuildID) { self.id = id }

    /// Whether the first process is gone, and with it, by the kernel's order, its whole pid namespace.
    var isReaped: Bool {
        switch firstProcess {
        case .some: false
        case .none: true
        }
    }

    /// Takes a request that may be legal now.
    func accept(_ request: LauncherRequest) throws(OutOfOrder) {
        phase = try phase.accepting(request)
    }

    func found(_ finding: BuildFinding) { phase = phase.after(finding) }
}

/// The directories in which one build happens; they lie where only root can go.
///
/// They are made for one build and never used again: a builder may have passed a descriptor of them to
/// somebody who waits for the next one.
final class WorkDirectory {
    let name: [UInt8]
    /// What the builder sees as its build directory.
    let build: Descriptor
    /// What the builder sees as the store.
    let out: Descriptor

    var buildName: [UInt8] { name + bytes(".build") }
    var outName: [UInt8] { name + bytes(".out") }

    /// Makes them in the launcher's own directory.
    ///
    /// That directory is all that has to stand between others and them. One more for each build would be as
    /// dear as these: file systems pass over what was deleted lately when they look for a free inode.
    init(in work: CInt) throws(Failure) {
        name = try randomName()
        build = try makeDirectory(work, name + bytes(".build"), mode: 0o700)
        out = try makeDirectory(work, name + bytes(".out"), mode: 0o700)
    }

    /// Moves both to the trash.
    func moveAside(from work: CInt, to trash: CInt) throws(Failure) {
        try LauncherCore.moveAside(buildName, in: work, to: trash)
        try LauncherCore.moveAside(outName, in: work, to: trash)
    }
}

/// The directory in which objects lie between the take-over and their publication.
///
/// Neither builders nor the engine ever have a descriptor of it, so one that is empty serves again.
final class StagingDirectory {
    let name: [UInt8]
    let directory: Descriptor

    /// Makes one in the launcher's own directory.
    init(in staging: CInt) throws(Failure) {
        let name = try randomName()
        directory = try makeDirectory(staging, name, mode: 0o700)
        self.name = name
    }

    /// Whether everything that was in it was published.
    func isEmpty() throws(Failure) -> Bool { try names(in: directory.number).isEmpty }
}

/// What the first process of a sandbox, or the builder's process before it executes, tells the launcher.
///
/// The fixed encoding of LaunchModel: a tag, then what the case holds.
enum SandboxReport: Hashable {
    /// The user namespace exists and waits for its maps.
    case needsMaps
    /// A step failed; what it was applied to, for people.
    case failed(LaunchStep, errno: Int32, subject: [UInt8])
    /// The builder's process ended.
    case over(BuildEnd.Builder)
    /// All denied calls so far; takes the place of what was told before.
    case denied(DeniedCalls)

    /// The longest of them, in bytes: as many kinds of denied calls as there may be.
    static let limit = 8192

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .needsMaps: writer.write(UInt8(1))
        case .failed(let step, let errno, let subject):
            writer.write(UInt8(2))
            writer.write(step.rawValue)
            writer.write(UInt32(bitPattern: errno))
            writer.write([UInt8](subject.prefix(Refusal.subjectLimit)))
        case .over(.exited(let status)):
            writer.write(UInt8(3))
            writer.write(status)
        case .over(.signaled(let signal)):
            writer.write(UInt8(4))
            writer.write(signal)
        case .denied(let calls):
            writer.write(UInt8(5))
            calls.encode(into: &writer)
        case .over(.notStarted), .over(.killed):
            preconditionFailure("the first process sees exits and signals")
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodingFault) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 1: self = .needsMaps
        case 2:
            let number = try reader.read(UInt8.self)
            guard let step = LaunchStep(rawValue: number) else {
                throw .unknownValue(UInt64(number), at: 1)
            }
            let errno = Int32(bitPattern: try reader.read(UInt32.self))
            self = .failed(
                step, errno: errno, subject: try reader.readBytes(limit: Refusal.subjectLimit))
        case 3: self = .over(.exited(try reader.read(UInt8.self)))
        case 4: self = .over(.signaled(try reader.read(UInt8.self)))
        case 5: self = .denied(try DeniedCalls(decoding: &reader))
        case let tag: throw .unknownValue(UInt64(tag), at: 0)
        }
        try reader.finish()
    }
}
