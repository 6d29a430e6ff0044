// A26, C7, C8, C20, C29: terminals, descriptors, personality, and what files can be told by ioctl.
#include "../probe.h"
#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

PROBE(tiocsti, "C07.TIOCSTI", "R14", "root") { return filtered("ioctl(TIOCSTI)", CALL(SYS_ioctl, -1, 0x5412, 0)); }
PROBE(tioclinux, "C07.TIOCLINUX", "R14", "root") { return filtered("ioctl(TIOCLINUX)", CALL(SYS_ioctl, -1, 0x541c, 0)); }
PROBE(tiocsti32, "C07.TIOCSTI-i386", "R14", "root") { return filtered("ioctl(TIOCSTI) of i386", call32(54, -1, 0x5412, 0, 0, 0)); }
PROBE(terminal, "C07.controlling-terminal", "R30", "terminal") {
    int file = open("/dev/tty", O_RDWR | O_CLOEXEC);
    return file >= 0 ? say(ESCAPED, "there is a controlling terminal") : say(HELD, "%s", strerror(errno));
}
PROBE(inputs_are_null, "C07.input-is-null", "R30", "terminal") {
    return isatty(0) || isatty(1) || isatty(2) ? say(ESCAPED, "a standard descriptor is a terminal") : say(HELD, "none is a terminal");
}
PROBE(descriptors, "A26.open-descriptors", "R30", "descriptor") {
    int found = 0;
    for (int file = 3; file < 1024; file++)
        if (fcntl(file, F_GETFD) >= 0) found = file;
    return found == 0 ? say(HELD, "0, 1 and 2 alone") : say(ESCAPED, "descriptor %d is open", found);
}
#define PERSONALITIES(X)                                                                           \
    X(mmap_page_zero, 0x0100000) X(whole_seconds, 0x2000000) X(sticky_timeouts, 0x4000000) X(short_inode, 0x1000000) \
    X(svr4, 1) X(bsd, 6)
#define DEFINE(name, value)                                                                        \
    PROBE(personality_##name, "C20.personality-" #name, "R14", "user") {                           \
        return refused("personality", CALL(SYS_personality, value));                               \
    }
PERSONALITIES(DEFINE)

static verdict flag(const char *what, unsigned long request, int value) {
    int file = open("probe-flag", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) return say(SKIP, "no file: %s", strerror(errno));
    long result = CALL(SYS_ioctl, file, request, &value);
    int none = 0;
    if (result == 0) CALL(SYS_ioctl, file, FS_IOC_SETFLAGS, &none);
    close(file);
    unlink("probe-flag");
    return refused(what, result);
}
PROBE(immutable, "C29.immutable-flag", "R14", "root") { return flag("FS_IMMUTABLE_FL", FS_IOC_SETFLAGS, FS_IMMUTABLE_FL); }
PROBE(append, "C29.append-only-flag", "R14", "root") { return flag("FS_APPEND_FL", FS_IOC_SETFLAGS, FS_APPEND_FL); }
PROBE(nodump, "C29.nodump-flag", "R14", "user") { return flag("FS_NODUMP_FL", FS_IOC_SETFLAGS, FS_NODUMP_FL); }
PROBE(fsxattr, "C29.project-id", "R14", "root") {
    int file = open("probe-flag", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    struct fsxattr words = {0};
    long result = CALL(SYS_ioctl, file, FS_IOC_FSGETXATTR, &words);
    words.fsx_xflags = FS_XFLAG_NODUMP;
    result = CALL(SYS_ioctl, file, FS_IOC_FSSETXATTR, &words);
    close(file);
    unlink("probe-flag");
    return refused("FS_IOC_FSSETXATTR", result);
}
PROBE(freeze, "C29.FIFREEZE", "R14", "root") { return filtered("ioctl(FIFREEZE)", CALL(SYS_ioctl, -1, 0xc0045877, 0)); }
PROBE(trim, "C29.FITRIM", "R14", "root") { return filtered("ioctl(FITRIM)", CALL(SYS_ioctl, -1, 0xc0185879, 0)); }
PROBE(verity, "C29.verity", "R14", "root") { return filtered("ioctl(FS_IOC_ENABLE_VERITY)", CALL(SYS_ioctl, -1, 0x40806685, 0)); }
