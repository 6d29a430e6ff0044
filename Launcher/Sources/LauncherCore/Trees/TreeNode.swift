import CLinux

/// One entry of a tree, opened in a way that fits what it is.
struct TreeNode {
    let kind: FileKind
    /// What the kernel said of ``file``, after it was opened.
    let status: FileStatus
    /// Open for reading if it is a regular file or a directory; otherwise only a place.
    let file: HeldFile

    /// Opens an entry without following it, and without touching it before its kind is known.
    ///
    /// The second opening, for reading, must find the inode that the first one found.
    init(opening name: FileName, in directory: HeldFile) throws(Failure) {
        let place = try directory.open(name, for: .place)
        let seen = try place.status()
        switch seen.kind {
        case .symbolicLink, .special:
            file = place
            status = seen
        case .regular, .directory:
            let access: HeldFile.Access = seen.kind == .directory ? .names : .contents
            file = try directory.open(name, for: access)
            status = try file.status()
            guard status.identity == seen.identity, status.kind == seen.kind else {
                throw Failure(errno: CLinux_files.stale)
            }
        }
        kind = seen.kind
    }
}

extension HeldFile {
    /// What an extended attribute means to a hand-over.
    private enum AttributeMeaning {
        case carriesRights
        case isRemoved
        case belongsToTheKernel
    }

    /// Whether an extended attribute carries rights: capabilities, access lists, labels.
    func hasAttributesWithRights() throws(Failure) -> Bool {
        for name in try attributeNames() where Self.meaning(ofAttribute: name) == .carriesRights {
            return true
        }
        return false
    }

    /// Removes the extended attributes that carry no rights.
    func removeHarmlessAttributes() throws(Failure) {
        for name in try attributeNames() where Self.meaning(ofAttribute: name) == .isRemoved {
            try removeAttribute(name)
        }
    }

    private static func meaning(ofAttribute name: [UInt8]) -> AttributeMeaning {
        // The host's own label, which every file has there and which nobody can remove.
        if name == [UInt8](ascii: "security.selinux") { return .belongsToTheKernel }
        if name.starts(with: [UInt8](ascii: "security."))
            || name.starts(with: [UInt8](ascii: "trusted."))
            || name.starts(with: [UInt8](ascii: "system.posix_acl_"))
        {
            return .carriesRights
        }
        return .isRemoved
    }
}

extension [UInt8] {
    /// The bytes of a literal in ASCII.
    init(ascii literal: StaticString) {
        self = literal.withUTF8Buffer { [UInt8]($0) }
    }
}
