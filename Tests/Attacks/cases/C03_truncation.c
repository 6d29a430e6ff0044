// C3: arguments of which the kernel reads 32 bits, with something in the others.
#include "../probe.h"
#include <sys/ioctl.h>

#define HIGH (1L << 32)

// As in CVE-2019-10063: a filter that compares 64 bits does not know TIOCSTI any more.
PROBE(tiocsti, "C03.ioctl-TIOCSTI-high", "R14", "root") {
    return filtered("ioctl(TIOCSTI + 2^32)", CALL(SYS_ioctl, -1, HIGH | 0x5412, 0));
}
PROBE(tioclinux, "C03.ioctl-TIOCLINUX-high", "R14", "root") {
    return filtered("ioctl(TIOCLINUX + 2^32)", CALL(SYS_ioctl, -1, HIGH | 0x541c, 0));
}
PROBE(family, "C03.socket-AF_VSOCK-high", "R14", "root") {
    long file = CALL(SYS_socket, HIGH | 40, SOCK_STREAM, 0);
    return refused("socket(AF_VSOCK + 2^32)", file);
}
PROBE(netlink, "C03.socket-NETLINK_AUDIT-high", "R14", "root") {
    return refused("socket(AF_NETLINK, NETLINK_AUDIT + 2^32)", CALL(SYS_socket, HIGH | 16, SOCK_RAW, HIGH | 9));
}
PROBE(clone, "C03.clone-NEWUSER-high", "R14", "root") {
    long child = CALL(SYS_clone, HIGH | 0x10000000 | SIGCHLD);
    if (child == 0) _exit(0);
    return refused("clone(CLONE_NEWUSER + 2^32)", child);
}
PROBE(personality, "C03.personality-high", "R14", "user") {
    // ADDR_COMPAT and others are a builder's to choose; MMAP_PAGE_ZERO is not.
    return refused("personality(MMAP_PAGE_ZERO + 2^32)", CALL(SYS_personality, HIGH | 0x0100000));
}
PROBE(chmod, "C03.fchmod-setuid-high", "R14", "user") {
    int file = open("probe-high", O_CREAT | O_RDWR | O_CLOEXEC, 0700);
    if (file < 0) return say(SKIP, "no file: %s", strerror(errno));
    CALL(SYS_fchmod, file, HIGH | 04755);
    struct stat found;
    fstat(file, &found);
    unlink("probe-high");
    return found.st_mode & 06000 ? say(ESCAPED, "mode %o", found.st_mode) : say(HELD, "mode %o", found.st_mode);
}
