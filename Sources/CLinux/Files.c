#define _GNU_SOURCE
#include "CLinuxFiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

const struct CLinux_FileNumbers CLinux_files = {
    .readOnly = O_RDONLY,
    .writeOnly = O_WRONLY,
    .create = O_CREAT,
    .exclusive = O_EXCL,
    .noFollow = O_NOFOLLOW,
    .directory = O_DIRECTORY,
    .path = O_PATH,
    .closeOnExec = O_CLOEXEC,
    .nonBlocking = O_NONBLOCK,
    .noTerminal = O_NOCTTY,
    .beneath = RESOLVE_BENEATH,
    .noSymlinks = RESOLVE_NO_SYMLINKS,
    .noMagicLinks = RESOLVE_NO_MAGICLINKS,
    .noCrossing = RESOLVE_NO_XDEV,
    .removeDirectory = AT_REMOVEDIR,
    .emptyPath = AT_EMPTY_PATH,
    .noReplace = RENAME_NOREPLACE,
    .immutable = STATX_ATTR_IMMUTABLE,
    .appendOnly = STATX_ATTR_APPEND,
    .again = EAGAIN,
    .crossesDevices = EXDEV,
    .exists = EEXIST,
    .invalid = EINVAL,
    .isDirectory = EISDIR,
    .loop = ELOOP,
    .notDirectory = ENOTDIR,
    .notEmpty = ENOTEMPTY,
    .notFound = ENOENT,
    .notImplemented = ENOSYS,
    .notSupported = EOPNOTSUPP,
    .inputOutput = EIO,
    .nameTooLong = ENAMETOOLONG,
    .badDescriptor = EBADF,
    .stale = ESTALE,
    .permission = EPERM,
};

static long result(long value) { return value == -1 ? -errno : value; }

long CLinux_statx(int fd, struct CLinux_FileStatus *status) {
    struct statx from;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &from) == -1) return -errno;
    if ((from.stx_mask & STATX_BASIC_STATS) != STATX_BASIC_STATS) return -ENODATA;
    *status = (struct CLinux_FileStatus){
        .device = (uint64_t)from.stx_dev_major << 32 | from.stx_dev_minor,
        .inode = from.stx_ino,
        .size = from.stx_size,
        .attributes = from.stx_attributes,
        .mode = from.stx_mode,
        .user = from.stx_uid,
        .group = from.stx_gid,
        .links = from.stx_nlink,
        .modifiedSeconds = from.stx_mtime.tv_sec,
        .modifiedNanoseconds = from.stx_mtime.tv_nsec,
    };
    return 0;
}

long CLinux_lseek(int fd, int64_t offset) { return result(lseek(fd, offset, SEEK_SET)); }

long CLinux_fchownat(int fd, uint32_t user, uint32_t group) {
    return result(fchownat(fd, "", user, group, AT_EMPTY_PATH));
}

long CLinux_utimensat(int fd, int64_t seconds, uint32_t nanoseconds) {
    struct timespec time = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    struct timespec both[2] = {time, time};
    // Not the library's utimensat, which may refuse an empty path before the kernel sees it.
    return result(syscall(SYS_utimensat, fd, "", both, AT_EMPTY_PATH));
}

long CLinux_flistxattr(int fd, unsigned char *list, unsigned long size) {
    return result(flistxattr(fd, (char *)list, size));
}

long CLinux_fremovexattr(int fd, const unsigned char *name) {
    return result(fremovexattr(fd, (const char *)name));
}

long CLinux_testReadLease(int fd) {
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1) return -errno;
    return result(fcntl(fd, F_SETLEASE, F_UNLCK));
}

long CLinux_ficlone(int target, int source) { return result(ioctl(target, FICLONE, source)); }

long CLinux_copy_file_range(int source, int target, unsigned long length) {
    return result(copy_file_range(source, NULL, target, NULL, length, 0));
}

