// System calls that Swift cannot make: those that its C library module does not show, and all of them in
// Embedded Swift, which has no C library module. Every function forwards, in the kernel's order of
// arguments, and returns what the kernel returns: a result, or the negative of an errno.
//
// No header of the C library is included here, so that the same declarations serve both kinds of Swift.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "CLinuxConstants.h"
#include "CLinuxFiles.h"

/// What fstat(2) says of a file, in fixed widths.
typedef struct CLinux_status {
    uint64_t device, inode, links, size, represents;
    uint32_t mode, user, group;
} CLinux_status;

/// struct pollfd.
typedef struct CLinux_pollfd {
    int fd;
    short events, revents;
} CLinux_pollfd;

/// How a child ended: si_code and si_status of waitid(2), and its times in microseconds.
typedef struct CLinux_end {
    int pid, code, status;
    uint64_t user_time, system_time;
} CLinux_end;

/// Which call of which thread waits for an answer: the head of struct seccomp_notif.
typedef struct CLinux_denial {
    uint64_t id;
    int thread;
} CLinux_denial;

// Descriptors and files.

/// The errno-safe close(2): Linux frees the number whatever it returns.
long CLinux_close(int fd);
/// close_range(2); not in Swift's C library module.
long CLinux_close_range(unsigned first, unsigned last, unsigned flags);
/// dup3(2).
long CLinux_dup3(int from, int to, int flags);
/// F_DUPFD_CLOEXEC of fcntl(2), which is variadic.
long CLinux_dup_from(int fd, int lowest);
/// F_GET_SEALS of fcntl(2), which is variadic.
long CLinux_get_seals(int fd);
/// F_GETFD of fcntl(2), which is variadic; fails where the number is not open.
long CLinux_get_descriptor_flags(int fd);
/// F_SETFD of fcntl(2), which is variadic.
long CLinux_set_descriptor_flags(int fd, int flags);
/// openat(2), which is variadic.
long CLinux_openat(int directory, const char *path, int flags, unsigned mode);
/// openat2(2) with the structure in arguments; the C library has no wrapper.
long CLinux_openat2(
    int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
/// fstatat(2) with AT_EMPTY_PATH for an empty path.
long CLinux_fstatat(int directory, const char *path, CLinux_status *status, int flags);
/// The type of the file system that a descriptor is on, of fstatfs(2).
long CLinux_file_system_type(int fd);
/// mkdirat(2).
long CLinux_mkdirat(int directory, const char *path, unsigned mode);
/// symlinkat(2).
long CLinux_symlinkat(const char *target, int directory, const char *path);
/// readlinkat(2).
long CLinux_readlinkat(int directory, const char *path, void *buffer, size_t size);
/// unlinkat(2).
long CLinux_unlinkat(int directory, const char *path, int flags);
/// renameat2(2).
long CLinux_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags);
/// fchmod(2).
long CLinux_fchmod(int fd, unsigned mode);
/// fchown(2).
long CLinux_fchown(int fd, uint32_t user, uint32_t group);
/// fchdir(2).
long CLinux_fchdir(int fd);
/// chdir(2).
long CLinux_chdir(const char *path);
/// getcwd(2).
long CLinux_getcwd(void *buffer, size_t size);
/// read(2).
long CLinux_read(int fd, void *buffer, size_t size);
/// pread(2).
long CLinux_pread(int fd, void *buffer, size_t size, uint64_t offset);
/// write(2).
long CLinux_write(int fd, const void *bytes, size_t size);
/// getdents64(2); the C library hides it behind streams that allocate.
long CLinux_getdents64(int fd, void *buffer, size_t size);
/// flock(2).
long CLinux_flock(int fd, int operation);
/// pipe2(2).
long CLinux_pipe2(int fds[2], int flags);
/// umask(2).
long CLinux_umask(unsigned mask);
/// getrandom(2).
long CLinux_getrandom(void *buffer, size_t size);

// Mounts.

/// mount(2).
long CLinux_mount(const char *source, const char *target, const char *type, unsigned long flags);
/// umount2(2).
long CLinux_umount2(const char *target, int flags);
/// pivot_root(2); the C library has no wrapper.
long CLinux_pivot_root(const char *new_root, const char *put_old);
/// open_tree(2).
long CLinux_open_tree(int directory, const char *path, unsigned flags);
/// move_mount(2).
long CLinux_move_mount(int from, const char *path, int to, const char *target, unsigned flags);
/// fsopen(2).
long CLinux_fsopen(const char *type, unsigned flags);
/// FSCONFIG_SET_STRING of fsconfig(2).
long CLinux_fsconfig_string(int context, const char *key, const char *value);
/// FSCONFIG_CMD_CREATE of fsconfig(2).
long CLinux_fsconfig_create(int context);
/// fsmount(2).
long CLinux_fsmount(int context, unsigned flags, unsigned attributes);
/// mount_setattr(2) with the structure in arguments.
long CLinux_mount_setattr(
    int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation);

// Processes and what they may do.

/// clone3(2) as fork(2) with flags: returns 0 in the child. The C library has no wrapper.
long CLinux_clone3(uint64_t flags, int *pidfd, uint64_t cgroup);
/// _exit(2), of all threads.
void CLinux_exit(int status) __attribute__((noreturn));
/// execveat(2) from the working directory, with no flags; returns only a failure.
long CLinux_execve(const char *path, const char *const *arguments, const char *const *environment);
/// waitid(2) with resource usage, which the C library leaves out.
long CLinux_waitid(int type, int id, CLinux_end *end, int options);
/// pidfd_open(2).
long CLinux_pidfd_open(int pid);
/// The real, effective, saved and file system user of a process by PIDFD_GET_INFO, which Linux 6.13 has.
///
/// Variadic ioctl, and a structure that older headers lack. The numbers of another process are refused.
long CLinux_pidfd_user_ids(int pidfd, int pid, uint32_t ids[4]);
/// pidfd_send_signal(2).
long CLinux_pidfd_send_signal(int pidfd, int signal);
/// unshare(2).
long CLinux_unshare(int flags);
/// setns(2): the kernel refuses a namespace of another type.
long CLinux_setns(int fd, int type);
/// setsid(2).
long CLinux_setsid(void);
/// prctl(2), which is variadic.
long CLinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
/// capset(2) of the calling thread: the same words as permitted and effective, and none inheritable.
long CLinux_capset(uint64_t capabilities);
/// capget(2) of the calling thread: all three sets or-ed together.
long CLinux_capget(uint64_t *capabilities);
/// kill(2).
long CLinux_kill(int pid, int signal);
/// getpid(2).
long CLinux_getpid(void);
/// getppid(2).
long CLinux_getppid(void);
/// getuid(2).
long CLinux_getuid(void);
/// getgid(2).
long CLinux_getgid(void);
/// setresuid(2) as a system call: this thread, which is the only one.
long CLinux_setresuid(uint32_t real, uint32_t effective, uint32_t saved);
/// setresgid(2) as a system call.
long CLinux_setresgid(uint32_t real, uint32_t effective, uint32_t saved);
/// getresuid(2).
long CLinux_getresuid(uint32_t ids[3]);
/// getresgid(2).
long CLinux_getresgid(uint32_t ids[3]);
/// setgroups(2) with an empty list, as a system call.
long CLinux_clear_groups(void);
/// The number of supplementary groups, of getgroups(2).
long CLinux_group_count(void);
/// prlimit(2) of the calling process, set only.
long CLinux_setrlimit(int resource, uint64_t soft, uint64_t hard);
/// prlimit(2) of the calling process, get only.
long CLinux_getrlimit(int resource, uint64_t *soft, uint64_t *hard);
/// personality(2).
long CLinux_personality(unsigned long persona);
/// KEYCTL_JOIN_SESSION_KEYRING of keyctl(2): a new anonymous session keyring.
long CLinux_new_session_keyring(void);
/// SECCOMP_SET_MODE_FILTER of seccomp(2); `count` instructions of 8 bytes.
long CLinux_load_filter(const void *instructions, unsigned short count);

/// landlock_restrict_self(2) with both scopes: this process and what it starts can from now on neither signal a
/// process outside nor connect to an abstract socket there. -EOPNOTSUPP before Linux 6.12.
long CLinux_limit_scope(void);
/// CLinux_load_filter with SECCOMP_FILTER_FLAG_NEW_LISTENER: returns the listener, which does not survive an exec.
long CLinux_load_listening_filter(const void *instructions, unsigned short count);
/// SECCOMP_IOCTL_NOTIF_ID_VALID of ioctl(2): fails with ENOENT for a listener that has no such call.
long CLinux_is_denial_pending(int listener, uint64_t id);
/// SECCOMP_IOCTL_NOTIF_RECV of ioctl(2), which is variadic; `call` gets struct seccomp_data as words.
long CLinux_receive_denial(int listener, CLinux_denial *denial, uint32_t call[16]);
/// SECCOMP_IOCTL_NOTIF_SEND of ioctl(2) with an error, EPERM for 0: there is no way to let a call through.
long CLinux_deny(int listener, uint64_t id, uint16_t error);
/// sethostname(2).
long CLinux_sethostname(const char *name, size_t size);
/// setdomainname(2).
long CLinux_setdomainname(const char *name, size_t size);
/// SIOCSIFFLAGS of ioctl(2) for the interface `lo`: up and running.
long CLinux_loopback_up(int socket);
/// rt_sigaction(2): the default action for one signal.
long CLinux_default_action(int signal);
/// rt_sigaction(2): one signal is ignored.
long CLinux_ignore_signal(int signal);
/// rt_sigprocmask(2): blocks one signal more.
long CLinux_block_signal(int signal);
/// signalfd(2) for one signal, close-on-exec and not blocking.
long CLinux_signalfd(int signal);
/// rt_sigprocmask(2): blocks nothing.
long CLinux_unblock_signals(void);

// Sockets.

/// socket(2).
long CLinux_socket(int domain, int type, int protocol);
/// socketpair(2).
long CLinux_socketpair(int domain, int type, int fds[2]);
/// sendmsg(2) of one buffer and `count` descriptors; what cmsg(3) does is macros.
long CLinux_send(int socket, const void *bytes, size_t size, const int *fds, size_t count, int flags);
/// recvmsg(2) of one buffer and at most `*count` descriptors, close-on-exec; `*flags` gets msg_flags.
long CLinux_receive(int socket, void *buffer, size_t size, int *fds, size_t *count, int *flags);
/// accept4(2) with SOCK_CLOEXEC and SOCK_NONBLOCK.
long CLinux_accept(int socket);
/// getsockopt(2): the user that connected, by SO_PEERCRED.
long CLinux_peer_user(int socket, uint32_t *user);
/// getsockopt(2): 1 if this is a Unix socket that listens, by SO_DOMAIN and SO_ACCEPTCONN; 0 if it is another.
long CLinux_socket_listens(int socket);
/// ppoll(2); a negative time waits for ever.
long CLinux_poll(CLinux_pollfd *fds, size_t count, int64_t milliseconds);
/// clock_gettime(2) of CLOCK_MONOTONIC, in milliseconds.
uint64_t CLinux_milliseconds(void);
/// memfd_create(2) with MFD_CLOEXEC and MFD_ALLOW_SEALING.
long CLinux_memfd_create(const char *name);
/// F_ADD_SEALS of fcntl(2): shrink, grow, write and seal.
long CLinux_seal(int fd);
/// syncfs(2).
long CLinux_syncfs(int fd);
/// Zeroes memory that is not read again; the compiler may not leave it out.
void CLinux_wipe(void *bytes, size_t size);
