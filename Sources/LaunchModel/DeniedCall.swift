/// A denial that the sandbox's first process answers and tells, instead of the kernel alone.
///
/// A filter asks for it with `SECCOMP_RET_USER_NOTIF` and this denial's position in
/// ``CompiledProfile/denials`` in the low 16 bits, which the kernel ignores.
public struct CompiledDenial: Hashable, Sendable {
    /// The bits of one argument that decided.
    public struct ArgumentBits: Hashable, Sendable {
        /// The argument's position, 0 to 5.
        public var index: UInt8
        /// The bits of its low half that the denial looks at.
        public var mask: UInt32

        /// Names the bits.
        public init(index: UInt8, mask: UInt32) {
            self.index = index
            self.mask = mask
        }
    }

    /// The error that the call fails with, 1 to 4095.
    public var errno: UInt16
    /// What is told of the arguments: calls that agree in these bits are counted together.
    public var arguments: [ArgumentBits]

    /// Puts a denial together.
    public init(errno: UInt16, arguments: [ArgumentBits]) {
        self.errno = errno
        self.arguments = arguments
    }
}

/// Denied calls of one kind, counted by the first process of the sandbox.
///
/// What a builder chooses in it is the name of the program, the arguments and the count.
public struct DeniedCall: Hashable, Sendable {
    /// The position in ``CompiledProfile/denials``.
    public var denial: UInt16
    /// The system call interface, the kernel's `AUDIT_ARCH_…`.
    public var architecture: UInt32
    /// The call's number there.
    public var number: UInt32
    /// The bits that ``CompiledDenial/arguments`` names, in that order.
    public var arguments: [UInt32]
    /// What the kernel has for the name of the calling thread: at most ``programLimit`` bytes of any kind.
    public var program: [UInt8]
    /// How many calls there were.
    public var count: UInt64

    /// Puts a kind of denied calls together.
    public init(
        denial: UInt16, architecture: UInt32, number: UInt32, arguments: [UInt32],
        program: [UInt8], count: UInt64
    ) {
        self.denial = denial
        self.architecture = architecture
        self.number = number
        self.arguments = arguments
        self.program = [UInt8](program.prefix(Self.programLimit))
        self.count = count
    }

    /// `TASK_COMM_LEN`.
    public static let programLimit = 16

    /// Whether both are counted together.
    public func isSameKind(as other: DeniedCall) -> Bool {
        denial == other.denial && number == other.number && architecture == other.architecture
            && arguments == other.arguments && program == other.program
    }
}

/// The denied calls of one build that were told.
public struct DeniedCalls: Hashable, Sendable {
    /// The kinds, in the order in which each was first seen; at most ``limit`` of them.
    public var kinds: [DeniedCall]
    /// How many calls of further kinds there were.
    public var others: UInt64

    /// No calls, unless some are given.
    public init(kinds: [DeniedCall] = [], others: UInt64 = 0) {
        self.kinds = kinds
        self.others = others
    }

    /// More kinds than a build has that means well.
    public static let limit = 64

    /// Whether nothing was denied.
    public var isEmpty: Bool { kinds.isEmpty && others == 0 }

    /// Counts one call, whose own count does not matter.
    ///
    /// - Returns: Whether it is the first of its kind.
    @discardableResult
    public mutating func count(_ call: DeniedCall) -> Bool {
        for index in kinds.indices where kinds[index].isSameKind(as: call) {
            kinds[index].count &+= 1
            return false
        }
        guard kinds.count < Self.limit else {
            others &+= 1
            return false
        }
        kinds.append(call)
        kinds[kinds.count - 1].count = 1
        return true
    }
}

extension DeniedCalls {
    /// Appends the calls.
    public func encode(into writer: inout ByteWriter) {
        writer.write(list: kinds) { (writer, call) in
            writer.write(call.denial)
            writer.write(call.architecture)
            writer.write(call.number)
            writer.write(list: call.arguments) { $0.write($1) }
            writer.write(call.program)
            writer.write(call.count)
        }
        writer.write(others)
    }

    /// Reads calls; bytes behind them stay.
    public init(decoding reader: inout ByteReader) throws(CodingFault) {
        kinds = try reader.readList(limit: Self.limit) { (reader) throws(CodingFault) in
            DeniedCall(
                denial: try reader.read(UInt16.self), architecture: try reader.read(UInt32.self),
                number: try reader.read(UInt32.self),
                arguments: try reader.readList(limit: CompiledDenial.argumentLimit) {
                    (reader) throws(CodingFault) in try reader.read(UInt32.self)
                }, program: try reader.readBytes(limit: DeniedCall.programLimit),
                count: try reader.read(UInt64.self))
        }
        others = try reader.read(UInt64.self)
    }
}

extension CompiledDenial {
    /// How many arguments a system call has at most.
    public static let argumentLimit = 6

    func encode(into writer: inout ByteWriter) {
        writer.write(errno)
        writer.write(list: arguments) {
            $0.write($1.index)
            $0.write($1.mask)
        }
    }

    init(decoding reader: inout ByteReader) throws(CodingFault) {
        let start = reader.offset
        errno = try reader.read(UInt16.self)
        // Zero would be success, and above this the kernel takes a number for a result.
        guard errno > 0, errno <= 4095 else { throw .unknownValue(UInt64(errno), at: start) }
        arguments = try reader.readList(limit: Self.argumentLimit) { (reader) throws(CodingFault) in
            let start = reader.offset
            let index = try reader.read(UInt8.self)
            guard index < Self.argumentLimit else { throw .unknownValue(UInt64(index), at: start) }
            return ArgumentBits(index: index, mask: try reader.read(UInt32.self))
        }
    }
}
