import BuildEngine
import Goals
import LaunchModel
import StoreModel
import Testing

@Suite("Policies that change while an engine runs") struct ReloadTests {
    @Test("a build that named the generation before asks once more by the new one's name")
    func newGeneration() throws {
        let store = try TestStore()
        let first = try store.add(try TestStore.derivation("first"))
        #expect(try store.build([first]).map(\.result.status) == [.built])
        store.launcher.reload(8, handing: [5])
        let second = try store.add(try TestStore.derivation("second"))
        let outcome = try #require(try store.build([second]).first)
        #expect(outcome.result.status == .built, "\(outcome.result.message)")
        #expect(store.engine.profiles.byName.keys.sorted() == ["default"])
        store.close()
        #expect(store.launcher.seen.prepared == [[7, 0], [7, 0], [8, 5]])
        // Three builds, of which the refused one was given back, and two derivations that were added.
        #expect(store.launcher.seen.discards == 5)
        #expect(store.launcher.seen.outOfOrder == 0)
    }

    @Test("a profile that is gone is an error of the build that wants it")
    func profileGone() throws {
        let store = try TestStore()
        store.launcher.reload(8, handing: [0])
        let path = try store.add(try TestStore.derivation("p"))
        let outcome = try #require(try store.build([path]).first)
        #expect(outcome.result.message.contains("there is no profile 'default'"))
        #expect(throws: EngineError.self) {
            try store.build([path], options: RequestOptions(profile: "relaxed"))
        }
    }

    @Test("a launcher that has other policies and hands none over is not asked for ever")
    func nothingHanded() throws {
        let store = try TestStore()
        store.launcher.reload(8, handing: nil)
        let path = try store.add(try TestStore.derivation("p"))
        let outcome = try #require(try store.build([path]).first)
        #expect(!outcome.result.status.isSuccess)
        store.close()
        #expect(store.launcher.seen.prepared == [[7, 0]])
        #expect(store.launcher.seen.started == [])
    }

    @Test("policies that cannot be read end the conversation; nothing is built under the old ones")
    func unreadable() throws {
        let store = try TestStore()
        store.launcher.reload(8, handing: [])
        let path = try store.add(try TestStore.derivation("p"))
        let outcome = try #require(try store.build([path]).first)
        #expect(outcome.result.message.contains("policies that cannot be read: are empty"))
        #expect(store.launcher.seen.started == [])
    }
}
