// C2, C11, C12, C13: calls that no builder needs, by number, through the 64-bit and the 32-bit interface.
// The arguments are such that the kernel, when it is reached, refuses them without doing anything.
#include "../probe.h"

#define BAD ((long)-1)

// name, x86_64's number, i386's number, arguments
#define CALLS(X)                                                                                   \
    X(mount, 165, 21, 0, 0, 0, 0, 0)                                                               \
    X(umount2, 166, 52, 0, 0, 0, 0, 0)                                                             \
    X(pivot_root, 155, 217, 0, 0, 0, 0, 0)                                                         \
    X(chroot, 161, 61, 0, 0, 0, 0, 0)                                                              \
    X(swapon, 167, 87, 0, 0, 0, 0, 0)                                                              \
    X(swapoff, 168, 115, 0, 0, 0, 0, 0)                                                            \
    X(reboot, 169, 88, 0, 0, 0, 0, 0)                                                              \
    X(sethostname, 170, 74, 0, 5, 0, 0, 0)                                                         \
    X(setdomainname, 171, 121, 0, 5, 0, 0, 0)                                                      \
    X(init_module, 175, 128, 0, 0, 0, 0, 0)                                                        \
    X(finit_module, 313, 350, BAD, 0, 0, 0, 0)                                                     \
    X(delete_module, 176, 129, 0, 0, 0, 0, 0)                                                      \
    X(settimeofday, 164, 79, 1, 0, 0, 0, 0)                                                        \
    X(clock_settime, 227, 264, 99, 1, 0, 0, 0)                                                     \
    X(bpf, 321, 357, 99, 0, 0, 0, 0)                                                               \
    X(userfaultfd, 323, 374, 0xffff, 0, 0, 0, 0)                                                   \
    X(perf_event_open, 298, 336, 1, 0, BAD, BAD, 0)                                                \
    X(add_key, 248, 286, 0, 0, 0, 0, 0)                                                            \
    X(request_key, 249, 287, 0, 0, 0, 0, 0)                                                        \
    X(keyctl, 250, 288, 99, 0, 0, 0, 0)                                                            \
    X(io_uring_setup, 425, 425, 0, 0, 0, 0, 0)                                                     \
    X(io_uring_enter, 426, 426, BAD, 0, 0, 0, 0)                                                   \
    X(io_uring_register, 427, 427, BAD, 0, 0, 0, 0)                                                \
    X(open_by_handle_at, 304, 342, BAD, 0, 0, 0, 0)                                                \
    X(fanotify_init, 300, 338, 0xffffffff, 0, 0, 0, 0)                                             \
    X(syslog, 103, 103, 99, 0, 0, 0, 0)                                                            \
    X(unshare, 272, 310, 0x04000000, 0, 0, 0, 0)                                                            \
    X(setns, 308, 346, BAD, 0, 0, 0, 0)                                                            \
    X(open_tree, 428, 428, BAD, 0, 0, 0, 0)                                                        \
    X(move_mount, 429, 429, BAD, 0, BAD, 0, 0)                                                     \
    X(fsopen, 430, 430, 0, 0, 0, 0, 0)                                                             \
    X(fsconfig, 431, 431, BAD, 0, 0, 0, 0)                                                         \
    X(fsmount, 432, 432, BAD, 0, 0, 0, 0)                                                          \
    X(fspick, 433, 433, BAD, 0, 0, 0, 0)                                                           \
    X(mount_setattr, 442, 442, BAD, 0, 0, 0, 0)                                                    \
    X(move_pages, 279, 317, 0, 0, 0, 0, 99)                                                        \
    X(migrate_pages, 256, 294, BAD, 0, 0, 0, 0)                                                    \
    X(pidfd_getfd, 438, 438, BAD, 0, 0, 0, 0)                                                      \
    X(iopl, 172, 110, 9, 0, 0, 0, 0)                                                               \
    X(ioperm, 173, 101, BAD, BAD, 1, 0, 0)                                                         \
    X(lsm_set_self_attr, 460, 460, 0, 0, 0, 0, 0)                                                  \
    X(open_tree_attr, 467, 467, BAD, 0, 0, 0, 0)                                                   \
    X(vhangup, 153, 111, 0, 0, 0, 0, 0)                                                            \
    X(acct, 163, 51, 1, 0, 0, 0, 0)                                                                \
    X(quotactl, 179, 131, 0, 0, 0, 0, 0)                                                           \
    X(quotactl_fd, 443, 443, BAD, 0, 0, 0, 0)                                                      \
    X(kexec_load, 246, 283, 0, 0, 0, 0xffff, 0)                                                    \
    X(fanotify_mark, 301, 339, BAD, 0, 0, 0, 0)                                                    \
    X(kcmp, 312, 349, BAD, BAD, 99, 0, 0)                                                          \
    X(memfd_secret, 447, 447, 0xffff, 0, 0, 0, 0)                                                  \
    X(process_madvise, 440, 440, BAD, 0, 0, 0, 0)

#define DEFINE(name, wide, narrow, a, b, c, d, e)                                                  \
    PROBE(wide_##name, "C12." #name ".x86_64", "R14", "root") {                                    \
        return filtered(#name, call(wide, a, b, c, d, e, 0));                                      \
    }                                                                                              \
    PROBE(narrow_##name, "C02." #name ".i386", "R14", "root") {                                    \
        return filtered(#name, call32(narrow, a, b, c, d, e));                                     \
    }
CALLS(DEFINE)

PROBE(kexec_file, "C12.kexec_file_load.x86_64", "R14", "root") {
    return filtered("kexec_file_load", call(320, BAD, BAD, 0, 0, 0xffff, 0));
}
PROBE(socketcall_alg, "C02.socketcall-alg.i386", "R14", "root") {
    // Its arguments are behind a pointer, which a filter cannot read.
    unsigned *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (words == MAP_FAILED) return say(SKIP, "no memory below 4 GiB");
    words[0] = 38;  // AF_ALG
    words[1] = 5;   // SOCK_SEQPACKET
    words[2] = 0;
    long result = call32(102, 1, (long)words, 0, 0, 0);
    return result == -EAFNOSUPPORT ? say(HELD, "no such family here") : refused("socketcall(AF_ALG)", result);
}
