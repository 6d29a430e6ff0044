#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What the kernel says, whichever way the C library wraps it.
static long result(long value) { return value == -1 ? -(long)errno : value; }

long CLinux_close(int fd) { return result(close(fd)); }
long CLinux_close_range(unsigned first, unsigned last, unsigned flags) {
    return result(syscall(SYS_close_range, first, last, flags));
}
long CLinux_dup3(int from, int to, int flags) { return result(dup3(from, to, flags)); }
long CLinux_dup_from(int fd, int lowest) { return result(fcntl(fd, F_DUPFD_CLOEXEC, lowest)); }
long CLinux_get_seals(int fd) { return result(fcntl(fd, F_GET_SEALS)); }
long CLinux_get_descriptor_flags(int fd) { return result(fcntl(fd, F_GETFD)); }
long CLinux_set_descriptor_flags(int fd, int flags) { return result(fcntl(fd, F_SETFD, flags)); }
long CLinux_openat(int directory, const char *path, int flags, unsigned mode) {
    return result(openat(directory, path, flags, mode));
}
long CLinux_openat2(
    int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return result(syscall(SYS_openat2, directory, path, &how, sizeof how));
}
long CLinux_fstatat(int directory, const char *path, CLinux_status *status, int flags) {
    struct stat found;
    long value = result(fstatat(directory, path, &found, flags));
    if (value >= 0)
        *status = (CLinux_status){
            .device = found.st_dev, .inode = found.st_ino, .links = found.st_nlink,
            .size = (uint64_t)found.st_size, .represents = found.st_rdev, .mode = found.st_mode,
            .user = found.st_uid, .group = found.st_gid};
    return value;
}
long CLinux_file_system_type(int fd) {
    struct statfs found;
    long value = result(fstatfs(fd, &found));
    return value < 0 ? value : (long)((unsigned long)found.f_type & 0xffffffff);
}
long CLinux_mkdirat(int directory, const char *path, unsigned mode) {
    return result(mkdirat(directory, path, mode));
}
long CLinux_symlinkat(const char *target, int directory, const char *path) {
    return result(symlinkat(target, directory, path));
}
long CLinux_readlinkat(int directory, const char *path, void *buffer, size_t size) {
    return result(readlinkat(directory, path, buffer, size));
}
long CLinux_unlinkat(int directory, const char *path, int flags) {
    return result(unlinkat(directory, path, flags));
}
long CLinux_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags) {
    return result(syscall(SYS_renameat2, from, name, to, new_name, flags));
}
long CLinux_fchmod(int fd, unsigned mode) { return result(fchmod(fd, mode)); }
long CLinux_fchown(int fd, uint32_t user, uint32_t group) { return result(fchown(fd, user, group)); }
long CLinux_fchdir(int fd) { return result(fchdir(fd)); }
long CLinux_chdir(const char *path) { return result(chdir(path)); }
long CLinux_getcwd(void *buffer, size_t size) { return result(syscall(SYS_getcwd, buffer, size)); }
long CLinux_read(int fd, void *buffer, size_t size) { return result(read(fd, buffer, size)); }
long CLinux_pread(int fd, void *buffer, size_t size, uint64_t offset) {
    return result(pread(fd, buffer, size, (off_t)offset));
}
long CLinux_write(int fd, const void *bytes, size_t size) { return result(write(fd, bytes, size)); }
long CLinux_getdents64(int fd, void *buffer, size_t size) {
    return result(syscall(SYS_getdents64, fd, buffer, size));
}
long CLinux_flock(int fd, int operation) { return result(flock(fd, operation)); }
long CLinux_pipe2(int fds[2], int flags) { return result(pipe2(fds, flags)); }
long CLinux_umask(unsigned mask) { return (long)umask(mask); }
long CLinux_getrandom(void *buffer, size_t size) {
    return result(syscall(SYS_getrandom, buffer, size, 0));
}

long CLinux_mount(const char *source, const char *target, const char *type, unsigned long flags) {
    return result(syscall(SYS_mount, source, target, type, flags, NULL));
}
long CLinux_umount2(const char *target, int flags) {
    return result(syscall(SYS_umount2, target, flags));
}
long CLinux_pivot_root(const char *new_root, const char *put_old) {
    return result(syscall(SYS_pivot_root, new_root, put_old));
}
long CLinux_open_tree(int directory, const char *path, unsigned flags) {
    return result(syscall(SYS_open_tree, directory, path, flags));
}
long CLinux_move_mount(int from, const char *path, int to, const char *target, unsigned flags) {
    return result(syscall(SYS_move_mount, from, path, to, target, flags));
}
long CLinux_fsopen(const char *type, unsigned flags) {
    return result(syscall(SYS_fsopen, type, flags));
}
long CLinux_fsconfig_string(int context, const char *key, const char *value) {
    return result(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0));
}
long CLinux_fsconfig_create(int context) {
    return result(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}
long CLinux_fsmount(int context, unsigned flags, unsigned attributes) {
    return result(syscall(SYS_fsmount, context, flags, attributes));
}
long CLinux_mount_setattr(
    int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
    uint64_t propagation) {
    struct mount_attr attributes = {
        .attr_set = set, .attr_clr = clear, .propagation = propagation};
    return result(
        syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes));
}

long CLinux_clone3(uint64_t flags, int *pidfd, uint64_t cgroup) {
    struct clone_args arguments = {
        .flags = flags, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD,
        .cgroup = cgroup};
    return result(syscall(SYS_clone3, &arguments, sizeof arguments));
}
void CLinux_exit(int status) { _exit(status); }
long CLinux_execve(
    const char *path, const char *const *arguments, const char *const *environment) {
    return result(syscall(SYS_execve, path, arguments, environment));
}
long CLinux_waitid(int type, int id, CLinux_end *end, int options) {
    siginfo_t info = {0};
    struct rusage usage = {0};
    long value = result(syscall(SYS_waitid, type, id, &info, options, &usage));
    *end = (CLinux_end){
        .pid = info.si_pid, .code = info.si_code, .status = info.si_status,
        .user_time = (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec,
        .system_time =
            (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec};
    return value;
}
long CLinux_pidfd_open(int pid) { return result(syscall(SYS_pidfd_open, pid, 0)); }

// The first published form of struct pidfd_info: the size is part of the request, and later kernels know it.
struct CLinux_pidfd_info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
_Static_assert(sizeof(struct CLinux_pidfd_info) == 64, "as linux/pidfd.h has it");
enum { CLinux_PIDFD_INFO_PID = 1, CLinux_PIDFD_INFO_CREDS = 2 };

long CLinux_pidfd_user_ids(int pidfd, int pid, uint32_t ids[4]) {
    const uint64_t wanted = CLinux_PIDFD_INFO_PID | CLinux_PIDFD_INFO_CREDS;
    struct CLinux_pidfd_info info = {.mask = wanted};
    const long got = result(ioctl(pidfd, _IOWR(0xFF, 11, struct CLinux_pidfd_info), &info));
    if (got < 0) return got;
    if ((info.mask & wanted) != wanted || info.tgid != (uint32_t)pid) return -ESRCH;
    ids[0] = info.ruid;
    ids[1] = info.euid;
    ids[2] = info.suid;
    ids[3] = info.fsuid;
    return 0;
}

long CLinux_pidfd_send_signal(int pidfd, int signal) {
    return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}
long CLinux_unshare(int flags) { return result(syscall(SYS_unshare, flags)); }
long CLinux_setns(int fd, int type) { return result(syscall(SYS_setns, fd, type)); }
long CLinux_setsid(void) { return result(setsid()); }
long CLinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return result(prctl(option, a, b, c, d));
}
long CLinux_capset(uint64_t capabilities) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities},
        {.effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32)}};
    return result(syscall(SYS_capset, &header, data));
}
long CLinux_capget(uint64_t *capabilities) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    long value = result(syscall(SYS_capget, &header, data));
    *capabilities =
        (uint64_t)(data[0].effective | data[0].permitted | data[0].inheritable)
        | (uint64_t)(data[1].effective | data[1].permitted | data[1].inheritable) << 32;
    return value;
}
long CLinux_kill(int pid, int signal) { return result(syscall(SYS_kill, pid, signal)); }
long CLinux_getpid(void) { return syscall(SYS_getpid); }
long CLinux_getppid(void) { return syscall(SYS_getppid); }
long CLinux_getuid(void) { return syscall(SYS_getuid); }
long CLinux_getgid(void) { return syscall(SYS_getgid); }
long CLinux_setresuid(uint32_t real, uint32_t effective, uint32_t saved) {
    return result(syscall(SYS_setresuid, real, effective, saved));
}
long CLinux_setresgid(uint32_t real, uint32_t effective, uint32_t saved) {
    return result(syscall(SYS_setresgid, real, effective, saved));
}
long CLinux_getresuid(uint32_t ids[3]) {
    return result(syscall(SYS_getresuid, &ids[0], &ids[1], &ids[2]));
}
long CLinux_getresgid(uint32_t ids[3]) {
    return result(syscall(SYS_getresgid, &ids[0], &ids[1], &ids[2]));
}
long CLinux_clear_groups(void) { return result(syscall(SYS_setgroups, 0, NULL)); }
long CLinux_group_count(void) { return result(syscall(SYS_getgroups, 0, NULL)); }
long CLinux_setrlimit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit64 limit = {.rlim_cur = soft, .rlim_max = hard};
    return result(syscall(SYS_prlimit64, 0, resource, &limit, NULL));
}
long CLinux_getrlimit(int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit64 limit = {0};
    long value = result(syscall(SYS_prlimit64, 0, resource, NULL, &limit));
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return value;
}
long CLinux_personality(unsigned long persona) { return result(syscall(SYS_personality, persona)); }
long CLinux_new_session_keyring(void) {
    return result(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}
long CLinux_load_filter(const void *instructions, unsigned short count) {
    struct sock_fprog program = {
        .len = count, .filter = (struct sock_filter *)(uintptr_t)instructions};
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

long CLinux_limit_scope(void) {
    // Newer than the headers: three words, of which the last came with version 6 of the interface.
    enum { version_flag = 1, scope_version = 6, abstract_sockets = 1, signals = 2 };
    const struct {
        uint64_t files, network, scoped;
    } rules = {.scoped = abstract_sockets | signals};
    long version = result(syscall(SYS_landlock_create_ruleset, NULL, 0, version_flag));
    if (version < 0) return version;
    if (version < scope_version) return -EOPNOTSUPP;
    long ruleset = result(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
    if (ruleset < 0) return ruleset;
    long restricted = result(syscall(SYS_landlock_restrict_self, (int)ruleset, 0));
    long closed = result(close((int)ruleset));
    return restricted < 0 ? restricted : closed;
}

long CLinux_load_listening_filter(const void *instructions, unsigned short count) {
    struct sock_fprog program = {
        .len = count, .filter = (struct sock_filter *)(uintptr_t)instructions};
    return result(syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}
long CLinux_is_denial_pending(int listener, uint64_t id) {
    return result(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id));
}
long CLinux_receive_denial(int listener, CLinux_denial *denial, uint32_t call[16]) {
    struct seccomp_notif notification = {0};
    _Static_assert(sizeof notification.data == 16 * sizeof *call, "the same layout");
    long value = result(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification));
    if (value < 0) return value;
    *denial = (CLinux_denial){.id = notification.id, .thread = (int)notification.pid};
    memcpy(call, &notification.data, sizeof notification.data);
    return value;
}
long CLinux_deny(int listener, uint64_t id, uint16_t error) {
    struct seccomp_notif_resp response = {.id = id, .error = -(error == 0 ? EPERM : error)};
    return result(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
}
long CLinux_sethostname(const char *name, size_t size) { return result(sethostname(name, size)); }
long CLinux_setdomainname(const char *name, size_t size) { return result(setdomainname(name, size)); }
long CLinux_loopback_up(int socket) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
    return result(ioctl(socket, SIOCSIFFLAGS, &request));
}
long CLinux_default_action(int number) {
    return signal(number, SIG_DFL) == SIG_ERR ? -(long)errno : 0;
}
long CLinux_ignore_signal(int number) {
    return signal(number, SIG_IGN) == SIG_ERR ? -(long)errno : 0;
}
long CLinux_block_signal(int number) {
    uint64_t mask = UINT64_C(1) << (number - 1);
    return result(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, NULL, sizeof mask));
}
long CLinux_signalfd(int number) {
    uint64_t mask = UINT64_C(1) << (number - 1);
    return result(syscall(SYS_signalfd4, -1, &mask, sizeof mask, O_CLOEXEC | O_NONBLOCK));
}
long CLinux_unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    return result(sigprocmask(SIG_SETMASK, &none, NULL));
}

long CLinux_socket(int domain, int type, int protocol) {
    return result(socket(domain, type, protocol));
}
long CLinux_socketpair(int domain, int type, int fds[2]) {
    return result(socketpair(domain, type, 0, fds));
}

long CLinux_accept(int socket) {
    return result(accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

long CLinux_peer_user(int socket, uint32_t *user) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    long value = result(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    if (value == 0) *user = peer.uid;
    return value;
}

long CLinux_socket_listens(int socket) {
    int domain = 0;
    int listens = 0;
    socklen_t size = sizeof domain;
    long value = result(getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size));
    if (value < 0) return value;
    size = sizeof listens;
    value = result(getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size));
    return value < 0 ? value : domain == AF_UNIX && listens;
}

// SCM_MAX_FD, the most descriptors that the kernel takes in one message.
enum { descriptor_limit = 253 };

long CLinux_send(
    int socket, const void *bytes, size_t size, const int *fds, size_t count, int flags) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(descriptor_limit * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > descriptor_limit) return -E2BIG;
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    return result(sendmsg(socket, &message, flags | MSG_NOSIGNAL));
}
long CLinux_receive(int socket, void *buffer, size_t size, int *fds, size_t *count, int *flags) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(descriptor_limit * sizeof(int))];
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    size_t limit = *count < descriptor_limit ? *count : descriptor_limit;
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = CMSG_SPACE(limit * sizeof(int))};
    long value = result(recvmsg(socket, &message, *flags | MSG_CMSG_CLOEXEC));
    *count = 0;
    *flags = message.msg_flags;
    if (value < 0) return value;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        // The control buffer of `limit` descriptors has padding in which one more may fit.
        for (size_t index = 0; index < here; index++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
            if (*count < limit)
                fds[(*count)++] = fd;
            else
                close(fd), *flags |= MSG_CTRUNC;
        }
    }
    return value;
}
long CLinux_poll(CLinux_pollfd *fds, size_t count, int64_t milliseconds) {
    _Static_assert(sizeof(CLinux_pollfd) == sizeof(struct pollfd), "the same layout");
    struct timespec time = {
        .tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000};
    return result(ppoll((struct pollfd *)fds, count, milliseconds < 0 ? NULL : &time, NULL));
}
uint64_t CLinux_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
long CLinux_memfd_create(const char *name) {
    return result(syscall(SYS_memfd_create, name, 3 /* MFD_CLOEXEC | MFD_ALLOW_SEALING */));
}
long CLinux_seal(int fd) {
    return result(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
}
long CLinux_syncfs(int fd) { return result(syncfs(fd)); }
void CLinux_wipe(void *bytes, size_t size) { explicit_bzero(bytes, size); }
