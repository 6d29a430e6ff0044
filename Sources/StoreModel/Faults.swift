public import LaunchModel

extension StorePathFault: CustomStringConvertible {
    /// One clause that says what is wrong.
    public var description: String {
        switch self {
        case .notInStore(let path): "'\(path)' is not directly in the store directory"
        case .name(let fault, let path): "'\(path)' is not a store path: \(text(of: fault))"
        }
    }
}

/// One clause that says what is wrong with a store object's name.
public func text(of fault: StoreObjectName.Fault) -> String {
    switch fault {
    case .length(let count): "its name has \(count) bytes"
    case .illegalByte(let byte, let offset):
        "its name has the byte 0x\(String(byte, radix: 16)) at offset \(offset)"
    case .dotName: "its name is one of a directory"
    }
}
