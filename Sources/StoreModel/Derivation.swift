public import Hashing
import LaunchModel

/// The name of one output of a derivation, such as `out` or `dev`.
public struct OutputName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name; bytes that may stand in a store path's name.
    public let bytes: [UInt8]

    /// Takes a name; nothing if it is empty or has a byte that no store path may have.
    public init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, bytes.count <= 211, bytes.allSatisfy(StorePath.isNameByte) else {
            return nil
        }
        self.bytes = bytes
    }

    private init(literal: StaticString) { bytes = [UInt8]("\(literal)".utf8) }

    /// The output that is called `out`.
    public static let out = OutputName(literal: "out")

    /// Orders bytewise.
    public static func < (left: OutputName, right: OutputName) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// The name as text.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension StorePath {
    /// Whether a byte may stand in the name part of a store path.
    public static func isNameByte(_ byte: UInt8) -> Bool { StoreObjectName.isNameByte(byte) }
}

/// How content becomes an address.
public enum ContentAddressMethod: UInt8, Hashable, Sendable, CaseIterable {
    /// The bytes of one regular file.
    case flat = 0
    /// The NAR of the whole object.
    case recursive = 1
    /// The bytes of one regular file that may refer to other objects.
    case text = 2
    /// The git tree or blob.
    case git = 3

    /// What stands before the algorithm in a derivation: nothing, `r:`, `text:` or `git:`.
    public var prefix: String {
        switch self {
        case .flat: ""
        case .recursive: "r:"
        case .text: "text:"
        case .git: "git:"
        }
    }
}

/// A promise about the content of an object, from which its path follows.
public struct ContentAddress: Hashable, Sendable {
    /// How content becomes the digest.
    public var method: ContentAddressMethod
    /// The digest.
    public var digest: Digest

    /// Puts an address together.
    public init(method: ContentAddressMethod, digest: Digest) {
        self.method = method
        self.digest = digest
    }
}

/// What is known of one output before it is built.
public enum DerivationOutput: Hashable, Sendable {
    /// The path follows from the derivation.
    case inputAddressed(StorePath)
    /// The content is promised; the path follows from it.
    case fixed(StorePath, ContentAddress)
    /// The path will follow from the content, hashed this way.
    case floating(ContentAddressMethod, HashAlgorithm)
    /// The path depends on inputs whose paths are not known yet.
    case deferred
    /// As floating, but never taken for the result of another build.
    case impure(ContentAddressMethod, HashAlgorithm)

    /// The path, where it is known.
    public var path: StorePath? {
        switch self {
        case .inputAddressed(let path), .fixed(let path, _): path
        case .floating, .deferred, .impure: nil
        }
    }
}

/// What a derivation wants of another one: outputs, and outputs of derivations that those are.
public struct DerivationInput: Hashable, Sendable {
    /// The wanted outputs of the derivation itself.
    public var outputs: Set<OutputName>
    /// Wanted outputs of the derivation that an output is (dynamic derivations).
    public var dynamic: [OutputName: DerivationInput]

    /// Wants these outputs.
    public init(_ outputs: Set<OutputName>, dynamic: [OutputName: DerivationInput] = [:]) {
        self.outputs = outputs
        self.dynamic = dynamic
    }
}

/// A recipe: what to run, with what, and what must come out.
public struct Derivation: Hashable, Sendable {
    /// The name, which ends the names of its outputs; not part of the text form.
    public var name: String
    /// The outputs by name.
    public var outputs: [OutputName: DerivationOutput]
    /// The outputs of other derivations that are needed.
    public var inputDerivations: [StorePath: DerivationInput]
    /// The store objects that are needed and are no outputs of ``inputDerivations``.
    public var inputSources: Set<StorePath>
    /// The kind of machine that it needs, such as `x86_64-linux`.
    public var system: ByteString
    /// The program.
    public var builder: ByteString
    /// The arguments, without the zeroth.
    public var arguments: [ByteString]
    /// The environment.
    public var environment: [ByteString: ByteString]

    /// Puts a derivation together.
    public init(
        name: String, outputs: [OutputName: DerivationOutput],
        inputDerivations: [StorePath: DerivationInput], inputSources: Set<StorePath>,
        system: ByteString, builder: ByteString, arguments: [ByteString],
        environment: [ByteString: ByteString]
    ) {
        self.name = name
        self.outputs = outputs
        self.inputDerivations = inputDerivations
        self.inputSources = inputSources
        self.system = system
        self.builder = builder
        self.arguments = arguments
        self.environment = environment
    }
}
