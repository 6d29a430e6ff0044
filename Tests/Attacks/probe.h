// What every probe is written with.
//
// A probe tries one thing that a builder must not be able to do and says what came of it. The same program runs in a
// build, where it must say HELD, and outside of one, where it must say ESCAPED: a probe that cannot escape shows nothing.
//
//   probe list          prints "ID RULE CONTROL" of each probe
//   probe [ID...]       runs all, or these, and prints "RESULT ID HELD|ESCAPED|SKIP WHAT" for each
//
// CONTROL says where the probe escapes outside: as `root` in namespaces of its own, as an ordinary `user`, as root on
// the `host` itself, at a `terminal`, or with a `descriptor` too many.
#ifndef PROBE_H
#define PROBE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum { HELD = 0, ESCAPED = 1, SKIP = 2 } verdict;

struct probe {
    const char *id, *rule, *control;
    verdict (*run)(void);
};

#define PROBE(function, id, rule, control)                                                         \
    static verdict try_##function(void);                                                           \
    static const struct probe probe_##function = {id, rule, control, try_##function};              \
    static const struct probe *const entry_##function                                              \
        __attribute__((section("probes"), used)) = &probe_##function;                              \
    static verdict try_##function(void)

extern const struct probe *const __start_probes[], *const __stop_probes[];

// What a probe says of itself, read by its parent.
static char *probe_note;
enum { probe_note_size = 256 };

static inline verdict say(verdict verdict, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(probe_note, probe_note_size, format, list);
    va_end(list);
    return verdict;
}

// Raw calls: the C library would fall back to others. The result is -errno, as the kernel gives it.
static inline long call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

// The same through the 32-bit interface, which 64-bit processes reach too. Pointers must lie below 4 GiB.
static inline long call32(long number, long a, long b, long c, long d, long e) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"((int)number), "b"((int)a), "c"((int)b), "d"((int)c), "S"((int)d), "D"((int)e)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

#define CALL(number, ...) CALL_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...)                                                       \
    call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL32(number, ...) CALL32_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL32_(number, a, b, c, d, e, ...)                                                        \
    call32(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

// A call that the filter must answer itself: any other answer came from the kernel behind it.
static inline verdict filtered(const char *what, long result) {
    // ENOTTY is how an ioctl says that it does not exist; the probes' descriptor would be told EBADF first.
    if (result == -EPERM || result == -ENOSYS || result == -ENOTTY) return say(HELD, "%s: %s", what, strerror((int)-result));
    if (result < 0) return say(ESCAPED, "%s reached the kernel: %s", what, strerror((int)-result));
    return say(ESCAPED, "%s returned %ld", what, result);
}

// A call that must fail, whoever refuses it.
static inline verdict refused(const char *what, long result) {
    if (result < 0 && result > -4096) return say(HELD, "%s: %s", what, strerror((int)-result));
    return say(ESCAPED, "%s returned %ld", what, result);
}

static inline verdict writable(const char *path) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return say(HELD, "%s: %s", path, strerror(errno));
    close(file);
    return say(ESCAPED, "%s can be written", path);
}

static inline verdict readable(const char *path) {
    char bytes[8];  // some files give whole words only
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return say(HELD, "%s: %s", path, strerror(errno));
    long count = read(file, bytes, sizeof bytes);
    int code = errno;
    close(file);
    if (count > 0) return say(ESCAPED, "%s can be read", path);
    return say(HELD, "%s: %s", path, count == 0 ? "empty" : strerror(code));
}

static inline void probe_run(const struct probe *probe) {
    static const char *const words[] = {"HELD", "ESCAPED", "SKIP"};
    probe_note[0] = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit((int)probe->run());
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) <= SKIP)
        printf("RESULT %s %s %s\n", probe->id, words[WEXITSTATUS(status)], probe_note);
    else
        printf("RESULT %s BROKEN status %d %s\n", probe->id, status, probe_note);
    fflush(stdout);
}

int main(int argc, char **argv) {
    probe_note = mmap(NULL, probe_note_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (probe_note == MAP_FAILED) return 125;
    int isList = argc > 1 && strcmp(argv[1], "list") == 0;
    for (const struct probe *const *probe = __start_probes; probe < __stop_probes; probe++) {
        int isAsked = argc == 1;
        for (int i = 1; i < argc; i++) isAsked |= strcmp(argv[i], (*probe)->id) == 0;
        if (isList)
            printf("%s %s %s\n", (*probe)->id, (*probe)->rule, (*probe)->control);
        else if (isAsked)
            probe_run(*probe);
    }
    return 0;
}
#endif
