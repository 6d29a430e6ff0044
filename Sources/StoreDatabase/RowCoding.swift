import GRDB
import Hashing
import StoreModel

extension Row {
    /// The text in a column, nothing for null.
    func text(_ index: Int) throws(StoreDatabaseError) -> String? {
        let value: DatabaseValue = self[index]
        switch value.storage {
        case .string(let text): return text
        case .null: return nil
        case .int64, .double, .blob: throw .corrupt("column \(index) of a row is no text")
        }
    }

    /// The text in a column that is never null.
    func requiredText(_ index: Int) throws(StoreDatabaseError) -> String {
        guard let text = try text(index) else { throw .corrupt("column \(index) of a row is null") }
        return text
    }

    /// The number in a column, nothing for null.
    func number(_ index: Int) throws(StoreDatabaseError) -> Int64? {
        let value: DatabaseValue = self[index]
        switch value.storage {
        case .int64(let number): return number
        case .null: return nil
        case .string, .double, .blob: throw .corrupt("column \(index) of a row is no number")
        }
    }

    /// The number in a column that is never null.
    func requiredNumber(_ index: Int) throws(StoreDatabaseError) -> Int64 {
        guard let number = try number(index) else {
            throw .corrupt("column \(index) of a row is null")
        }
        return number
    }
}

/// The columns of ``StoreDatabase/info(in:)``, in its order.
let infoColumns =
    "v.id, v.path, v.hash, v.registrationTime, v.deriver, v.narSize, v.ultimate, v.sigs, v.ca"

extension StoreDatabase {
    /// What a row of ``infoColumns`` says; references are rows of another table.
    func info(in row: Row) throws(StoreDatabaseError) -> (id: Int64, info: ValidPathInfo) {
        let path = try path(spelled: row.requiredText(1))
        let narHash: Digest
        do {
            narHash = try Digest(parsing: row.requiredText(2), algorithm: .sha256)
        } catch let error as StoreDatabaseError {
            throw error
        } catch {
            throw .corrupt("'\(path)': \(error)")
        }
        var info = ValidPathInfo(
            path: path, narHash: narHash,
            // Null and zero both mean that nobody measured.
            narSize: UInt64(clamping: try row.number(5) ?? 0))
        info.registrationTime = try row.requiredNumber(3)
        if let deriver = try row.text(4) { info.deriver = try self.path(spelled: deriver) }
        info.isUltimate = try row.number(6) == 1
        if let signatures = try row.text(7) {
            info.signatures = signatures.split(separator: " ").map(String.init)
        }
        if let address = try row.text(8), !address.isEmpty {
            do {
                info.contentAddress = try ContentAddress(parsing: address)
            } catch {
                throw .corrupt("'\(path)' has the content address '\(address)'")
            }
        }
        return (try row.requiredNumber(0), info)
    }

    /// What stands in the columns of an object: hash, size, whether built here, signatures and address.
    func values(of info: ValidPathInfo) throws(StoreDatabaseError) -> [(
        any DatabaseValueConvertible
    )?] {
        guard info.narHash.algorithm == .sha256 else {
            throw .value(info.path, "its archive's digest is not SHA-256")
        }
        guard let size = Int64(exactly: info.narSize) else {
            throw .value(info.path, "its archive's size of \(info.narSize) bytes is impossible")
        }
        // The list has spaces between its members, so one inside would forge another member.
        for signature in info.signatures
        where signature.isEmpty || signature.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f }) {
            throw .value(info.path, "'\(signature)' is not a signature")
        }
        let signatures = Set(info.signatures).sorted().joined(separator: " ")
        return [
            info.narHash.text(.base16, prefixed: true),
            size == 0 ? nil : size,
            info.isUltimate ? 1 : nil,
            signatures.isEmpty ? nil : signatures,
            info.contentAddress?.description,
        ]
    }
}
