// B12, C24, C25: what /proc, /sys and /dev show and let write.
#include "../probe.h"
#include <dirent.h>
#include <sys/sysmacros.h>

#define WRITES(X)                                                                                  \
    X(sysrq, "/proc/sysrq-trigger") X(core_pattern, "/proc/sys/kernel/core_pattern")               \
    X(hostname, "/proc/sys/kernel/hostname") X(modprobe, "/proc/sys/kernel/modprobe")              \
    X(randomize, "/proc/sys/kernel/randomize_va_space") X(shmmax, "/proc/sys/kernel/shmmax")       \
    X(msgmax, "/proc/sys/kernel/msgmax") X(overcommit, "/proc/sys/vm/overcommit_memory")           \
    X(drop_caches, "/proc/sys/vm/drop_caches") X(forward, "/proc/sys/net/ipv4/ip_forward")         \
    X(somaxconn, "/proc/sys/net/core/somaxconn") X(hardlinks, "/proc/sys/fs/protected_hardlinks")  \
    X(file_max, "/proc/sys/fs/file-max")

#define READS(X)                                                                                   \
    X(kcore, "/proc/kcore") X(timer_list, "/proc/timer_list")       \
    X(keys, "/proc/keys") X(key_users, "/proc/key-users") X(kpagecount, "/proc/kpagecount")        \
    X(kpageflags, "/proc/kpageflags") X(slabinfo, "/proc/slabinfo") X(vmallocinfo, "/proc/vmallocinfo") \
    X(kmsg, "/proc/kmsg")

#define WRITE(name, path) PROBE(write_##name, "B12.write-" #name, "R30", "root") { return writable(path); }
#define READ(name, path) PROBE(read_##name, "B12.read-" #name, "R28", "root") { return readable(path); }
WRITES(WRITE)
READS(READ)

static verdict absent(const char *path) {
    struct stat found;
    if (lstat(path, &found) == 0) return say(ESCAPED, "%s is there", path);
    return say(HELD, "%s: %s", path, strerror(errno));
}
#define ABSENT(name, path) PROBE(absent_##name, "B12.absent-" #name, "R28", "root") { return absent(path); }
ABSENT(sys, "/sys/kernel")
ABSENT(cgroup, "/sys/fs/cgroup")
ABSENT(run, "/run")
ABSENT(home, "/root")
ABSENT(shadow, "/etc/shadow")
ABSENT(var, "/var")
ABSENT(boot, "/boot")

// Disks, memory, terminals, and what programs of the host are told to do.
PROBE(devices, "B12.devices", "R29", "root") {
    static const unsigned known[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}};
    DIR *list = opendir("/dev");
    struct dirent *entry;
    if (list == NULL) return say(SKIP, "/dev: %s", strerror(errno));
    // Something that is no device of a sandbox, so that there is something to find outside.
    while ((entry = readdir(list)) != NULL) {
        struct stat found;
        if (fstatat(dirfd(list), entry->d_name, &found, 0) != 0) continue;
        if (S_ISBLK(found.st_mode)) return say(ESCAPED, "block device %s", entry->d_name);
        if (!S_ISCHR(found.st_mode)) continue;
        int isKnown = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            isKnown |= known[i][0] == major(found.st_rdev) && known[i][1] == minor(found.st_rdev);
        if (!isKnown) return say(ESCAPED, "device %s", entry->d_name);
    }
    return say(HELD, "the usual ones");
}

// Processes of others: those of the host and of other builds.
PROBE(processes, "B01.processes-of-others", "R8", "host") {
    DIR *list = opendir("/proc");
    struct dirent *entry;
    int count = 0, foreign = 0;
    if (list == NULL) return say(SKIP, "/proc: %s", strerror(errno));
    while ((entry = readdir(list)) != NULL) {
        struct stat found;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        count++;
        // Pid 1 and whoever this is a child of are the sandbox's own.
        if (fstatat(dirfd(list), entry->d_name, &found, 0) == 0 && atoi(entry->d_name) > 1)
            foreign += found.st_uid != getuid() && found.st_uid != 65534;
    }
    // The control runs beside a process of another user.
    return foreign == 0 && count < 64 ? say(HELD, "%d processes", count) : say(ESCAPED, "%d processes of others", foreign);
}
PROBE(stop_reaper, "B01.stop-pid-1", "R13", "root") {
    return refused("SIGSTOP to pid 1", CALL(SYS_kill, 1, SIGSTOP));
}
PROBE(trace_reaper, "B01.trace-pid-1", "R13", "root") {
    // PTRACE_SEIZE, which stops nobody.
    return refused("tracing pid 1", CALL(SYS_ptrace, 0x4206, 1, 0, 0));
}
PROBE(read_reaper, "B01.memory-of-pid-1", "R13", "root") { return readable("/proc/1/environ"); }
PROBE(maps_reaper, "B01.maps-of-pid-1", "R13", "root") { return readable("/proc/1/maps"); }
PROBE(descriptors_reaper, "B01.descriptors-of-pid-1", "R13", "root") {
    DIR *list = opendir("/proc/1/fd");
    if (list == NULL) return say(HELD, "/proc/1/fd: %s", strerror(errno));
    return say(ESCAPED, "the descriptors of pid 1 can be listed");
}
PROBE(adjust, "C22.oom-score-of-pid-1", "R13", "root") { return writable("/proc/1/oom_score_adj"); }
