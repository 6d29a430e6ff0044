// A17, C18 to C23, F1: ids, capabilities, and what only root may do.
#include "../probe.h"
#include <grp.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <time.h>

static unsigned long long status_line(const char *key) {
    FILE *file = fopen("/proc/self/status", "re");
    char line[512];
    unsigned long long value = ~0ULL;
    size_t length = strlen(key);
    while (file != NULL && fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0) value = strtoull(line + length, NULL, 16);
    if (file != NULL) fclose(file);
    return value;
}
static verdict empty(const char *key) {
    unsigned long long value = status_line(key);
    return value == 0 ? say(HELD, "%s 0", key) : say(ESCAPED, "%s %llx", key, value);
}
PROBE(effective, "C18.capabilities-effective", "R20", "root") { return empty("CapEff:"); }
PROBE(permitted, "C18.capabilities-permitted", "R20", "root") { return empty("CapPrm:"); }
PROBE(bounding, "C18.capabilities-bounding", "R20", "root") { return empty("CapBnd:"); }
PROBE(no_new, "C18.no-new-privileges", "R20", "root") {
    return status_line("NoNewPrivs:") == 1 ? say(HELD, "set") : say(ESCAPED, "not set");
}
PROBE(filter, "C05.filter-loaded", "R14", "root") {
    return status_line("Seccomp:") == 2 ? say(HELD, "mode 2") : say(ESCAPED, "no filter");
}
PROBE(root_user, "F01.user-is-root", "R20", "root") {
    return getuid() != 0 && geteuid() != 0 ? say(HELD, "user %d", getuid()) : say(ESCAPED, "user 0");
}
PROBE(root_group, "F01.group-is-root", "R20", "root") {
    return getgid() != 0 && getegid() != 0 ? say(HELD, "group %d", getgid()) : say(ESCAPED, "group 0");
}
PROBE(groups, "C19.supplementary-groups", "R20", "root") {
    gid_t list[64];
    int count = getgroups(64, list);
    // The control sets some first, which only root can.
    if (count == 0 && setgroups(1, (gid_t[]){4}) == 0) count = 1;
    return count == 0 ? say(HELD, "none") : say(ESCAPED, "%d groups", count);
}
PROBE(setuid_root, "F01.setresuid-root", "R20", "root") { return refused("setresuid(0)", CALL(SYS_setresuid, 0, 0, 0)); }
PROBE(setgid_root, "F01.setresgid-root", "R20", "root") { return refused("setresgid(0)", CALL(SYS_setresgid, 0, 0, 0)); }
PROBE(other_user, "B01.setuid-of-others", "R20", "root") { return refused("setresuid(1001)", CALL(SYS_setresuid, 1001, 1001, 1001)); }
PROBE(fsuid, "F01.setfsuid-root", "R20", "root") {
    CALL(SYS_setfsuid, 12345);
    long now = CALL(SYS_setfsuid, -1);
    return now == 12345 ? say(ESCAPED, "file system user 12345") : say(HELD, "file system user %ld", now);
}
PROBE(keep_caps, "C18.securebits", "R20", "root") { return refused("PR_SET_SECUREBITS", CALL(SYS_prctl, PR_SET_SECUREBITS, 0)); }
PROBE(ambient, "C18.ambient-raise", "R20", "root") {
    // Needs the capability to be inheritable; root in the control makes it so.
    struct { unsigned version; int pid; } header = {0x20080522, 0};
    struct { unsigned effective, permitted, inheritable; } data[2] = {{1, 1, 1}, {0, 0, 0}};
    CALL(SYS_capset, &header, data);
    return refused("PR_CAP_AMBIENT_RAISE", CALL(SYS_prctl, 47, 2, 0, 0, 0));
}
PROBE(renice, "C22.nice-below-zero", "R14", "root") {
    int result = setpriority(PRIO_PROCESS, 0, -5);
    return result == 0 ? say(ESCAPED, "priority -5") : say(HELD, "%s", strerror(errno));
}
PROBE(realtime, "C22.real-time", "R14", "root") {
    struct sched_param how = {.sched_priority = 1};
    return refused("SCHED_FIFO", CALL(SYS_sched_setscheduler, 0, SCHED_FIFO, &how));
}
PROBE(io_realtime, "C22.io-real-time", "R14", "root") { return refused("ioprio_set", CALL(SYS_ioprio_set, 1, 0, 1 << 13)); }
PROBE(settime, "C23.clock", "R14", "root") {
    // To the time that it is, should it succeed.
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return refused("clock_settime", CALL(SYS_clock_settime, CLOCK_REALTIME, &now));
}
PROBE(adjust, "C23.adjtimex-set", "R14", "root") {
    // ADJ_FREQUENCY with the frequency that it has.
    unsigned words[64] = {0};
    CALL(SYS_adjtimex, words);
    words[0] = 2;
    return refused("adjtimex", CALL(SYS_adjtimex, words));
}
PROBE(hard_limit, "C22.core-limit-raised", "R20", "root") {
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_max == 0 ? say(HELD, "no core files") : say(ESCAPED, "cores of %llu bytes", (unsigned long long)limit.rlim_max);
}
PROBE(dac, "B03.write-to-roots-file", "R20", "root") { return writable("/etc/passwd"); }
PROBE(dac_dir, "B03.make-in-root", "R20", "root") {
    int made = mkdir("/probe-dir", 0700);
    if (made == 0) rmdir("/probe-dir");
    return made == 0 ? say(ESCAPED, "a directory in /") : say(HELD, "%s", strerror(errno));
}
PROBE(dac_store, "B05.make-lock-in-etc", "R20", "root") {
    int made = open("/etc/probe.lock", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (made >= 0) unlink("/etc/probe.lock");
    return made >= 0 ? say(ESCAPED, "a file in /etc") : say(HELD, "%s", strerror(errno));
}

// What the harness made on the host before: keys 0x4b494c4e.
PROBE(shm, "C09.host-shared-memory", "R30", "host") {
    int id = shmget(0x4b494c4e, 0, 0);
    return id >= 0 ? say(ESCAPED, "the host's segment is seen") : say(HELD, "%s", strerror(errno));
}
PROBE(sem, "C09.host-semaphores", "R30", "host") {
    int id = semget(0x4b494c4e, 0, 0);
    return id >= 0 ? say(ESCAPED, "the host's semaphores are seen") : say(HELD, "%s", strerror(errno));
}
PROBE(msg, "C09.host-message-queue", "R30", "host") {
    int id = msgget(0x4b494c4e, 0);
    return id >= 0 ? say(ESCAPED, "the host's queue is seen") : say(HELD, "%s", strerror(errno));
}
PROBE(posix_shm, "C09.host-dev-shm", "R30", "host") { return readable("/dev/shm/kiln-canary"); }
PROBE(host_tmp, "C09.host-tmp", "R30", "host") { return readable("/tmp/kiln-canary"); }
