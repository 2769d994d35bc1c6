/* Blocks of threads. Each has slots, channels and a file of its own, and looks at the shared slots
 * at the same time as the others, so what it prints does not depend on who is first. */
#include "fuzz.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREAD_ROOM = 64 * 1024 };

struct worker {
    struct context context;
    struct output output;
    size_t from, to;
    pthread_t thread;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    fuzz_execute(&worker->context, worker->from, worker->to);
    fuzz_close_context(&worker->context);
    return NULL;
}

/* threads COUNT EACH: the next COUNT times EACH operations, EACH for every thread. */
static void do_threads(struct context *context, const long *a) {
    size_t count = (size_t)a[0], here = fuzz_next(a);
    fuzz_say(context, "\n");
    if (count < 2 || count > MOST_THREADS || context->threads > 1) {
        fuzz_execute(context, here, fuzz_further(context, here, a[0] * a[1]));
        return;
    }
    struct worker workers[MOST_THREADS];
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        *worker = (struct worker){.output = {malloc(THREAD_ROOM), 0, THREAD_ROOM}};
        worker->context = (struct context){.stream = context->stream * 17 + here + i + 1,
                                           .thread = i,
                                           .threads = count,
                                           .output = &worker->output,
                                           .is_child = context->is_child};
        fuzz_separate(&worker->context, context, here + i);
        worker->from = fuzz_further(context, here, (long)i * a[1]);
        worker->to = fuzz_further(context, worker->from, a[1]);
        if (pthread_create(&worker->thread, NULL, work, worker))
            fuzz_die("pthread_create");
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        char *text = workers[i].output.text;
        for (size_t at = 0; at < workers[i].output.used;) {
            size_t n = strcspn(text + at, "\n");
            fuzz_say(context, " %zu> %.*s\n", i, (int)(n < 400 ? n : 400), text + at);
            at += n + 1;
        }
        free(text);
    }
}

struct victim {
    int fd;
    struct range range;
};

static void *wait_for_input(void *argument) {
    struct victim *victim = argument;
    ssize_t n = recv(victim->fd, victim->range.at, victim->range.n, 0);
    return n < 0 ? argument : NULL;
}

/* cancel SLOT OFFSET LENGTH: a thread that waits for input into the range is cancelled. */
static void do_cancel(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    int ends[2];
    if (r.n == 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        fuzz_die("socketpair");
    struct victim victim = {ends[0], r};
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_input, &victim))
        fuzz_die("pthread_create");
    if (a[3] % 2)
        usleep(200); /* mostly it waits by now; either way it must end the same */
    pthread_cancel(thread);
    void *result;
    pthread_join(thread, &result);
    fuzz_say(context, " %d", result == PTHREAD_CANCELED);
    close(ends[0]);
    close(ends[1]);
}

const struct verb fuzz_thread_verbs[] = {
    {"threads", do_threads},
    {"cancel", do_cancel},
    {NULL, NULL},
};
