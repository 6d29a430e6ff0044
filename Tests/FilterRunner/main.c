// Loads a seccomp program and then makes one system call, or runs a command, under it.
//
//   filter-runner FILTER call NUMBER [ARGUMENT...]     prints the result, or -errno
//   filter-runner FILTER call32 NUMBER [ARGUMENT...]   the same through the 32-bit interface
//   filter-runner FILTER unheard NUMBER [ARGUMENT...]  the same under a filter whose listener is closed
//   filter-runner FILTER calls COUNT NUMBER [ARGUMENT...]  COUNT times (0: for ever); prints the last result
//   filter-runner FILTER listen                        asks for a listener of its own; prints the result
//   filter-runner FILTER run COMMAND [ARGUMENT...]
//
// FILTER is a file, or "-" for no filter at all: the control of the experiment.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "filter-runner: %s: %s\n", what, strerror(errno));
    return 125;
}

static int load(const char *path, unsigned flags, int *listener) {
    static struct sock_filter program[4097];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return fail(path);
    ssize_t length = read(file, program, sizeof program);
    if (length <= 0 || length % (ssize_t)sizeof *program != 0) return fail("read");
    if (close(file) != 0) return fail("close");
    struct sock_fprog description = {
        .len = (unsigned short)(length / (ssize_t)sizeof *program), .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail("no_new_privs");
    *listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &description);
    return *listener < 0 ? fail("seccomp") : 0;
}

// A filter that allows everything, with a listener.
static int listen_too(void) {
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog description = {.len = 1, .filter = &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail("no_new_privs");
    long result = syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &description);
    printf("%ld\n", result == -1 ? -errno : result);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4 && !(argc == 3 && strcmp(argv[2], "listen") == 0)) {
        fprintf(stderr, "usage: filter-runner FILTER call|call32|unheard|calls|listen|run ...\n");
        return 125;
    }
    unsigned long arguments[7] = {0};
    for (int index = 3; index < argc && index < 10; index++)
        arguments[index - 3] = strtoul(argv[index], NULL, 0);
    if (strcmp(argv[1], "-") != 0) {
        int listener;
        int isUnheard = strcmp(argv[2], "unheard") == 0;
        int status = load(argv[1], isUnheard ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &listener);
        if (status != 0) return status;
        if (isUnheard && close(listener) != 0) return fail("close");
    }
    if (strcmp(argv[2], "listen") == 0) return listen_too();
    if (strcmp(argv[2], "run") == 0) {
        execvp(argv[3], argv + 3);
        return fail(argv[3]);
    }
    long result;
    if (strcmp(argv[2], "call32") == 0) {
#ifdef __x86_64__
        // The 32-bit interface of the kernel is open to 64-bit programs too.
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(arguments[0]), "b"(arguments[1]), "c"(arguments[2]),
                           "d"(arguments[3])
                         : "memory", "r8", "r9", "r10", "r11");
        result = (int)result;
#else
        return 77;
#endif
    } else if (strcmp(argv[2], "calls") == 0) {
        unsigned long count = arguments[0];
        do {
            result = syscall((long)arguments[1], arguments[2], arguments[3], arguments[4],
                             arguments[5], arguments[6], 0);
            if (result == -1) result = -errno;
        } while (count == 0 || --count > 0);
    } else {
        result = syscall((long)arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                         arguments[5], arguments[6]);
        if (result == -1) result = -errno;
    }
    printf("%ld\n", result);
    return 0;
}
