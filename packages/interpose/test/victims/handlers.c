/* TRAP 12 and the memory part of CASE 18: signal handlers that copy and touch views while the
 * program they interrupt does the same, handlers that never return, and threads cancelled in the
 * middle of it. */
#include "modelled.h"
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/time.h>

static const size_t size = 32 * PAGE;

/* What the handlers work on: a source that nobody writes while signals may come, and memory of
 * their own. */
static byte *handler_source, *handler_target, *handler_model;
static volatile sig_atomic_t handler_errors, handler_runs;

static void check_some(const volatile byte *at, const byte *model, size_t n) {
    for (size_t i = 0; i < n; i += 1021)
        if (at[i] != model[i])
            handler_errors++;
}

static void copying_handler(int signal) {
    (void)signal;
    int kept = errno;
    memcpy(handler_target, handler_source, size);
    check_some(handler_target + 3 * PAGE, handler_model + 3 * PAGE, 2 * PAGE);
    memmove(handler_target + 4096, handler_target + 100, 20 * PAGE);
    check_some(handler_target + 4096 + 9 * PAGE, handler_model + 100 + 9 * PAGE, PAGE);
    memset(handler_target, 0, 17 * PAGE);
    handler_errors += handler_target[5 * PAGE] != 0;
    handler_runs++;
    errno = kept;
}

static void touching_handler(int signal) {
    (void)signal;
    check_some(handler_source, handler_model, size);
    check_some(handler_target, handler_model, size);
    handler_runs++;
}

static void receive_for_handler(void) {
    if (handler_source == NULL) {
        handler_source = heap_at(0, size);
        handler_target = heap_at(0, size);
        handler_model = map_private(size);
    }
    stream_fill(handler_model, size, feed(handler_source, size));
    memcpy(handler_target, handler_source, size);
}

static void block(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(how, &set, NULL);
}

static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    need(sigaction(signal, &action, NULL) == 0, "sigaction");
}

static void start_timer(long microseconds) {
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    need(setitimer(ITIMER_REAL, &timer, NULL) == 0, "setitimer");
}

/* The interrupted work; between rounds the handler gets fresh, untouched views. */
static void work(int rounds, int signal) {
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size),
                  c = memory_new(HEAP, 77, size);
    for (int i = 0; i < rounds; i++) {
        memory_feed(&a, 0, size);
        memory_copy_by(memcpy, &b, 0, &a, 0, size);
        memory_copy(&b, 9, &b, 4096, size - 4096);
        memory_copy_by(memcpy, &c, 3, &b, 0, size - 3);
        memory_store(&a, choose(size), (byte)i, 1);
        memory_set(&b, choose(size - 5 * PAGE), 0, 5 * PAGE);
        check_sent("c", &c);
        check("b", &b);
        byte *brief = malloc(size);
        memcpy(brief, a.at, size);
        free(brief);
        block(SIG_BLOCK, signal);
        receive_for_handler();
        block(SIG_UNBLOCK, signal);
    }
    check("a", &a);
    check("c", &c);
}

static void storm_by_timer(void (*handler)(int), int flags) {
    receive_for_handler();
    handle(SIGALRM, handler, SA_RESTART | flags);
    start_timer(150);
    work(60, SIGALRM);
    start_timer(0);
    say("handlers ran: %d, errors: %d", handler_runs > 0, handler_errors);
}

static void copying_in_handlers(void) {
    storm_by_timer(copying_handler, 0);
}

static void touching_in_handlers(void) {
    storm_by_timer(touching_handler, 0);
}

static void nested_handlers(void) {
    storm_by_timer(touching_handler, SA_NODEFER);
}

static atomic_bool storm_over;
static pthread_t storm_target;

static void *storm(void *unused) {
    while (!storm_over) {
        pthread_kill(storm_target, SIGUSR1);
        usleep(60);
    }
    return unused;
}

static void storm_by_thread(void) {
    receive_for_handler();
    handle(SIGUSR1, copying_handler, SA_RESTART);
    storm_target = pthread_self();
    pthread_t thread;
    need(pthread_create(&thread, NULL, storm, NULL) == 0, "pthread_create");
    work(40, SIGUSR1);
    storm_over = true;
    pthread_join(thread, NULL);
    say("handlers ran: %d, errors: %d", handler_runs > 0, handler_errors);
}

/* ---- handlers that leave by longjmp -----------------------------------------------------------
 */

static sigjmp_buf out;
static volatile sig_atomic_t may_jump, jumps;

static void jumping_handler(int signal) {
    (void)signal;
    if (may_jump) {
        jumps++;
        siglongjmp(out, 1);
    }
}

/* A copy, a set or a touch is left at any instruction; whatever it had done by then, it can be done
 * again. */
static void jumped_out(void) {
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size),
                  c = memory_new(HEAP, 0, size);
    handle(SIGALRM, jumping_handler, SA_RESTART);
    start_timer(120);
    for (int i = 0; i < 150; i++) {
        memory_feed(&a, 0, size);
        volatile unsigned repeats = 0;
        sigsetjmp(out, 1);
        may_jump = 1;
        while (repeats++ < 40) {
            memcpy(b.at, a.at, size);
            memmove(c.at + 10, b.at, size - 10);
            (void)*(volatile byte *)(c.at + choose(size));
            memset(b.at, 0, 20 * PAGE);
        }
        may_jump = 0;
        memory_copy(&b, 0, &a, 0, size);
        memory_copy(&c, 10, &b, 0, size - 10);
        if (i % 10 == 0)
            check_sent("c", &c);
        if (i % 10 == 5)
            check("b", &b);
        check_range("c", &c, 10, 2 * PAGE);
    }
    start_timer(0);
    say("jumped: %d", jumps > 0);
    check("a", &a);
    check("b", &b);
    check("c", &c);
}

/* The same out of heap calls that the handler may interrupt only where the program says so. */
static void jumped_out_of_receive(void) {
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    handle(SIGALRM, jumping_handler, 0);
    int silent[2];
    socket_pair(silent);
    for (int i = 0; i < 40; i++) {
        memory_feed(&a, 0, size);
        memory_copy(&b, 0, &a, 0, size);
        if (sigsetjmp(out, 1) == 0) {
            may_jump = 1;
            struct itimerval once = {{0, 0}, {0, 300 + i * 20}};
            setitimer(ITIMER_REAL, &once, NULL);
            ssize_t n =
                i % 2 ? recv(silent[0], a.at, size, MSG_WAITALL) : read(silent[0], a.at, size);
            say("received %zd", n);
        }
        may_jump = 0;
        check("a keeps its bytes", &a);
        check_sent("b", &b);
        memory_copy(&a, 100, &b, 0, size - 100);
    }
    say("jumped: %d", (int)jumps);
}

/* ---- cancellation -----------------------------------------------------------------------------
 */

struct cancelled {
    struct memory a, b;
    int silent, type;
};

static void *until_cancelled(void *argument) {
    struct cancelled *mine = argument;
    pthread_setcanceltype(mine->type, NULL);
    if (mine->silent >= 0)
        recv(mine->silent, mine->a.at, size, MSG_WAITALL);
    for (volatile bool forever = true; forever;) {
        memcpy(mine->b.at, mine->a.at, size);
        (void)*(volatile byte *)(mine->b.at + 5 * PAGE);
        memset(mine->b.at, 0, size);
        if (mine->type == PTHREAD_CANCEL_DEFERRED)
            pthread_testcancel();
    }
    return NULL;
}

static void cancel_threads(int type, bool in_receive) {
    int silent[2];
    socket_pair(silent);
    for (int i = 0; i < 40; i++) {
        struct cancelled shared = {memory_new(HEAP, 0, size), memory_new(HEAP, 0, size),
                                   in_receive ? silent[0] : -1, type};
        memory_feed(&shared.a, 0, size);
        pthread_t thread;
        void *result;
        need(pthread_create(&thread, NULL, until_cancelled, &shared) == 0, "pthread_create");
        usleep(300 + (useconds_t)i * 37);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        need(result == PTHREAD_CANCELED, "cancellation");
        memory_copy(&shared.b, 0, &shared.a, 0, size);
        check("a", &shared.a);
        memory_store(&shared.a, 0, 1, 20000);
        check_sent("b", &shared.b);
        check("b", &shared.b);
        memory_free(&shared.a, HEAP);
        memory_free(&shared.b, HEAP);
    }
}

static void cancelled_anywhere(void) {
    cancel_threads(PTHREAD_CANCEL_ASYNCHRONOUS, false);
}

static void cancelled_between(void) {
    cancel_threads(PTHREAD_CANCEL_DEFERRED, false);
}

static void cancelled_in_receive(void) {
    cancel_threads(PTHREAD_CANCEL_DEFERRED, true);
}

static void *exits_with_views(void *argument) {
    struct memory *a = argument;
    memory_feed(a, 0, size);
    struct memory own = memory_new(HEAP, 0, size);
    memory_copy(&own, 0, a, 0, size);
    memory_free(&own, HEAP);
    pthread_exit(NULL);
}

static void threads_that_exit(void) {
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        need(pthread_create(&thread, NULL, exits_with_views, &a) == 0, "pthread_create");
        pthread_join(thread, NULL);
        memory_copy(&b, 0, &a, 0, size);
        check_sent("b", &b);
    }
    check("a", &a);
}

static const struct sub_case cases[] = {
    {"copying-in-handlers", copying_in_handlers},
    {"touching-in-handlers", touching_in_handlers},
    {"nested-handlers", nested_handlers},
    {"storm-by-thread", storm_by_thread},
    {"jumped-out", jumped_out},
    {"jumped-out-of-receive", jumped_out_of_receive},
    {"cancelled-anywhere", cancelled_anywhere},
    {"cancelled-between", cancelled_between},
    {"cancelled-in-receive", cancelled_in_receive},
    {"threads-that-exit", threads_that_exit},
};
VICTIM_MAIN(cases)
