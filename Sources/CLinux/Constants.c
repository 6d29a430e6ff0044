#define _GNU_SOURCE
#include "CLinuxConstants.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
// <sys/mount.h> has it, and cannot be included together with <linux/mount.h>.
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

const int64_t CLinux_AT_EMPTY_PATH = AT_EMPTY_PATH;
const int64_t CLinux_AT_FDCWD = AT_FDCWD;
const int64_t CLinux_AT_RECURSIVE = AT_RECURSIVE;
const int64_t CLinux_AT_REMOVEDIR = AT_REMOVEDIR;
const int64_t CLinux_AT_SYMLINK_NOFOLLOW = AT_SYMLINK_NOFOLLOW;
const int64_t CLinux_O_CLOEXEC = O_CLOEXEC;
const int64_t CLinux_O_CREAT = O_CREAT;
const int64_t CLinux_O_DIRECTORY = O_DIRECTORY;
const int64_t CLinux_O_EXCL = O_EXCL;
const int64_t CLinux_O_NOCTTY = O_NOCTTY;
const int64_t CLinux_O_NOFOLLOW = O_NOFOLLOW;
const int64_t CLinux_O_NONBLOCK = O_NONBLOCK;
const int64_t CLinux_O_PATH = O_PATH;
const int64_t CLinux_O_RDONLY = O_RDONLY;
const int64_t CLinux_O_RDWR = O_RDWR;
const int64_t CLinux_O_WRONLY = O_WRONLY;
const int64_t CLinux_EAGAIN = EAGAIN;
const int64_t CLinux_EBUSY = EBUSY;
const int64_t CLinux_EBADF = EBADF;
const int64_t CLinux_EEXIST = EEXIST;
const int64_t CLinux_EINTR = EINTR;
const int64_t CLinux_EINVAL = EINVAL;
const int64_t CLinux_EMSGSIZE = EMSGSIZE;
const int64_t CLinux_ENOENT = ENOENT;
const int64_t CLinux_ENOSYS = ENOSYS;
const int64_t CLinux_EOPNOTSUPP = EOPNOTSUPP;
const int64_t CLinux_EPERM = EPERM;
const int64_t CLinux_ESRCH = ESRCH;
const int64_t CLinux_EXDEV = EXDEV;
const int64_t CLinux_CLONE_FILES = CLONE_FILES;
const int64_t CLinux_CLONE_INTO_CGROUP = CLONE_INTO_CGROUP;
const int64_t CLinux_CLONE_NEWCGROUP = CLONE_NEWCGROUP;
const int64_t CLinux_CLONE_NEWIPC = CLONE_NEWIPC;
const int64_t CLinux_CLONE_NEWNET = CLONE_NEWNET;
const int64_t CLinux_CLONE_NEWNS = CLONE_NEWNS;
const int64_t CLinux_CLONE_NEWPID = CLONE_NEWPID;
const int64_t CLinux_CLONE_NEWUSER = CLONE_NEWUSER;
const int64_t CLinux_CLONE_NEWUTS = CLONE_NEWUTS;
const int64_t CLinux_CLONE_PIDFD = CLONE_PIDFD;
const int64_t CLinux_CLONE_VFORK = CLONE_VFORK;
const int64_t CLinux_MNT_DETACH = MNT_DETACH;
const int64_t CLinux_MS_PRIVATE = MS_PRIVATE;
const int64_t CLinux_MS_REC = MS_REC;
const int64_t CLinux_MOUNT_ATTR_NODEV = MOUNT_ATTR_NODEV;
const int64_t CLinux_MOUNT_ATTR_NOEXEC = MOUNT_ATTR_NOEXEC;
const int64_t CLinux_MOUNT_ATTR_NOSUID = MOUNT_ATTR_NOSUID;
const int64_t CLinux_MOUNT_ATTR_RDONLY = MOUNT_ATTR_RDONLY;
const int64_t CLinux_FSMOUNT_CLOEXEC = FSMOUNT_CLOEXEC;
const int64_t CLinux_FSOPEN_CLOEXEC = FSOPEN_CLOEXEC;
const int64_t CLinux_MOVE_MOUNT_F_EMPTY_PATH = MOVE_MOUNT_F_EMPTY_PATH;
const int64_t CLinux_MOVE_MOUNT_T_EMPTY_PATH = MOVE_MOUNT_T_EMPTY_PATH;
const int64_t CLinux_OPEN_TREE_CLOEXEC = OPEN_TREE_CLOEXEC;
const int64_t CLinux_OPEN_TREE_CLONE = OPEN_TREE_CLONE;
const int64_t CLinux_RENAME_NOREPLACE = RENAME_NOREPLACE;
const int64_t CLinux_RESOLVE_BENEATH = RESOLVE_BENEATH;
const int64_t CLinux_RESOLVE_NO_MAGICLINKS = RESOLVE_NO_MAGICLINKS;
const int64_t CLinux_RESOLVE_NO_SYMLINKS = RESOLVE_NO_SYMLINKS;
const int64_t CLinux_RESOLVE_NO_XDEV = RESOLVE_NO_XDEV;
const int64_t CLinux_LOCK_EX = LOCK_EX;
const int64_t CLinux_LOCK_NB = LOCK_NB;
const int64_t CLinux_S_IFMT = S_IFMT;
const int64_t CLinux_S_IFREG = S_IFREG;
const int64_t CLinux_S_IFDIR = S_IFDIR;
const int64_t CLinux_S_IFLNK = S_IFLNK;
const int64_t CLinux_S_IFCHR = S_IFCHR;
const int64_t CLinux_POLLIN = POLLIN;
const int64_t CLinux_POLLOUT = POLLOUT;
const int64_t CLinux_POLLPRI = POLLPRI;
const int64_t CLinux_POLLHUP = POLLHUP;
const int64_t CLinux_P_ALL = P_ALL;
const int64_t CLinux_P_PIDFD = P_PIDFD;
const int64_t CLinux_WEXITED = WEXITED;
const int64_t CLinux_WNOHANG = WNOHANG;
const int64_t CLinux_CLD_EXITED = CLD_EXITED;
const int64_t CLinux_SIGCHLD = SIGCHLD;
const int64_t CLinux_SIGKILL = SIGKILL;
const int64_t CLinux_SIGPIPE = SIGPIPE;
const int64_t CLinux_AF_UNIX = AF_UNIX;
const int64_t CLinux_AF_INET = AF_INET;
const int64_t CLinux_SOCK_DGRAM = SOCK_DGRAM;
const int64_t CLinux_SOCK_SEQPACKET = SOCK_SEQPACKET;
const int64_t CLinux_SOCK_CLOEXEC = SOCK_CLOEXEC;
const int64_t CLinux_MSG_DONTWAIT = MSG_DONTWAIT;
const int64_t CLinux_MSG_TRUNC = MSG_TRUNC;
const int64_t CLinux_MSG_CTRUNC = MSG_CTRUNC;
const int64_t CLinux_F_SEAL_GROW = F_SEAL_GROW;
const int64_t CLinux_F_SEAL_SEAL = F_SEAL_SEAL;
const int64_t CLinux_F_SEAL_SHRINK = F_SEAL_SHRINK;
const int64_t CLinux_F_SEAL_WRITE = F_SEAL_WRITE;
const int64_t CLinux_FD_CLOEXEC = FD_CLOEXEC;
const int64_t CLinux_PR_CAPBSET_DROP = PR_CAPBSET_DROP;
const int64_t CLinux_PR_CAPBSET_READ = PR_CAPBSET_READ;
const int64_t CLinux_PR_CAP_AMBIENT = PR_CAP_AMBIENT;
const int64_t CLinux_PR_CAP_AMBIENT_CLEAR_ALL = PR_CAP_AMBIENT_CLEAR_ALL;
const int64_t CLinux_PR_GET_DUMPABLE = PR_GET_DUMPABLE;
const int64_t CLinux_PR_GET_NO_NEW_PRIVS = PR_GET_NO_NEW_PRIVS;
const int64_t CLinux_PR_GET_PDEATHSIG = PR_GET_PDEATHSIG;
const int64_t CLinux_PR_GET_SECUREBITS = PR_GET_SECUREBITS;
const int64_t CLinux_PR_SET_DUMPABLE = PR_SET_DUMPABLE;
const int64_t CLinux_PR_SET_NAME = PR_SET_NAME;
const int64_t CLinux_PR_SET_NO_NEW_PRIVS = PR_SET_NO_NEW_PRIVS;
const int64_t CLinux_PR_SET_PDEATHSIG = PR_SET_PDEATHSIG;
const int64_t CLinux_PR_SET_SECUREBITS = PR_SET_SECUREBITS;
const int64_t CLinux_PROC_SUPER_MAGIC = PROC_SUPER_MAGIC;
const int64_t CLinux_DEVPTS_SUPER_MAGIC = DEVPTS_SUPER_MAGIC;
const int64_t CLinux_CGROUP2_SUPER_MAGIC = CGROUP2_SUPER_MAGIC;
