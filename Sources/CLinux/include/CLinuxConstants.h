// Numbers that the kernel's headers define as macros, which differ between architectures.
// All are 64 bits wide, so that Swift sees one type.
#pragma once

#include <stdint.h>

/// AT_EMPTY_PATH
extern const int64_t CLinux_AT_EMPTY_PATH;
/// AT_FDCWD
extern const int64_t CLinux_AT_FDCWD;
/// AT_RECURSIVE
extern const int64_t CLinux_AT_RECURSIVE;
/// AT_REMOVEDIR
extern const int64_t CLinux_AT_REMOVEDIR;
/// AT_SYMLINK_NOFOLLOW
extern const int64_t CLinux_AT_SYMLINK_NOFOLLOW;
/// O_CLOEXEC
extern const int64_t CLinux_O_CLOEXEC;
/// O_CREAT
extern const int64_t CLinux_O_CREAT;
/// O_DIRECTORY
extern const int64_t CLinux_O_DIRECTORY;
/// O_EXCL
extern const int64_t CLinux_O_EXCL;
/// O_NOCTTY
extern const int64_t CLinux_O_NOCTTY;
/// O_NOFOLLOW
extern const int64_t CLinux_O_NOFOLLOW;
/// O_NONBLOCK
extern const int64_t CLinux_O_NONBLOCK;
/// O_PATH
extern const int64_t CLinux_O_PATH;
/// O_RDONLY
extern const int64_t CLinux_O_RDONLY;
/// O_RDWR
extern const int64_t CLinux_O_RDWR;
/// O_WRONLY
extern const int64_t CLinux_O_WRONLY;
/// EAGAIN
extern const int64_t CLinux_EAGAIN;
/// EBUSY
extern const int64_t CLinux_EBUSY;
/// EBADF
extern const int64_t CLinux_EBADF;
/// EEXIST
extern const int64_t CLinux_EEXIST;
/// EINTR
extern const int64_t CLinux_EINTR;
/// EINVAL
extern const int64_t CLinux_EINVAL;
/// EMSGSIZE
extern const int64_t CLinux_EMSGSIZE;
/// ENOENT
extern const int64_t CLinux_ENOENT;
/// ENOSYS
extern const int64_t CLinux_ENOSYS;
/// EOPNOTSUPP
extern const int64_t CLinux_EOPNOTSUPP;
/// EPERM
extern const int64_t CLinux_EPERM;
/// ESRCH
extern const int64_t CLinux_ESRCH;
/// EXDEV
extern const int64_t CLinux_EXDEV;
/// CLONE_FILES
extern const int64_t CLinux_CLONE_FILES;
/// CLONE_INTO_CGROUP
extern const int64_t CLinux_CLONE_INTO_CGROUP;
/// CLONE_NEWCGROUP
extern const int64_t CLinux_CLONE_NEWCGROUP;
/// CLONE_NEWIPC
extern const int64_t CLinux_CLONE_NEWIPC;
/// CLONE_NEWNET
extern const int64_t CLinux_CLONE_NEWNET;
/// CLONE_NEWNS
extern const int64_t CLinux_CLONE_NEWNS;
/// CLONE_NEWPID
extern const int64_t CLinux_CLONE_NEWPID;
/// CLONE_NEWUSER
extern const int64_t CLinux_CLONE_NEWUSER;
/// CLONE_NEWUTS
extern const int64_t CLinux_CLONE_NEWUTS;
/// CLONE_PIDFD
extern const int64_t CLinux_CLONE_PIDFD;
/// CLONE_VFORK
extern const int64_t CLinux_CLONE_VFORK;
/// MNT_DETACH
extern const int64_t CLinux_MNT_DETACH;
/// MS_PRIVATE
extern const int64_t CLinux_MS_PRIVATE;
/// MS_REC
extern const int64_t CLinux_MS_REC;
/// MOUNT_ATTR_NODEV
extern const int64_t CLinux_MOUNT_ATTR_NODEV;
/// MOUNT_ATTR_NOEXEC
extern const int64_t CLinux_MOUNT_ATTR_NOEXEC;
/// MOUNT_ATTR_NOSUID
extern const int64_t CLinux_MOUNT_ATTR_NOSUID;
/// MOUNT_ATTR_RDONLY
extern const int64_t CLinux_MOUNT_ATTR_RDONLY;
/// FSMOUNT_CLOEXEC
extern const int64_t CLinux_FSMOUNT_CLOEXEC;
/// FSOPEN_CLOEXEC
extern const int64_t CLinux_FSOPEN_CLOEXEC;
/// MOVE_MOUNT_F_EMPTY_PATH
extern const int64_t CLinux_MOVE_MOUNT_F_EMPTY_PATH;
/// MOVE_MOUNT_T_EMPTY_PATH
extern const int64_t CLinux_MOVE_MOUNT_T_EMPTY_PATH;
/// OPEN_TREE_CLOEXEC
extern const int64_t CLinux_OPEN_TREE_CLOEXEC;
/// OPEN_TREE_CLONE
extern const int64_t CLinux_OPEN_TREE_CLONE;
/// RENAME_NOREPLACE
extern const int64_t CLinux_RENAME_NOREPLACE;
/// RESOLVE_BENEATH
extern const int64_t CLinux_RESOLVE_BENEATH;
/// RESOLVE_NO_MAGICLINKS
extern const int64_t CLinux_RESOLVE_NO_MAGICLINKS;
/// RESOLVE_NO_SYMLINKS
extern const int64_t CLinux_RESOLVE_NO_SYMLINKS;
/// RESOLVE_NO_XDEV
extern const int64_t CLinux_RESOLVE_NO_XDEV;
/// LOCK_EX
extern const int64_t CLinux_LOCK_EX;
/// LOCK_NB
extern const int64_t CLinux_LOCK_NB;
/// S_IFMT
extern const int64_t CLinux_S_IFMT;
/// S_IFREG
extern const int64_t CLinux_S_IFREG;
/// S_IFDIR
extern const int64_t CLinux_S_IFDIR;
/// S_IFLNK
extern const int64_t CLinux_S_IFLNK;
/// S_IFCHR
extern const int64_t CLinux_S_IFCHR;
/// POLLIN
extern const int64_t CLinux_POLLIN;
/// POLLOUT
extern const int64_t CLinux_POLLOUT;
/// POLLPRI
extern const int64_t CLinux_POLLPRI;
/// POLLHUP
extern const int64_t CLinux_POLLHUP;
/// P_ALL
extern const int64_t CLinux_P_ALL;
/// P_PIDFD
extern const int64_t CLinux_P_PIDFD;
/// WEXITED
extern const int64_t CLinux_WEXITED;
/// WNOHANG
extern const int64_t CLinux_WNOHANG;
/// CLD_EXITED
extern const int64_t CLinux_CLD_EXITED;
/// SIGCHLD
extern const int64_t CLinux_SIGCHLD;
/// SIGKILL
extern const int64_t CLinux_SIGKILL;
/// SIGPIPE
extern const int64_t CLinux_SIGPIPE;
/// AF_UNIX
extern const int64_t CLinux_AF_UNIX;
/// AF_INET
extern const int64_t CLinux_AF_INET;
/// SOCK_DGRAM
extern const int64_t CLinux_SOCK_DGRAM;
/// SOCK_SEQPACKET
extern const int64_t CLinux_SOCK_SEQPACKET;
/// SOCK_CLOEXEC
extern const int64_t CLinux_SOCK_CLOEXEC;
/// MSG_DONTWAIT
extern const int64_t CLinux_MSG_DONTWAIT;
/// MSG_TRUNC
extern const int64_t CLinux_MSG_TRUNC;
/// MSG_CTRUNC
extern const int64_t CLinux_MSG_CTRUNC;
/// F_SEAL_GROW
extern const int64_t CLinux_F_SEAL_GROW;
/// F_SEAL_SEAL
extern const int64_t CLinux_F_SEAL_SEAL;
/// F_SEAL_SHRINK
extern const int64_t CLinux_F_SEAL_SHRINK;
/// F_SEAL_WRITE
extern const int64_t CLinux_F_SEAL_WRITE;
/// FD_CLOEXEC
extern const int64_t CLinux_FD_CLOEXEC;
/// PR_CAPBSET_DROP
extern const int64_t CLinux_PR_CAPBSET_DROP;
/// PR_CAPBSET_READ
extern const int64_t CLinux_PR_CAPBSET_READ;
/// PR_CAP_AMBIENT
extern const int64_t CLinux_PR_CAP_AMBIENT;
/// PR_CAP_AMBIENT_CLEAR_ALL
extern const int64_t CLinux_PR_CAP_AMBIENT_CLEAR_ALL;
/// PR_GET_DUMPABLE
extern const int64_t CLinux_PR_GET_DUMPABLE;
/// PR_GET_NO_NEW_PRIVS
extern const int64_t CLinux_PR_GET_NO_NEW_PRIVS;
/// PR_GET_PDEATHSIG
extern const int64_t CLinux_PR_GET_PDEATHSIG;
/// PR_GET_SECUREBITS
extern const int64_t CLinux_PR_GET_SECUREBITS;
/// PR_SET_DUMPABLE
extern const int64_t CLinux_PR_SET_DUMPABLE;
/// PR_SET_NAME
extern const int64_t CLinux_PR_SET_NAME;
/// PR_SET_NO_NEW_PRIVS
extern const int64_t CLinux_PR_SET_NO_NEW_PRIVS;
/// PR_SET_PDEATHSIG
extern const int64_t CLinux_PR_SET_PDEATHSIG;
/// PR_SET_SECUREBITS
extern const int64_t CLinux_PR_SET_SECUREBITS;
/// PROC_SUPER_MAGIC
extern const int64_t CLinux_PROC_SUPER_MAGIC;
/// DEVPTS_SUPER_MAGIC
extern const int64_t CLinux_DEVPTS_SUPER_MAGIC;
/// CGROUP2_SUPER_MAGIC
extern const int64_t CLinux_CGROUP2_SUPER_MAGIC;
