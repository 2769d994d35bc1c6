/* Handlers that come in the middle of a copy of views wait for its end, and a program cannot tell:
 * what they are told, which signals are blocked in them, what was installed, and by what means. */
#include "modelled.h"
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* the older functions are what is tested */

static const size_t size = 64 * PAGE;
static byte *source, *target, *handler_target;

static void receive(void) {
    source = heap_at(0, size);
    target = heap_at(0, size);
    feed(source, size);
    memcpy(target, source, size);
}

static void copy_many(int times) {
    for (int i = 0; i < times; i++)
        memcpy(target, source, size);
}

static uint64_t mask_now(void) {
    uint64_t mask = 0;
    need(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) == 0, "rt_sigprocmask");
    return mask;
}

/* ---- what was installed ---- */

static void simple_handler(int signal) {
    (void)signal;
}

static void telling_handler(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
}

struct raw_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static void show_action(const char *how, int number) {
    struct sigaction found;
    struct raw_action raw;
    need(sigaction(number, NULL, &found) == 0, "sigaction");
    need(syscall(SYS_rt_sigaction, number, NULL, &raw, 8) == 0, "rt_sigaction");
    say("%s: simple %d telling %d default %d flags %x/%lx mask %llx/%llx", how,
        found.sa_handler == simple_handler, found.sa_sigaction == telling_handler,
        found.sa_handler == SIG_DFL, (unsigned)found.sa_flags, raw.flags,
        (unsigned long long)*(uint64_t *)&found.sa_mask, (unsigned long long)raw.mask);
    need(raw.handler == found.sa_handler, "both tell the same");
}

static void install_in_every_way(void) {
    struct sigaction action = {.sa_sigaction = telling_handler, .sa_flags = SA_SIGINFO | SA_NODEFER}, old;
    sigfillset(&action.sa_mask);
    show_action("at first", SIGUSR1);
    need(sigaction(SIGUSR1, &action, &old) == 0, "sigaction");
    show_action("sigaction", SIGUSR1);
    say("signal gives telling: %d", (void *)signal(SIGUSR1, simple_handler) == (void *)telling_handler);
    show_action("signal", SIGUSR1);
    need(siginterrupt(SIGUSR1, 1) == 0, "siginterrupt");
    show_action("siginterrupt", SIGUSR1);
    need(signal(SIGUSR1, simple_handler) == simple_handler, "signal");
    show_action("signal after it", SIGUSR1);
    need(siginterrupt(SIGUSR1, 0) == 0, "siginterrupt");
    say("sysv_signal gives simple: %d", sysv_signal(SIGUSR1, simple_handler) == simple_handler);
    show_action("sysv_signal", SIGUSR1);
    say("sigset gives simple: %d", sigset(SIGUSR1, SIG_HOLD) == simple_handler);
    say("sigset gives hold: %d", sigset(SIGUSR1, simple_handler) == SIG_HOLD);
    show_action("sigset", SIGUSR1);
    say("refused: %d %d %d", signal(0, simple_handler) == SIG_ERR, signal(SIGKILL, simple_handler) == SIG_ERR,
        signal(65, simple_handler) == SIG_ERR);
    say("refused raw: %ld", syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8));
    show_action("refused", SIGUSR1);
    struct raw_action raw = {(void (*)(int))(void *)telling_handler, 0, NULL, 0}, before;
    need(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &raw, 8) == 0, "rt_sigaction");
    raw.handler = (void (*)(int))(void *)telling_handler;
    raw.mask = 6;
    need(syscall(SYS_rt_sigaction, SIGUSR1, &raw, &before, 8) == 0, "rt_sigaction");
    say("rt_sigaction gives simple: %d", before.handler == simple_handler);
    show_action("rt_sigaction", SIGUSR1);
    need(signal(SIGUSR1, SIG_DFL) == (void (*)(int))(void *)telling_handler, "signal");
    show_action("signal by default", SIGUSR1);
}

static void knows_its_handlers(void) {
    install_in_every_way();
    receive();
    copy_many(10);
    install_in_every_way();
    copy_many(10);
}

/* ---- what handlers are told ---- */

static atomic_bool over;
static atomic_int runs, errors;
static int next_value;
static pthread_t copying;
static uint64_t expected_mask;

static void counting_handler(int number, siginfo_t *info, void *context) {
    const volatile byte *seen = source;
    (void)context;
    if ((number != SIGRTMIN + 1 && number != SIGUSR1) || info->si_code != SI_QUEUE || info->si_pid != getpid() ||
        info->si_value.sival_int != next_value++)
        errors++;
    errors += seen[(size_t)next_value % size] == 0;
    runs++;
}

enum { VALUES = 4000 };

/* The signals of a real-time number queue; of another one at most is pending. */
static void *queue_values(void *argument) {
    int number = *(int *)argument;
    union sigval value = {0};
    for (; value.sival_int < VALUES; value.sival_int++) {
        while (pthread_sigqueue(copying, number, value) == EAGAIN)
            usleep(100);
        if (value.sival_int % 4 == 0)
            usleep(20);
        while (number == SIGUSR1 && runs == value.sival_int)
            sched_yield();
    }
    over = true;
    return argument;
}

static void *send_ones(void *argument) {
    int number = *(int *)argument, until = runs + 8000;
    while (runs < until) {
        pthread_kill(copying, number);
        usleep(10);
    }
    over = true;
    return NULL;
}

static void copy_under(void *(*sender)(void *), int number) {
    pthread_t thread;
    copying = pthread_self();
    receive();
    uint64_t before = mask_now();
    need(pthread_create(&thread, NULL, sender, &number) == 0, "pthread_create");
    for (int i = 0; !over; i++) {
        copy_many(1);
        if (i % 256 == 0) /* what a handler has touched is memory */
            feed(source, size);
    }
    pthread_join(thread, NULL);
    say("ran: %d, errors: %d, mask as before: %d", runs > 0, errors, mask_now() == before);
}

static void count_values(int number) {
    struct sigaction action = {.sa_sigaction = counting_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(number, &action, NULL);
    copy_under(queue_values, number);
    say("all came: %d", runs == VALUES);
}

static void carried_values(void) {
    count_values(SIGUSR1);
}

static void queued_values(void) {
    count_values(SIGRTMIN + 1);
}

static void masking_handler(int number, siginfo_t *info, void *context) {
    uint64_t interrupted = *(uint64_t *)&((ucontext_t *)context)->uc_sigmask;
    errors += info->si_code != SI_TKILL;
    errors += mask_now() != (interrupted | expected_mask);
    (void)number;
    runs++;
}

static void blocked_in_handlers(void) {
    struct sigaction action = {.sa_sigaction = masking_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &action, NULL);
    expected_mask = 1 << (SIGUSR1 - 1) | 1 << (SIGHUP - 1);
    copy_under(send_ones, SIGUSR1);
    over = false;
    action.sa_flags |= SA_NODEFER;
    sigaction(SIGUSR1, &action, NULL);
    expected_mask = 1 << (SIGHUP - 1);
    copy_under(send_ones, SIGUSR1);
}

static uint64_t seen_mask;

static void noting_handler(int number) {
    (void)number;
    seen_mask = mask_now();
}

/* In a handler that ends sigsuspend(2) its mask holds, not the thread's. */
static void suspended(void) {
    struct sigaction action = {.sa_handler = noting_handler};
    sigset_t blocked, none;
    sigaction(SIGUSR1, &action, NULL);
    receive();
    copy_many(20);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    for (int i = 0; i < 2; i++) {
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        raise(SIGUSR1);
        sigsuspend(&none);
        say("in the handler %llx, after it %llx", (unsigned long long)seen_mask, (unsigned long long)mask_now());
        action.sa_flags = SA_NODEFER;
        sigaction(SIGUSR1, &action, NULL);
    }
}

/* Handlers come one on top of the other, and each of them once. */
static void *send_many(void *argument) {
    const int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGALRM, SIGPROF, SIGURG, SIGIO};
    while (!over) {
        for (size_t i = 0; i < LENGTH_OF(numbers); i++)
            pthread_kill(copying, numbers[i]);
        usleep(20);
    }
    return argument;
}

static void *send_until_many_ran(void *argument) {
    pthread_t helpers[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&helpers[i], NULL, send_many, NULL);
    while (runs < 4000)
        usleep(1000);
    over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(helpers[i], NULL);
    return argument;
}

static void touching_and_copying(int number) {
    static _Thread_local volatile int inside;
    const volatile byte *seen = source;
    (void)number;
    errors += seen[(size_t)(runs * 37) % size] == 0;
    if (inside++ == 0)
        memcpy(handler_target, source, size);
    inside--;
    runs++;
}

static void many_at_once(void) {
    const int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGALRM, SIGPROF, SIGURG, SIGIO};
    handler_target = heap_at(0, size);
    for (size_t i = 0; i < LENGTH_OF(numbers); i++) {
        struct sigaction action = {.sa_handler = touching_and_copying,
                                   .sa_flags = SA_RESTART | (i % 2 ? SA_NODEFER : 0)};
        sigaction(numbers[i], &action, NULL);
    }
    copy_under(send_until_many_ran, 0);
}

/* The kernel forgets such a handler before it blocks the signal: one that comes in between is fatal. */
static void *send_when_handled(void *argument) {
    for (int sent = 0; sent < 8000; sent++) {
        pthread_kill(copying, *(int *)argument);
        while (runs == sent)
            sched_yield();
    }
    over = true;
    return argument;
}

/* System V's way: the handler is forgotten when it is called, and installs itself again. */
static void forgotten_handler(int number, siginfo_t *info, void *context) {
    struct sigaction found, again = {.sa_sigaction = forgotten_handler,
                                     .sa_flags = (int)(SA_SIGINFO | SA_RESTART | SA_RESETHAND)};
    (void)info, (void)context;
    sigaction(number, NULL, &found);
    errors += found.sa_handler != SIG_DFL;
    sigaction(number, &again, NULL);
    runs++;
}

static void forgotten_handlers(void) {
    struct sigaction first = {.sa_sigaction = forgotten_handler,
                              .sa_flags = (int)(SA_SIGINFO | SA_RESTART | SA_RESETHAND)};
    sigaction(SIGUSR1, &first, NULL);
    copy_under(send_when_handled, SIGUSR1);
}

/* ---- means that are not seen ---- */

static void touching_handler(int number) {
    const volatile byte *seen = source;
    (void)number;
    for (size_t i = 0; i < size; i += 8 * PAGE)
        errors += seen[i] == 0;
    runs++;
}

static long inline_syscall(long number, long a, long b, long c, long d) {
    long result;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
#else
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
                      x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    result = x0;
#endif
    return result;
}

static void counts_nothing(int number) {
    (void)number;
}

/* Whoever installs one so may do it again. */
static void installed_inline(void) {
    struct raw_action raw;
    signal(SIGUSR1, simple_handler); /* for its restorer */
    need(inline_syscall(SYS_rt_sigaction, SIGUSR1, 0, (long)&raw, 8) == 0, "rt_sigaction");
    raw.handler = counts_nothing;
    need(inline_syscall(SYS_rt_sigaction, SIGUSR1, (long)&raw, 0, 8) == 0, "rt_sigaction");
    receive();
    copy_many(100);
    raw.handler = touching_handler;
    need(inline_syscall(SYS_rt_sigaction, SIGUSR1, (long)&raw, 0, 8) == 0, "rt_sigaction");
    copy_under(send_ones, SIGUSR1);
    show_action("after all", SIGUSR2);
}

static void left_by_children(void) {
    signal(SIGUSR1, touching_handler);
    receive();
    copy_many(100);
    pid_t child = vfork();
    if (child == 0) {
        signal(SIGUSR1, SIG_DFL);
        _exit(signal(SIGUSR1, simple_handler) == SIG_DFL ? 7 : 8);
    }
    int status;
    waitpid(child, &status, 0);
    say("child of vfork: %d", WEXITSTATUS(status));
    child = fork();
    if (child == 0) {
        bool kept = signal(SIGUSR1, simple_handler) == touching_handler;
        receive();
        copy_many(50);
        raise(SIGUSR1);
        _exit(kept && signal(SIGUSR1, SIG_IGN) == simple_handler ? 7 : 8);
    }
    waitpid(child, &status, 0);
    say("child of fork: %d", WEXITSTATUS(status));
    copy_under(send_ones, SIGUSR1);
    say("handler: %d", signal(SIGUSR1, SIG_DFL) == touching_handler);
}

/* ---- what a copy and a message cost ---- */

static void pass_messages_on(int times) {
    for (int i = 0; i < times; i++) {
        feed(source, size);
        copy_many(1);
        sink_hash(target, size);
    }
}

static void be_traced(void (*work)(int)) {
    receive();
    work(100);
    need(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0, "ptrace");
    raise(SIGSTOP);
    syscall(SYS_getppid);
    work(100);
    syscall(SYS_getppid);
    _exit(0);
}

/* Counts system calls of a child between two marks. */
static void trace(void (*work)(int)) {
    pid_t child = fork();
    if (child == 0)
        be_traced(work);
    int status, masks = 0, vectors = 0, marks = 0;
    need(waitpid(child, &status, 0) == child && WIFSTOPPED(status), "waitpid");
    need(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0, "ptrace");
    while (ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child &&
           WIFSTOPPED(status)) {
        struct __ptrace_syscall_info info;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
            ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        marks += info.entry.nr == SYS_getppid;
        masks += marks == 1 && info.entry.nr == SYS_rt_sigprocmask;
        vectors += marks == 1 && (info.entry.nr == SYS_recvmsg || info.entry.nr == SYS_sendmsg);
    }
    say("marks: %d, changes of the mask: %d, calls with vectors: %d", marks, masks, vectors);
}

static void copies_traced(void) {
    trace(copy_many);
}

static void messages_traced(void) {
    trace(pass_messages_on);
}

static const struct sub_case cases[] = {
    {"knows-its-handlers", knows_its_handlers}, {"carried-values", carried_values},
    {"queued-values", queued_values},
    {"blocked-in-handlers", blocked_in_handlers}, {"forgotten-handlers", forgotten_handlers},
    {"installed-inline", installed_inline},     {"left-by-children", left_by_children},
    {"suspended", suspended},
    {"many-at-once", many_at_once},
    {"copies-traced", copies_traced},
    {"messages-traced", messages_traced},
};

VICTIM_MAIN(cases)
