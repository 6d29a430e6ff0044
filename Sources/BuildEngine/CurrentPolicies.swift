import LaunchModel
import Synchronization
import SystemCalls

/// Policies that root handed over while the engine runs and that it cannot read.
public struct PoliciesUnreadable: Error, Hashable, Sendable {
    /// What is wrong with them, in a sentence.
    public var reason: String

    /// Says what is wrong.
    public init(_ reason: String) { self.reason = reason }
}

/// What builds that begin now are prepared with.
///
/// Root may change it while others run; whoever reads it twice may find two generations, so one build reads it
/// once.
final class CurrentPolicies: Sendable {
    /// The policies of one generation.
    struct Value: Hashable, Sendable {
        var profiles: EngineProfiles
        var generation: Generation
    }

    private let state: Mutex<Value>
    private let read: @Sendable ([UInt8]) throws(PoliciesUnreadable) -> EngineProfiles

    /// Begins with what an engine is made with.
    init(_ configuration: EngineConfiguration) {
        state = Mutex(
            Value(profiles: configuration.profiles, generation: configuration.generation))
        read = configuration.readProfiles
    }

    /// The policies of now.
    var value: Value { state.withLock { $0 } }

    /// Takes the generation that the launcher has.
    ///
    /// - Throws: ``EngineError`` when its policies cannot be read; what is asked of the launcher by an older
    ///   generation's name is refused then.
    func replace(
        _ generation: Generation, from memory: SharedDescriptor
    ) throws(EngineError) {
        let content: [UInt8]
        do {
            content = try contents(of: memory, limit: LauncherConfiguration.encodingLimit)
        } catch {
            throw .system(error)
        }
        let profiles: EngineProfiles
        do {
            profiles = try read(content)
        } catch {
            throw .launcherGone("it has policies that cannot be read: \(error.reason)")
        }
        state.withLock { $0 = Value(profiles: profiles, generation: generation) }
    }
}
