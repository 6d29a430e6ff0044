#pragma once
#include <stdint.h>

// The file calls of the tree workers. Each forwards to the kernel, takes the kernel's arguments in the
// kernel's order, and returns what the kernel returns: zero or more, or a negative errno. They are here
// because the launcher is built without the Glibc module.

/// Numbers that differ between architectures or that only C headers know.
struct CLinux_FileNumbers {
    /// Flags of openat2.
    int readOnly, writeOnly, create, exclusive, noFollow, directory, path, closeOnExec, nonBlocking,
        noTerminal;
    /// Flags of `RESOLVE_*`.
    unsigned long beneath, noSymlinks, noMagicLinks, noCrossing;
    /// Flags of the calls that end in `at`.
    int removeDirectory, emptyPath;
    /// Flag of renameat2.
    unsigned int noReplace;
    /// Bits of `stx_attributes`.
    uint64_t immutable, appendOnly;
    /// Errors that a caller decides by.
    int again, crossesDevices, exists, invalid, isDirectory, loop, notDirectory, notEmpty, notFound,
        notImplemented, notSupported, inputOutput, nameTooLong, badDescriptor, stale, permission;
};
/// The one set of these numbers.
extern const struct CLinux_FileNumbers CLinux_files;

/// What statx says of a file, in a struct that does not belong to the Glibc module.
struct CLinux_FileStatus {
    uint64_t device, inode, size, attributes;
    uint32_t mode, user, group, links;
    int64_t modifiedSeconds;
    uint32_t modifiedNanoseconds;
};

/// statx(2) of the descriptor itself; `-ENODATA` if the file system does not know every field.
long CLinux_statx(int fd, struct CLinux_FileStatus *status);
/// lseek(2) to an absolute offset.
long CLinux_lseek(int fd, int64_t offset);
/// fchownat(2) of the descriptor itself.
long CLinux_fchownat(int fd, uint32_t user, uint32_t group);
/// utimensat(2) of the descriptor itself; both times become the given one.
long CLinux_utimensat(int fd, int64_t seconds, uint32_t nanoseconds);
/// flistxattr(2).
long CLinux_flistxattr(int fd, unsigned char *list, unsigned long size);
/// fremovexattr(2).
long CLinux_fremovexattr(int fd, const unsigned char *name);
/// fcntl(2) F_SETLEASE to F_RDLCK, then to F_UNLCK.
long CLinux_testReadLease(int fd);
/// ioctl(2) FICLONE.
long CLinux_ficlone(int target, int source);
/// copy_file_range(2) at the descriptors' own offsets.
long CLinux_copy_file_range(int source, int target, unsigned long length);
