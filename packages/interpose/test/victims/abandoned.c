/* Case 18: calls that never come back. A thread is cancelled, at once or at the next point, or ends
 * itself in a handler, or a handler leaves by siglongjmp, while it blocks in one of the hooked
 * calls on viewed memory. Clean-up handlers copy that memory and send it. Afterwards the memory has
 * its bytes, the channel works, and nothing is held for ever (the test gives little memory for
 * origins). */
#include "channels.h"
#include <semaphore.h>
#include <setjmp.h>
#include <sys/time.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (128 * KIB)

enum call {
    READ,
    READV,
    RECV,
    RECVFROM,
    RECVMSG,
    RECVMMSG,
    PREADV2,
    FIRST_OUTPUT,
    WRITE = FIRST_OUTPUT,
    WRITEV,
    SEND,
    SENDTO,
    SENDMSG,
    SENDMMSG,
    PWRITEV2,
    CALLS
};

struct call_state {
    enum call how;
    int type; /* of cancellation */
    struct channel c;
    byte *at, *saved;
    struct channel log;
    sem_t entered;
    _Atomic int cleaned;
    _Atomic pid_t tid;
};

static ssize_t issue(enum call how, struct channel c, byte *at) {
    struct iovec parts[2] = {{at, SIZE / 2}, {at + SIZE / 2, SIZE / 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    switch (how) {
    case READ:
        return read(c.in, at, SIZE);
    case READV:
        return readv(c.in, parts, 2);
    case RECV:
        return recv(c.in, at, SIZE, MSG_WAITALL);
    case RECVFROM:
        return recvfrom(c.in, at, SIZE, 0, NULL, NULL);
    case RECVMSG:
        return recvmsg(c.in, &message, MSG_WAITALL);
    case RECVMMSG:
        return recvmmsg(c.in, messages, 1, 0, NULL);
    case PREADV2:
        return preadv2(c.in, parts, 2, -1, 0);
    case WRITE:
        return write(c.out, at, SIZE);
    case WRITEV:
        return writev(c.out, parts, 2);
    case SEND:
        return send(c.out, at, SIZE, 0);
    case SENDTO:
        return sendto(c.out, at, SIZE, 0, NULL, 0);
    case SENDMSG:
        return sendmsg(c.out, &message, 0);
    case SENDMMSG:
        return sendmmsg(c.out, messages, 1, 0);
    default:
        return pwritev2(c.out, parts, 2, -1, 0);
    }
}

/* Until it blocks: output fills its channel first. */
static void issue_for_ever(struct call_state *state) {
    for (;;)
        if (issue(state->how, state->c, state->at) < 0 && errno != EINTR)
            die("the call");
}

/* Runs in the dying thread, with its call abandoned: what it does is hooked as well. */
static void clean_up(void *argument) {
    struct call_state *state = argument;
    copy(state->saved, state->at, SIZE);
    EXPECT(write(state->log.out, state->saved, SIZE), SIZE);
    state->at[0] ^= 1;
    state->at[0] ^= 1;
    state->cleaned++;
}

static void *blocked_thread(void *argument) {
    struct call_state *state = argument;
    int before;
    pthread_cleanup_push(clean_up, state);
    pthread_setcanceltype(state->type, &before);
    state->tid = gettid();
    sem_post(&state->entered);
    issue_for_ever(state);
    pthread_cleanup_pop(0);
    return NULL;
}

static void expect_as_before(struct call_state *state) {
    EXPECT(state->cleaned, 1);
    EXPECT_STREAM(state->log.in, SIZE, OLD, 0);
    EXPECT_BYTES(state->saved, SIZE, OLD, 0);
    byte *later = region(SIZE);
    copy(later, state->at, SIZE);
    EXPECT_BYTES(later, SIZE, OLD, 0);
    EXPECT_BYTES(state->at, SIZE, OLD, 0);
    if (state->how < FIRST_OUTPUT) { /* and the next input comes as if nothing had been */
        byte *source = stream_bytes(SIZE, NEW, 0);
        write_all(state->c.out, source, SIZE);
        EXPECT(read(state->c.in, state->at, SIZE), SIZE);
        EXPECT_BYTES(state->at, SIZE, NEW, 0);
        munmap(source, SIZE + PAGE);
    }
    munmap(later, SIZE + PAGE);
    munmap(state->at, SIZE + PAGE);
    munmap(state->saved, SIZE + PAGE);
}

static void ended_in(enum call how, int type, void (*end)(pthread_t)) {
    static struct call_state state; /* the thread has it for as long as it lives */
    memset(&state, 0, sizeof state);
    state.how = how;
    state.type = type;
    state.c = unix_pair(SOCK_STREAM);
    state.at = viewed(SIZE, OLD);
    state.saved = region(SIZE);
    state.log = wide_pipe();
    sem_init(&state.entered, 0, 0);
    pthread_t thread = start(blocked_thread, &state);
    while (sem_wait(&state.entered) && errno == EINTR) {
    }
    wait_until_blocked(getpid(), state.tid);
    void *result = NULL;
    end(thread);
    pthread_join(thread, &result);
    EXPECT(result == PTHREAD_CANCELED, 1);
    expect_as_before(&state);
    close_channel(state.c);
    close_channel(state.log);
}

static void cancel(pthread_t thread) {
    pthread_cancel(thread);
}

static void cancelled_at_points(void) {
    for (enum call how = 0; how < CALLS; how++)
        for (int round = 0; round < 2; round++)
            ended_in(how, PTHREAD_CANCEL_DEFERRED, cancel);
}

static void cancelled_at_once(void) {
    for (enum call how = 0; how < CALLS; how++)
        for (int round = 0; round < 2; round++)
            ended_in(how, PTHREAD_CANCEL_ASYNCHRONOUS, cancel);
}

static void end_oneself(int number) {
    (void)number;
    pthread_exit(PTHREAD_CANCELED);
}
static void signal_the_end(pthread_t thread) {
    pthread_kill(thread, SIGUSR1);
}
static void exit_in_handler(void) {
    struct sigaction action = {.sa_handler = end_oneself};
    sigaction(SIGUSR1, &action, NULL);
    for (enum call how = 0; how < CALLS; how++)
        ended_in(how, PTHREAD_CANCEL_DEFERRED, signal_the_end);
}

static sigjmp_buf escape;
static void jump(int number) {
    (void)number;
    siglongjmp(escape, 1);
}

/* Every kind of call is left by a timeout a hundred times, each with other views. Had each kept its
 * origin, no input would be redirected after the first hundred. */
static void left_by_longjmp(void) {
    struct sigaction action = {.sa_handler = jump};
    sigaction(SIGALRM, &action, NULL);
    byte *source = stream_bytes(SIZE, NEW, 0);
    for (volatile int round = 0; round < 100; round++)
        for (volatile enum call how = FIRST_OUTPUT; how < CALLS; how++) {
            struct channel c = unix_pair(SOCK_STREAM), work = wide_pipe();
            byte *at = region(SIZE);
            write_all(work.out, source, SIZE);
            EXPECT(read(work.in, at, SIZE), SIZE);
            if (sigsetjmp(escape, 1) == 0) {
                struct call_state state = {.how = how, .c = c, .at = at};
                struct itimerval once = {{0, 0}, {0, 1500}};
                int small = 4096; /* blocks soon */
                setsockopt(c.out, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
                setitimer(ITIMER_REAL, &once, NULL);
                issue_for_ever(&state);
            }
            EXPECT_BYTES(at, PAGE, NEW, 0);
            munmap(at, SIZE + PAGE);
            close_channel(c);
            close_channel(work);
        }
    struct channel work = wide_pipe();
    byte *at = region(SIZE), *twin = region(SIZE);
    for (int round = 0; round < 40; round++) {
        write_all(work.out, source, SIZE);
        EXPECT(read(work.in, at, SIZE), SIZE);
        copy(twin, at, SIZE);
        EXPECT_BYTES(twin, SIZE, NEW, 0);
    }
}

SUBCASES({"cancelled-at-points", cancelled_at_points}, {"cancelled-at-once", cancelled_at_once},
         {"exit-in-handler", exit_in_handler}, {"left-by-longjmp", left_by_longjmp})
