// Processes with a build user's id that no sandbox holds; root starts them.
//
//   stranger ids REAL EFFECTIVE SAVED FS   has these user ids, and waits
//   stranger group GID                     has this group, and waits
//   stranger comet UID                     forks and ends for ever: its number is another one all the time
//   stranger siege UID                     64 processes stop and kill everybody whom they may
//   stranger zombie UID                    a process of the user that ended and is never reaped
//   stranger undead UID                    a process of the user that is being traced, and cannot end
//   stranger kill UID                      kills what is left of the others
//
// Each but the last says "ready" and the number of its process when it is what it is to be. Whoever holds its
// output sees by the output's end that every process is over: none of them executes anything.
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void demand(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "stranger: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static unsigned number(const char *text) { return (unsigned)strtoul(text, NULL, 10); }

static void become(unsigned user) {
    demand(setgroups(0, NULL) == 0, "setgroups");
    demand(setresuid(user, user, user) == 0, "setresuid");
}

static void ready(pid_t process) {
    char line[32];
    const int length = snprintf(line, sizeof line, "ready %d\n", (int)process);
    demand(write(1, line, (size_t)length) == length, "write");
}

static void wait_for_ever(void) {
    for (;;) pause();
}

// Every process uses the memory of the one before it, so that none is there for long; a stack is free again
// when its turn comes.
static int hop(void *turn) {
    static char stacks[64][4096] __attribute__((aligned(16)));
    const unsigned next = (*(unsigned *)turn)++ % 64;
    while (clone(hop, stacks[next] + sizeof stacks[next], CLONE_VM | SIGCHLD, turn) < 0) {}
    syscall(SYS_exit_group, 0);
    return 0;
}

static void comet(unsigned user) {
    static unsigned turn;
    become(user);
    ready(getpid());
    hop(&turn);
}

static void siege(unsigned user) {
    become(user);
    ready(getpid());
    for (;;) {
        // Whoever killed the others makes new ones.
        for (int i = 1; i < 64; i++)
            if (fork() == 0) break;
        for (int i = 0; i < 1000; i++) kill(-1, SIGSTOP);
        kill(-1, SIGKILL);
    }
}

static void zombie(unsigned user) {
    const pid_t child = fork();
    if (child == 0) {
        become(user);
        _exit(0);
    }
    siginfo_t end;
    demand(waitid(P_PID, (id_t)child, &end, WEXITED | WNOWAIT) == 0, "waitid");
    ready(child);
    wait_for_ever();
}

// A process that is killed stops once more when its tracer asked for that, and goes on when the tracer says so.
static void undead(unsigned user) {
    int go[2];
    demand(pipe(go) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        become(user);
        demand(read(go[0], &byte, 1) == 1, "read");
        ready(getpid());
        wait_for_ever();
    }
    demand(ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) == 0, "seize");
    demand(write(go[1], "", 1) == 1, "write");
    // The output is the child's alone.
    close(1);
    wait_for_ever();
}

int main(int count, char **words) {
    if (count < 3) return 2;
    const char *what = words[1];
    const unsigned id = number(words[2]);
    if (strcmp(what, "kill") == 0) {
        become(id);
        kill(-1, SIGKILL);
        return 0;
    }
    // The group is told from those of the tests.
    setpgid(0, 0);
    if (strcmp(what, "comet") == 0) comet(id);
    if (strcmp(what, "siege") == 0) siege(id);
    if (strcmp(what, "zombie") == 0) zombie(id);
    if (strcmp(what, "undead") == 0) undead(id);
    if (strcmp(what, "group") == 0) {
        demand(setresgid(id, id, id) == 0, "setresgid");
        ready(getpid());
        wait_for_ever();
    }
    if (strcmp(what, "ids") == 0 && count == 6) {
        const unsigned file_system = number(words[5]);
        demand(setresuid(id, number(words[3]), number(words[4])) == 0, "setresuid");
        setfsuid(file_system);
        demand((unsigned)setfsuid(-1u) == file_system, "setfsuid");
        ready(getpid());
        wait_for_ever();
    }
    return 2;
}
