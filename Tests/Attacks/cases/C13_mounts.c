// C13 to C17, A4, D4: what is mounted where, and ways to change that.
#include "../probe.h"
#include <sys/mount.h>
#include <sys/statvfs.h>

static verdict mounted(const char *type) {
    long result = CALL(SYS_mount, "none", "/tmp", type, 0, 0);
    if (result == 0) umount2("/tmp", MNT_DETACH);
    return refused(type, result);
}
PROBE(tmpfs, "C13.mount-tmpfs", "R14", "root") { return mounted("tmpfs"); }
PROBE(proc, "C13.mount-proc", "R14", "root") { return mounted("proc"); }
PROBE(sysfs, "C13.mount-sysfs", "R14", "root") { return mounted("sysfs"); }
PROBE(mqueue, "C13.mount-mqueue", "R14", "root") { return mounted("mqueue"); }
PROBE(bind, "C13.bind-root", "R14", "root") {
    long result = CALL(SYS_mount, "/", "/tmp", 0, MS_BIND, 0);
    if (result == 0) umount2("/tmp", MNT_DETACH);
    return refused("a bind mount", result);
}
PROBE(remount, "C13.remount-root-writable", "R14", "root") {
    return refused("a remount", CALL(SYS_mount, "none", "/", 0, MS_REMOUNT | MS_BIND, 0));
}
PROBE(shared, "C14.make-shared", "R14", "root") {
    return refused("sharing mounts", CALL(SYS_mount, "none", "/", 0, MS_SHARED | MS_REC, 0));
}
PROBE(unmount, "C13.unmount-proc", "R14", "root") { return refused("unmounting /proc", CALL(SYS_umount2, "/proc", MNT_DETACH)); }
PROBE(fsopen, "C13.fsopen-tmpfs", "R14", "root") { return refused("fsopen", CALL(430, "tmpfs", 0)); }
PROBE(clone_tree, "C13.open_tree-clone", "R14", "root") { return refused("open_tree", CALL(428, AT_FDCWD, "/", 1)); }
PROBE(set_attributes, "C13.mount_setattr-root", "R14", "root") {
    unsigned long long words[4] = {0, 1, 0, 0};
    return refused("mount_setattr", CALL(442, AT_FDCWD, "/", 0, words, sizeof words));
}
PROBE(chroot_tmp, "C16.chroot", "R14", "root") { return refused("chroot", CALL(SYS_chroot, "/tmp")); }

// Each line of the list of mounts, with its flags.
static verdict every_mount(int (*is_wrong)(const char *place, const char *flags, const char *tail, char *why)) {
    FILE *list = fopen("/proc/self/mountinfo", "re");
    char line[8192], place[4096], flags[512], why[200] = "";
    if (list == NULL) return say(SKIP, "mountinfo: %s", strerror(errno));
    int count = 0;
    while (fgets(line, sizeof line, list)) {
        int tail = 0;
        if (sscanf(line, "%*d %*d %*s %*s %4095s %511s %n", place, flags, &tail) < 2) continue;
        count++;
        if (is_wrong(place, flags, line + tail, why)) return say(ESCAPED, "%s", why);
    }
    fclose(list);
    return say(HELD, "%d mounts", count);
}
static int has(const char *flags, const char *word) {
    size_t length = strlen(word);
    for (const char *at = flags; (at = strstr(at, word)) != NULL; at += length)
        if ((at == flags || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return 1;
    return 0;
}
static int allows_set_id(const char *place, const char *flags, const char *tail, char *why) {
    (void)tail;
    snprintf(why, 200, "%.100s is not nosuid", place);
    return !has(flags, "nosuid");
}
static int is_shared(const char *place, const char *flags, const char *tail, char *why) {
    (void)flags;
    snprintf(why, 200, "%.100s is shared or follows another", place);
    return strncmp(tail, "shared:", 7) == 0 || strncmp(tail, "master:", 7) == 0;
}
static int is_wide(const char *place, const char *flags, const char *tail, char *why) {
    const char *writable[] = {"/build", "/tmp", "/dev/shm", "/dev/pts", "/nix/store", "/proc", "/dev/null", "/dev/zero",
                              "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
    (void)tail;
    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++)
        if (strcmp(place, writable[i]) == 0) return 0;
    snprintf(why, 200, "%.100s can be written", place);
    return has(flags, "rw");
}
static int has_devices(const char *place, const char *flags, const char *tail, char *why) {
    (void)tail;
    // The devices themselves are mounts of single files.
    if (strncmp(place, "/dev/", 5) == 0) return 0;
    snprintf(why, 200, "%.100s is not nodev", place);
    return !has(flags, "nodev");
}
PROBE(nosuid, "A04.every-mount-nosuid", "R7", "root") { return every_mount(allows_set_id); }
PROBE(nodev, "A04.every-mount-nodev", "R7", "root") { return every_mount(has_devices); }
PROBE(private, "C14.every-mount-private", "R30", "root") {
    CALL(SYS_mount, "none", "/", 0, MS_SHARED | MS_REC, 0);
    return every_mount(is_shared);
}
PROBE(narrow, "C15.mounts-read-only", "R29", "root") { return every_mount(is_wide); }

PROBE(old_root, "C17.old-root-reachable", "R28", "root") {
    struct stat here, above;
    if (stat("/", &here) != 0 || stat("/..", &above) != 0) return say(SKIP, "%s", strerror(errno));
    if (here.st_ino != above.st_ino) return say(ESCAPED, "there is something above the root");
    // Somewhere that the host has and no sandbox.
    const char *places[] = {"/root", "/home", "/var/lib", "/boot", "/sys/kernel", "/run"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], F_OK) == 0) return say(ESCAPED, "%s is there", places[i]);
    return say(HELD, "nothing of the host");
}
PROBE(proc_root, "C16.root-of-pid-1", "R28", "root") {
    int file = open("/proc/1/root/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return say(HELD, "/proc/1/root: %s", strerror(errno));
    return say(ESCAPED, "the root of pid 1 can be opened");
}
PROBE(proc_cwd, "D02.cwd-of-pid-1", "R28", "root") {
    int file = open("/proc/1/cwd/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return say(HELD, "/proc/1/cwd: %s", strerror(errno));
    return say(ESCAPED, "the directory of pid 1 can be opened");
}
PROBE(proc_exe, "D01.program-of-pid-1", "R28", "root") {
    int file = open("/proc/1/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) return say(HELD, "/proc/1/exe: %s", strerror(errno));
    return say(ESCAPED, "the launcher's program can be opened");
}
PROBE(hard_link, "C26.link-of-root-file", "R23", "root") {
    // A file of the host's root directory, which is of another file system than the builder's own.
    unlink("probe-link");
    long result = CALL(SYS_link, "/etc/passwd", "probe-link");
    if (result == 0) unlink("probe-link");
    return refused("a link to /etc/passwd", result);
}
