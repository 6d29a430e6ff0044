#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

// libseccomp exports to a descriptor only, and Swift's Glibc module does not show this call.
static inline int CSeccomp_memfd_create(const char *name, unsigned int flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}
