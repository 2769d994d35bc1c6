/* Signals: a handler that receives, copies and looks while operations go on under it, and a jump
 * out of a call that waits. */
#include "fuzz.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { AREA = 96 * 1024, HANDLER_STREAM = 77 };

static byte *area, *copy;
static int ends[2] = {-1, -1};
static volatile sig_atomic_t busy, wrong;
static volatile uint64_t taken;

/* Everything it checks is its own: the pipe, the two areas, the position. */
static void on_alarm(int number) {
    (void)number;
    if (__atomic_exchange_n(&busy, 1, __ATOMIC_SEQ_CST))
        return;
    int saved = errno;
    static byte piece[SMALL];
    size_t n = 32 * 1024;
    uint64_t from = taken;
    for (size_t done = 0; done < n; done += SMALL) {
        fuzz_stream_fill(piece, SMALL, HANDLER_STREAM, from + done);
        if (write(ends[1], piece, SMALL) != SMALL)
            wrong = 1;
    }
    if (read(ends[0], area + 100, n) != (ssize_t)n)
        wrong = 2;
    memcpy(copy + 100, area + 100, n);
    for (size_t i = from / n % 3; i < n; i += 5000)
        if (((volatile byte *)copy)[100 + i] != fuzz_stream_byte(HANDLER_STREAM, from + i))
            wrong = 3;
    taken = from + n;
    errno = saved;
    __atomic_store_n(&busy, 0, __ATOMIC_SEQ_CST);
}

static void *private_memory(void) {
    void *at = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        fuzz_die("mmap");
    return at;
}

/* alarm MICROSECONDS: from now on a signal as often as this; 0 ends it. */
static void do_alarm(struct context *context, const long *a) {
    if (context->threads > 1)
        return;
    if (area == NULL) {
        area = private_memory();
        copy = private_memory();
    }
    /* Before its pipe goes. */
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
        ends[0] = ends[1] = -1;
    }
    if (a[0] > 0) {
        if (pipe2(ends, O_CLOEXEC))
            fuzz_die("pipe2");
        busy = 0;
        struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &(struct itimerval){{0, a[0]}, {0, a[0]}}, NULL);
    }
    fuzz_say(context, " %d", (int)wrong);
}

static sigjmp_buf out;

static void on_jump(int number) {
    (void)number;
    siglongjmp(out, 1);
}

/* jump SLOT OFFSET LENGTH HOW: out of a read or a write that waits. */
static void do_jump(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0 || context->threads > 1)
        return;
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC))
        fuzz_die("pipe2");
    struct sigaction action = {.sa_handler = on_jump}, before;
    sigaction(SIGPROF, &action, &before);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
    struct itimerspec when = {{0, 0}, {0, 300000}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer))
        fuzz_die("timer_create");
    if (sigsetjmp(out, 1) == 0) {
        timer_settime(timer, 0, &when, NULL);
        ssize_t n;
        do
            n = a[3] % 2 ? write(pipe_ends[1], r.at, r.n) : read(pipe_ends[0], r.at, r.n);
        while (n > 0 || errno == EINTR);
        fuzz_say(context, " came back");
    }
    timer_delete(timer);
    sigaction(SIGPROF, &before, NULL);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    fuzz_say(context, " jumped");
}

const struct verb fuzz_signal_verbs[] = {
    {"alarm", do_alarm},
    {"jump", do_jump},
    {NULL, NULL},
};
