// What a sandbox costs at least: the clone, mounts, pivot_root, user namespace and exec of a launch, and nothing else.
//
//   minimal pooled|fresh STORE WORK INPUTS PROGRAM
//
// INPUTS is a file with a name of STORE in each line; PROGRAM's path inside is executed with `sh -c 'exit 0'`. For
// each byte that it reads it launches once, waits for the end and writes a byte. `pooled` makes the next network
// namespace after it answered. It holds no attack: no drop is read back, no list of mounts is read, nothing is proved.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(call) check((long)(call), #call)
enum { user = 872415232, read_only = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

static long check(long value, const char *call) {
    if (value >= 0) return value;
    fprintf(stderr, "minimal: %s: %s\n", call, strerror(errno));
    _exit(1);
}
static int clone_tree(int directory, const char *path, unsigned more) {
    return (int)CHECK(syscall(SYS_open_tree, directory, path,
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | more));
}
static void set_attributes(int mount, uint64_t set) {
    struct mount_attr attributes = {.attr_set = set, .propagation = MS_PRIVATE};
    CHECK(syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
}
static void attach(int mount, int directory, const char *name) {
    CHECK(syscall(SYS_move_mount, mount, "", directory, name, MOVE_MOUNT_F_EMPTY_PATH));
    close(mount);
}
static int file_system(const char *type, const char *const (*options)[2], unsigned attributes) {
    int context = (int)CHECK(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
    for (; options && (*options)[0]; options++)
        CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0));
    CHECK(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int mount = (int)CHECK(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
    close(context);
    return mount;
}
static void put(int directory, const char *name, const char *text, unsigned mode) {
    int file = (int)CHECK(openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, mode));
    CHECK(write(file, text, strlen(text)));
    close(file);
}
static void raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
    int socket_number = (int)CHECK(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(ioctl(socket_number, SIOCSIFFLAGS, &request));
    close(socket_number);
}
static int fresh_network(int home) {
    CHECK(unshare(CLONE_NEWNET));
    raise_loopback();
    int made = (int)CHECK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    CHECK(setns(home, CLONE_NEWNET));
    return made;
}

static char **inputs;
static size_t input_count;

static void set_up(int store_tree, int out_tree, int build_tree, int network, int status) {
    static const char *const root_options[][2] = {
        {"size", "16777216"}, {"mode", "0755"}, {"nr_inodes", "1m"}, {NULL, NULL}};
    static const char *const temporary[][2] = {{"size", "16777216"}, {"mode", "1777"}, {NULL, NULL}};
    static const char *const terminals[][2] = {
        {"ptmxmode", "0666"}, {"mode", "0620"}, {"max", "64"}, {NULL, NULL}};
    static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
    static const char *const readable[] = {
        "sys", "irq", "bus", "fs", "acpi", "asound", "driver", "scsi"};
    static const char *const hidden[] = {
        "kcore", "keys", "key-users", "timer_list", "sched_debug", "latency_stats", "kallsyms",
        "interrupts", "softirqs", "sysrq-trigger", "kmsg", "kpagecount", "kpageflags",
        "kpagecgroup", "vmallocinfo", "slabinfo"};
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL));
    if (network >= 0) CHECK(setns(network, CLONE_NEWNET));
    else raise_loopback();
    CHECK(setsid());
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    int root = file_system("tmpfs", root_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    CHECK(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    const char *const places[] = {
        "nix", "nix/store", ".store", "build", "dev", "dev/shm", "dev/pts", "proc", "tmp", "etc"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) CHECK(mkdirat(root, places[i], 0755));

    int store = (int)CHECK(fcntl(out_tree, F_DUPFD_CLOEXEC, 3));
    set_attributes(out_tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    attach(out_tree, root, "nix/store");
    int source = (int)CHECK(fcntl(store_tree, F_DUPFD_CLOEXEC, 3));
    set_attributes(store_tree, read_only);
    attach(store_tree, root, ".store");
    for (size_t i = 0; i < input_count; i++) {
        int tree = clone_tree(source, inputs[i], 0);
        struct stat found;
        CHECK(fstat(tree, &found));
        if (S_ISDIR(found.st_mode)) CHECK(mkdirat(store, inputs[i], 0555));
        else close((int)CHECK(openat(store, inputs[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0444)));
        attach(tree, store, inputs[i]);
    }
    CHECK(fchdir(root));
    CHECK(umount2(".store", MNT_DETACH));
    CHECK(unlinkat(root, ".store", AT_REMOVEDIR));
    set_attributes(build_tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    attach(build_tree, root, "build");

    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        char path[32], place[32];
        snprintf(path, sizeof path, "/dev/%s", devices[i]);
        snprintf(place, sizeof place, "dev/%s", devices[i]);
        int tree = clone_tree(AT_FDCWD, path, 0);
        set_attributes(tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
        close((int)CHECK(openat(root, place, O_WRONLY | O_CREAT | O_CLOEXEC, 0444)));
        attach(tree, root, place);
    }
    const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    int proc = file_system("proc", NULL, quiet);
    int kernel = (int)CHECK(fcntl(proc, F_DUPFD_CLOEXEC, 3));
    attach(proc, root, "proc");
    for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) {
        if (faccessat(kernel, readable[i], F_OK, 0) < 0) continue;
        int tree = clone_tree(kernel, readable[i], 0);
        set_attributes(tree, read_only | MOUNT_ATTR_NOEXEC);
        attach(tree, kernel, readable[i]);
    }
    put(root, ".empty", "", 0444);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        if (faccessat(kernel, hidden[i], F_OK, 0) < 0) continue;
        int tree = clone_tree(root, ".empty", 0);
        set_attributes(tree, read_only);
        attach(tree, kernel, hidden[i]);
    }
    CHECK(unlinkat(root, ".empty", 0));
    attach(file_system("tmpfs", temporary, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), root, "tmp");
    attach(file_system("tmpfs", temporary, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), root, "dev/shm");
    attach(file_system("devpts", terminals, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), root, "dev/pts");
    CHECK(symlinkat("pts/ptmx", root, "dev/ptmx"));
    CHECK(symlinkat("/proc/self/fd", root, "dev/fd"));
    CHECK(symlinkat("/proc/self/fd/0", root, "dev/stdin"));
    CHECK(symlinkat("/proc/self/fd/1", root, "dev/stdout"));
    CHECK(symlinkat("/proc/self/fd/2", root, "dev/stderr"));
    put(root, "etc/passwd", "root:x:0:0::/build:/noshell\nnixbld:x:1000:100::/build:/noshell\n", 0444);
    put(root, "etc/group", "root:x:0:\nnixbld:!:100:\n", 0444);
    put(root, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0444);
    set_attributes(root, read_only);
    CHECK(syscall(SYS_pivot_root, ".", "."));
    CHECK(umount2(".", MNT_DETACH));
    CHECK(chdir("/"));
    CHECK(sethostname("localhost", 9));
    CHECK(syscall(SYS_setgroups, 0, NULL));
    CHECK(unshare(CLONE_NEWUSER));
    char byte = 0;
    CHECK(write(status, &byte, 1));
    CHECK(read(status, &byte, 1));
    CHECK(syscall(SYS_setresgid, 100, 100, 100));
    CHECK(syscall(SYS_setresuid, 1000, 1000, 1000));
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));
    CHECK(chdir("/build"));
}

static void map(int process, const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    int file = (int)CHECK(open(path, O_WRONLY | O_CLOEXEC));
    CHECK(write(file, text, strlen(text)));
    close(file);
}

static void launch(int store, int work, const char *program, int network) {
    CHECK(mkdirat(work, "out", 0775));
    CHECK(mkdirat(work, "build", 0700));
    CHECK(fchownat(work, "build", user, user, 0));
    int store_tree = clone_tree(store, "", AT_EMPTY_PATH);
    int out_tree = clone_tree(work, "out", 0);
    int build_tree = clone_tree(work, "build", 0);
    int ends[2], pidfd = -1;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS
            | CLONE_NEWCGROUP | (network >= 0 ? 0 : CLONE_NEWNET),
        .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    long child = CHECK(syscall(SYS_clone3, &arguments, sizeof arguments));
    if (child == 0) {
        set_up(store_tree, out_tree, build_tree, network, ends[1]);
        char *words[] = {"sh", "-c", "exit 0", NULL}, *none[] = {NULL};
        CHECK(execve(program, words, none));
    }
    close(ends[1]);
    close(store_tree);
    close(out_tree);
    close(build_tree);
    char byte, line[64];
    if (CHECK(read(ends[0], &byte, 1)) != 1) exit(1);
    snprintf(line, sizeof line, "1000 %u 1\n", user);
    map((int)child, "setgroups", "deny");
    map((int)child, "gid_map", "100 872415232 1\n");
    map((int)child, "uid_map", line);
    CHECK(write(ends[0], "", 1));
    siginfo_t info;
    CHECK(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
    close(pidfd);
    close(ends[0]);
    if (info.si_code != CLD_EXITED || info.si_status != 0) exit(1);
}

static void clear(int work) {
    int out = (int)CHECK(openat(work, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0; i < input_count; i++)
        if (unlinkat(out, inputs[i], AT_REMOVEDIR) < 0) CHECK(unlinkat(out, inputs[i], 0));
    close(out);
    CHECK(unlinkat(work, "out", AT_REMOVEDIR));
    CHECK(unlinkat(work, "build", AT_REMOVEDIR));
}

int main(int count, char **words) {
    if (count != 6) return 2;
    int pooled = strcmp(words[1], "pooled") == 0;
    CHECK(unshare(CLONE_NEWNS));
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    int store = (int)CHECK(open(words[2], O_PATH | O_DIRECTORY | O_CLOEXEC));
    int work = (int)CHECK(open(words[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int home = (int)CHECK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    FILE *list = fopen(words[4], "re");
    if (list == NULL) return 1;
    char name[256];
    while (fscanf(list, "%255s", name) == 1) {
        inputs = realloc(inputs, (input_count + 1) * sizeof *inputs);
        inputs[input_count++] = strdup(name);
    }
    fclose(list);
    umask(022);
    int network = pooled ? fresh_network(home) : -1;
    char byte;
    while (read(0, &byte, 1) == 1) {
        launch(store, work, words[5], network);
        CHECK(write(1, &byte, 1));
        clear(work);
        if (!pooled) continue;
        close(network);
        network = fresh_network(home);
    }
    return 0;
}
