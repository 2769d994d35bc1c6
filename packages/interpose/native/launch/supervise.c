/* The parent of a program whose counters are wanted at its end. It stays in the program's process
 * group, so that the terminal, job control and `kill -- -PGID` reach the program as they would
 * without it; what is sent to it alone, it hands on. */
#include "plan.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct supervisor {
    pid_t child;
    sigset_t handled, inherited_mask;
    struct sigaction inherited_sigchld;
};

/* Everything but what the kernel raises for an error of our own. */
static void block_signals(struct supervisor *supervisor) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(&supervisor->handled);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&supervisor->handled, own[i]);
    sigprocmask(SIG_BLOCK, &supervisor->handled, &supervisor->inherited_mask);
    /* A parent that ignores SIGCHLD never learns how its child ended. */
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &by_default, &supervisor->inherited_sigchld);
}

static pid_t start(const struct supervisor *supervisor, const struct launch_plan *plan) {
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGCHLD, &supervisor->inherited_sigchld, NULL);
        sigprocmask(SIG_SETMASK, &supervisor->inherited_mask, NULL);
        _exit(run_program(plan));
    }
    return child;
}

/* The terminal signals the whole foreground group, the program with it; only a hangup goes to the
 * session leader alone. */
static int program_has_it_too(const siginfo_t *info) {
    if (info->si_code != SI_KERNEL)
        return 0;
    switch (info->si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
        return 1;
    case SIGHUP:
    case SIGCONT:
        return getsid(0) != getpid();
    default:
        return 0;
    }
}

static void hand_on(const struct supervisor *supervisor, const siginfo_t *info) {
    if (program_has_it_too(info))
        return;
    if (info->si_code == SI_QUEUE)
        sigqueue(supervisor->child, info->si_signo, info->si_value);
    else
        kill(supervisor->child, info->si_signo);
}

/* The shell that started us must see a job that the user stopped. SIGSTOP is not followed: who
 * sent it to the program will continue the program, not us. */
static void stop_likewise(int signal) {
    if (signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU)
        return;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stop, until SIGCONT */
    sigprocmask(SIG_BLOCK, &one, NULL);
}

static int wait_for_end(const struct supervisor *supervisor) {
    for (;;) {
        siginfo_t info;
        int status;
        if (sigwaitinfo(&supervisor->handled, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            hand_on(supervisor, &info);
            continue;
        }
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
            if (pid != supervisor->child) /* inherited from whatever was this process before */
                continue;
            if (!WIFSTOPPED(status))
                return status;
            stop_likewise(WSTOPSIG(status));
        }
    }
}

/* Signals stay blocked meanwhile: the record is worth the moment it takes. */
static void run_afterwards(const struct launch_plan *plan, pid_t child, int status) {
    char pid_text[16], value_text[16];
    snprintf(pid_text, sizeof pid_text, "%d", (int)child);
    snprintf(value_text, sizeof value_text, "%d",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    size_t count = 0;
    while (plan->afterwards[count])
        count++;
    if (count == 0)
        return;
    plan->afterwards[count] = pid_text;
    plan->afterwards[count + 1] = WIFSIGNALED(status) ? "killed" : "exited";
    plan->afterwards[count + 2] = value_text;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(plan->afterwards[0], plan->afterwards);
        dprintf(STDERR_FILENO, "zio: cannot run %s: %s\n", plan->afterwards[0], strerror(errno));
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static _Noreturn void end_as(int status) {
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    /* One core dump, the program's, is enough. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int signal = WTERMSIG(status);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    _exit(128 + signal);
}

_Noreturn void supervise_program(const struct launch_plan *plan) {
    struct supervisor supervisor;
    block_signals(&supervisor);
    supervisor.child = start(&supervisor, plan);
    if (supervisor.child < 0) {
        dprintf(STDERR_FILENO, "zio: cannot start %s: %s\n", plan->path, strerror(errno));
        _exit(126);
    }
    int status = wait_for_end(&supervisor);
    run_afterwards(plan, supervisor.child, status);
    end_as(status);
}
