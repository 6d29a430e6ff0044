// C1: namespaces inside of the sandbox, by every call that makes or enters one.
#include "../probe.h"

static verdict unshared(const char *what, long flag) { return refused(what, CALL(SYS_unshare, flag)); }

// clone(2) and clone3(2) as fork, with namespace flags.
static verdict cloned(const char *what, long flag) {
    long child = CALL(SYS_clone, flag | SIGCHLD);
    if (child == 0) _exit(0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    return refused(what, child);
}

static verdict cloned3(const char *what, unsigned long long flag) {
    unsigned long long words[11] = {flag, 0, 0, 0, SIGCHLD};
    long child = CALL(435, words, 64);
    if (child == 0) _exit(0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    // Its flags are behind a pointer, so a filter has to refuse it whole.
    return filtered(what, child);
}

#define KINDS(X)                                                                                   \
    X(user, 0x10000000) X(mount, 0x00020000) X(pid, 0x20000000) X(net, 0x40000000)                 \
    X(ipc, 0x08000000) X(uts, 0x04000000) X(cgroup, 0x02000000)

#define DEFINE(kind, flag)                                                                         \
    PROBE(unshare_##kind, "C01.unshare-" #kind, "R14", "root") { return unshared("unshare " #kind, flag); } \
    PROBE(clone_##kind, "C01.clone-" #kind, "R14", "root") { return cloned("clone " #kind, flag); } \
    PROBE(clone3_##kind, "C01.clone3-" #kind, "R14", "root") { return cloned3("clone3 " #kind, flag); } \
    PROBE(setns_##kind, "C01.setns-" #kind, "R14", "root") {                                       \
        const char *names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};               \
        const unsigned flags[] = {0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000}; \
        char path[64] = "";                                                                        \
        for (int i = 0; i < 7; i++)                                                                \
            if (flags[i] == (flag)) snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);     \
        int file = open(path, O_RDONLY | O_CLOEXEC);                                               \
        if (file < 0) return say(HELD, "%s: %s", path, strerror(errno));                           \
        return filtered("setns", CALL(SYS_setns, file, flag));                                     \
    }
KINDS(DEFINE)

PROBE(unshare_time, "C01.unshare-time", "R14", "root") { return unshared("unshare time", 0x80); }

// The limits of namespaces, should a call get past the filter.
static verdict limit(const char *kind) {
    char path[96], text[32] = "";
    snprintf(path, sizeof path, "/proc/sys/user/max_%s_namespaces", kind);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0) return say(SKIP, "%s: %s", path, strerror(errno));
    long most = atol(text);
    return most == 0 ? say(HELD, "no %s namespace is allowed", kind) : say(ESCAPED, "%ld %s namespaces are allowed", most, kind);
}
PROBE(limit_user, "C01.limit-user", "R14", "root") { return limit("user"); }
PROBE(limit_mnt, "C01.limit-mount", "R14", "root") { return limit("mnt"); }
PROBE(limit_pid, "C01.limit-pid", "R14", "root") { return limit("pid"); }
PROBE(limit_net, "C01.limit-net", "R14", "root") { return limit("net"); }
PROBE(limit_ipc, "C01.limit-ipc", "R14", "root") { return limit("ipc"); }
PROBE(limit_uts, "C01.limit-uts", "R14", "root") { return limit("uts"); }
PROBE(limit_cgroup, "C01.limit-cgroup", "R14", "root") { return limit("cgroup"); }
