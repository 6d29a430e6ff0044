import CLinux
import LaunchModel

/// Why a worker stopped, as it is told to the engine.
struct TreeFault: Error, Equatable {
    let refusal: Refusal

    init(_ reason: Refusal.Reason, errno: Int32 = 0, at subject: [UInt8]) {
        refusal = Refusal(reason, errno: errno, subject: subject)
    }

    /// A call that failed at a place.
    ///
    /// A mount in a tree is no file of a kind that trees may hold; it is called that, with EXDEV.
    init(_ fault: Failure, at subject: [UInt8]) {
        let reason: Refusal.Reason =
            fault.errno == CLinux_files.crossesDevices ? .outputFileType : .systemCall
        self.init(reason, errno: fault.errno, at: subject)
    }
}

/// Runs calls on the file that is called `subject` in messages.
func at<R>(_ subject: @autoclosure () -> [UInt8], _ body: () throws(Failure) -> R)
    throws(TreeFault) -> R
{
    do {
        return try body()
    } catch {
        throw TreeFault(error, at: subject())
    }
}
