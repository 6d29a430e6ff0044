// A9, A10: every way to make a file that runs with rights of its owner, by every call that can.
#include "../probe.h"
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

static verdict mode_of(const char *path, const char *what, long result) {
    struct stat found;
    if (lstat(path, &found) != 0) return say(HELD, "%s: %s", what, strerror((int)-result));
    unlink(path);
    rmdir(path);
    if (found.st_mode & 06000) return say(ESCAPED, "%s made mode %o", what, found.st_mode & 07777);
    return say(HELD, "%s: %s, mode %o", what, result < 0 ? strerror((int)-result) : "ignored", found.st_mode & 07777);
}

static int fresh(const char *path) { return open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0700); }

#define MODES(X) X(setuid, 04755) X(setgid, 02755) X(both, 06755)

#define DEFINE(name, mode)                                                                         \
    PROBE(chmod_##name, "A10.chmod-" #name, "R14", "user") {                                       \
        close(fresh("probe-a"));                                                                   \
        return mode_of("probe-a", "chmod", CALL(SYS_chmod, "probe-a", mode));                      \
    }                                                                                              \
    PROBE(fchmod_##name, "A10.fchmod-" #name, "R14", "user") {                                     \
        return mode_of("probe-b", "fchmod", CALL(SYS_fchmod, fresh("probe-b"), mode));             \
    }                                                                                              \
    PROBE(fchmodat_##name, "A10.fchmodat-" #name, "R14", "user") {                                 \
        close(fresh("probe-c"));                                                                   \
        return mode_of("probe-c", "fchmodat", CALL(SYS_fchmodat, AT_FDCWD, "probe-c", mode));      \
    }                                                                                              \
    PROBE(fchmodat2_##name, "A09.fchmodat2-" #name, "R14", "user") {                               \
        close(fresh("probe-d"));                                                                   \
        return mode_of("probe-d", "fchmodat2", CALL(452, AT_FDCWD, "probe-d", mode, 0));           \
    }                                                                                              \
    PROBE(open_##name, "A10.open-" #name, "R14", "user") {                                         \
        umask(0);                                                                                  \
        return mode_of("probe-e", "open", CALL(SYS_open, "probe-e", O_CREAT | O_EXCL | O_WRONLY, mode)); \
    }                                                                                              \
    PROBE(openat_##name, "A10.openat-" #name, "R14", "user") {                                     \
        umask(0);                                                                                  \
        return mode_of("probe-f", "openat",                                                        \
                       CALL(SYS_openat, AT_FDCWD, "probe-f", O_CREAT | O_EXCL | O_WRONLY, mode));  \
    }                                                                                              \
    PROBE(openat2_##name, "A10.openat2-" #name, "R7", "user") {                                   \
        umask(0);                                                                                  \
        unsigned long long how[3] = {O_CREAT | O_EXCL | O_WRONLY, mode, 0};                        \
        /* Its mode is behind a pointer, out of a filter's sight; what counts is where the file lies. */ \
        long made = CALL(437, AT_FDCWD, "probe-g", how, sizeof how);                               \
        struct statvfs place;                                                                      \
        if (made >= 0 && fstatvfs((int)made, &place) == 0 && place.f_flag & ST_NOSUID) {           \
            unlink("probe-g");                                                                     \
            return say(HELD, "on a mount that ignores the bits");                                  \
        }                                                                                          \
        return mode_of("probe-g", "openat2", made);                                                \
    }                                                                                              \
    PROBE(creat_##name, "A10.creat-" #name, "R14", "user") {                                       \
        umask(0);                                                                                  \
        return mode_of("probe-h", "creat", CALL(SYS_creat, "probe-h", mode));                      \
    }                                                                                              \
    PROBE(mknod_##name, "A10.mknod-" #name, "R14", "user") {                                       \
        umask(0);                                                                                  \
        return mode_of("probe-i", "mknod", CALL(SYS_mknod, "probe-i", S_IFREG | mode, 0));         \
    }                                                                                              \
    PROBE(mknodat_##name, "A10.mknodat-" #name, "R14", "user") {                                   \
        umask(0);                                                                                  \
        return mode_of("probe-j", "mknodat", CALL(SYS_mknodat, AT_FDCWD, "probe-j", S_IFREG | mode, 0)); \
    }
MODES(DEFINE)

PROBE(chmod32, "A10.chmod-i386", "R14", "user") {
    char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (path == MAP_FAILED) return say(SKIP, "no memory below 4 GiB");
    strcpy(path, "probe-k");
    close(fresh(path));
    return mode_of("probe-k", "chmod of i386", call32(15, (long)path, 04755, 0, 0, 0));
}
PROBE(fchmodat2_32, "A09.fchmodat2-i386", "R14", "user") {
    char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (path == MAP_FAILED) return say(SKIP, "no memory below 4 GiB");
    strcpy(path, "probe-l");
    close(fresh(path));
    return mode_of("probe-l", "fchmodat2 of i386", call32(452, AT_FDCWD, (long)path, 04755, 0, 0));
}
PROBE(directory, "A10.mkdir-setgid-kept", "R14", "user") {
    mkdir("probe-m", 0700);
    return mode_of("probe-m", "chmod of a directory", CALL(SYS_chmod, "probe-m", 02755));
}

static verdict attribute(const char *name, const void *value, size_t size) {
    int file = fresh("probe-n");
    long result = CALL(SYS_fsetxattr, file, name, value, size, 0);
    char read_back[256];
    long there = fgetxattr(file, name, read_back, sizeof read_back);
    close(file);
    unlink("probe-n");
    if (there >= 0) return say(ESCAPED, "%s was set", name);
    return say(HELD, "%s: %s", name, result < 0 ? strerror((int)-result) : "ignored");
}
// cap_setuid=ep, version 2.
PROBE(capability, "A10.file-capability", "R14", "root") {
    const unsigned words[5] = {0x02000001, 1 << 7, 0, 0, 0};
    return attribute("security.capability", words, sizeof words);
}
PROBE(acl, "A10.acl-access", "R14", "user") {
    // user::rwx user:0:rwx group::--- mask::rwx other::---
    const unsigned char list[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0, 0, 0, 0, 4, 0,
                                  0, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
    return attribute("system.posix_acl_access", list, sizeof list);
}
PROBE(trusted, "A10.trusted-attribute", "R14", "root") { return attribute("trusted.kiln", "x", 1); }
PROBE(setxattrat, "A10.setxattrat-user", "R14", "user") {
    int file = fresh("probe-o");
    close(file);
    struct { unsigned long long value; unsigned size, flags; } words = {(unsigned long)"x", 1, 0};
    long result = CALL(463, AT_FDCWD, "probe-o", 0, "user.kiln", &words, sizeof words);
    char byte;
    long there = getxattr("probe-o", "user.kiln", &byte, 1);
    unlink("probe-o");
    return there >= 0 ? say(ESCAPED, "user.kiln was set") : say(HELD, "%s", strerror((int)-result));
}
PROBE(device, "A10.device-node", "R7", "root") {
    long made = CALL(SYS_mknod, "probe-p", S_IFCHR | 0666, 0x103);
    unlink("probe-p");
    return refused("a device node", made);
}
PROBE(chown_root, "A07.chown-to-root", "R11", "root") {
    int file = fresh("probe-q");
    long result = CALL(SYS_fchown, file, 0, 0);
    struct stat found;
    fstat(file, &found);
    unlink("probe-q");
    return result == 0 && found.st_uid == 0 ? say(ESCAPED, "it is root's") : say(HELD, "%s", result < 0 ? strerror((int)-result) : "not root's");
}
