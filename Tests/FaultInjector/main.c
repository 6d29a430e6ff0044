// Runs a program and answers one system call of it, or of a process that it starts, instead of the kernel.
//
//   fault-injector list FILE PROGRAM [ARGUMENT...]                    writes "PROCESS CALL NUMBER" for each call
//   fault-injector PROCESS CALL ANSWER PROGRAM [ARGUMENT...]          the call is not made and returns ANSWER
//
// PROCESS counts processes in the order in which they begin, the program itself being 0; CALL counts the
// calls of that process from 0. ANSWER is -errno for a failure, or 0 for a kernel that lies. A process
// that executes another program is let go. Ends like the program; kills everything that it traces when it ends.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__x86_64__)
#error "the registers are those of x86_64"
#endif

enum { most_processes = 4096 };

struct process {
    pid_t id;
    long calls;
    int in_call, injected, begun;
};

static struct process processes[most_processes];
static int count;

static void fail(const char *what) {
    fprintf(stderr, "fault-injector: %s: %s\n", what, strerror(errno));
    exit(125);
}

// The newest process of this number: numbers are used again.
static struct process *find(pid_t id) {
    for (int i = count - 1; i >= 0; i--)
        if (processes[i].id == id) return &processes[i];
    if (count == most_processes) {
        errno = EOVERFLOW;
        fail("processes");
    }
    processes[count] = (struct process){.id = id};
    return &processes[count++];
}

static long number(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || *end != 0 || end == text) fail(text);
    return value;
}

int main(int argc, char **argv) {
    FILE *list = NULL;
    long target = -1, call = -1, answer = 0;
    char **program;
    if (argc >= 4 && strcmp(argv[1], "list") == 0) {
        list = fopen(argv[2], "we");
        if (list == NULL) fail(argv[2]);
        program = argv + 3;
    } else if (argc >= 5) {
        target = number(argv[1]);
        call = number(argv[2]);
        answer = number(argv[3]);
        program = argv + 4;
    } else {
        fprintf(stderr, "usage: see the head of the source\n");
        return 2;
    }

    pid_t first = fork();
    if (first < 0) fail("fork");
    if (first == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) fail("traceme");
        raise(SIGSTOP);
        execv(program[0], program);
        fail(program[0]);
    }
    int status;
    if (waitpid(first, &status, 0) != first || !WIFSTOPPED(status)) fail("waitpid");
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK
                   | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, first, NULL, options) != 0) fail("options");
    find(first)->begun = 1;
    if (ptrace(PTRACE_SYSCALL, first, NULL, NULL) != 0) fail("continue");

    int executed = 0, end = 125;
    for (;;) {
        pid_t id = waitpid(-1, &status, __WALL);
        if (id < 0 && errno == EINTR) continue;
        if (id < 0) break;
        struct process *process = find(id);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            process->id = 0;
            if (id == first) end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16, deliver = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            if (ptrace(PTRACE_GETREGS, id, NULL, &registers) == 0) {
                if (!process->in_call && executed) {
                    if (list != NULL)
                        fprintf(list, "%d %ld %llu\n", (int)(process - processes), process->calls,
                                registers.orig_rax);
                    if (process - processes == target && process->calls == call) {
                        registers.orig_rax = (unsigned long long)-1;
                        ptrace(PTRACE_SETREGS, id, NULL, &registers);
                        process->injected = 1;
                    }
                    process->calls++;
                } else if (process->in_call && process->injected) {
                    registers.rax = (unsigned long long)answer;
                    ptrace(PTRACE_SETREGS, id, NULL, &registers);
                    process->injected = 0;
                }
            }
            process->in_call = !process->in_call;
        } else if (event == PTRACE_EVENT_EXEC) {
            if (id == first && !executed) {
                executed = 1;
            } else {
                ptrace(PTRACE_DETACH, id, NULL, NULL);
                process->id = 0;
                continue;
            }
        } else if (event == 0 && signal == SIGSTOP && !process->begun) {
            // How a new process reports itself to its tracer.
            process->begun = 1;
        } else if (event == 0) {
            deliver = signal;
        }
        // A process that was killed meanwhile tells so at the next wait.
        ptrace(PTRACE_SYSCALL, id, NULL, (long)deliver);
    }
    if (list != NULL && fclose(list) != 0) fail("the list");
    return end;
}
