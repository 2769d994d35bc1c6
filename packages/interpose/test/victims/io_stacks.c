/* Traps 11 and 12: stacks that lie in viewed memory or are nearly used up, and origins whose
 * call never came back to give them up. */
#include "busy_handler.h"
#include <sys/auxv.h>
#include <sys/time.h>
#include <sched.h>
#include <setjmp.h>
#include <ucontext.h>

enum { OLD = 1, NEW = 2 };

/* Trap 11: the stack of the thread that calls into zIO lies in memory that was viewed. */
static void *echo_on_own_stack(void *argument) {
    (void)argument;
    struct channel c = wide_pipe();
    byte *a = region(SIZE), *b = region(SIZE), *out = stream_bytes(SIZE, NEW, 0);
    for (int round = 0; round < 20; round++) {
        write_all(c.out, out, SIZE);
        read_all(c.in, a, SIZE);
        copy(b, a, SIZE);
        write_all(c.out, b, SIZE);
        read_all(c.in, a, SIZE);
    }
    EXPECT_BYTES(a, SIZE, NEW, 0);
    EXPECT_BYTES(b, SIZE, NEW, 0);
    return NULL;
}

static void stack_in_viewed_memory(void) {
    for (int round = 0; round < 8; round++) {
        byte *stack = viewed(SIZE, OLD);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        if (pthread_attr_setstack(&attributes, stack, SIZE))
            die("setstack");
        pthread_t thread;
        if (pthread_create(&thread, &attributes, echo_on_own_stack, NULL))
            die("pthread_create");
        pthread_join(thread, NULL);
        EXPECT_BYTES(stack, PAGE, OLD, 0);
    }
}

static ucontext_t back, coroutine;
static void coroutine_body(void) {
    echo_on_own_stack(NULL);
}

static void coroutine_in_viewed_memory(void) {
    for (int round = 0; round < 8; round++) {
        byte *stack = viewed(SIZE, OLD);
        getcontext(&coroutine);
        coroutine.uc_stack.ss_sp = stack;
        coroutine.uc_stack.ss_size = SIZE;
        coroutine.uc_link = &back;
        makecontext(&coroutine, coroutine_body, 0);
        swapcontext(&back, &coroutine);
        EXPECT_BYTES(stack, PAGE, OLD, 0);
    }
}

/* The alternative signal stack was viewed too, and the signal comes in the middle of IO. */
static void signal_stack_in_viewed_memory(void) {
    byte *stack = viewed(SIZE, OLD);
    stack_t alternative = {.ss_sp = stack, .ss_size = SIZE};
    if (sigaltstack(&alternative, NULL))
        die("sigaltstack");
    handler_from = viewed(SIZE, OTHER);
    handler_to = region(SIZE);
    handler_channel = wide_pipe();
    on_signal(SIGALRM, busy_handler, SA_RESTART | SA_ONSTACK);
    struct itimerval every = {{0, 900}, {0, 900}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &every, NULL);
    for (int round = 0; round < 5 || handled < 20; round++)
        echo_on_own_stack(NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    EXPECT_BYTES(stack, PAGE, OLD, 0);
}

/* A stack of three pages, with a guard below: nothing that a call of the program's needs for
 * itself, so nothing that zIO may take much of. Views multiply the pieces to thousands. */
enum { MANY = 1024 };
static struct iovec parts[MANY];
static struct msghdr message;
static byte *striped, *target, *copied;
static struct channel tight_channel;
static size_t total;

static void all_calls(void) {
    EXPECT(writev(tight_channel.out, parts, MANY), total);
    EXPECT(recv(tight_channel.in, target, total, MSG_WAITALL), total);
    copy(copied, target, total);
    EXPECT(send(tight_channel.out, copied, total, 0), total);
    EXPECT(readv(tight_channel.in, &(struct iovec){target, total}, 1), total);
    message = (struct msghdr){.msg_iov = parts, .msg_iovlen = MANY};
    EXPECT(sendmsg(tight_channel.out, &message, 0), total);
    message = (struct msghdr){.msg_iov = &(struct iovec){copied, total}, .msg_iovlen = 1};
    EXPECT(recvmsg(tight_channel.in, &message, MSG_WAITALL), total);
    memmove(target + 1000, target, total - 1000);
    target[5] = copied[70001];
    EXPECT(write(tight_channel.out, target, total), total);
    EXPECT(read(tight_channel.in, target, total), total);
    memset(target, 7, total);
    munmap(copied, total);
    errno = 0;
}

static void prepare_calls(void) {
    striped = viewed(SIZE, OLD);
    target = viewed(SIZE, NEW), copied = region(SIZE);
    for (size_t page = 0; page < SIZE / PAGE; page += 2) {
        volatile byte *touched = striped + page * PAGE;
        *touched = *touched;
    }
    for (size_t i = 0; i < MANY; i++)
        parts[i] = (struct iovec){striped + i * 250, 250};
    total = MANY * 250;
}

static ucontext_t here, there;
static void tight_stack(void) {
    tight_channel = unix_pair(SOCK_STREAM);
    prepare_calls();
    all_calls(); /* symbols are bound on the ordinary stack */
    for (int round = 0; round < 5; round++) {
        byte *stack = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mprotect(stack + PAGE, 3 * PAGE, PROT_READ | PROT_WRITE))
            die("mprotect");
        prepare_calls();
        getcontext(&there);
        there.uc_stack.ss_sp = stack;
        there.uc_stack.ss_size = 4 * PAGE;
        there.uc_link = &here;
        makecontext(&there, all_calls, 0);
        swapcontext(&here, &there);
        EXPECT_BYTES(striped, SIZE, OLD, 0);
    }
}

static void call_all(int number) {
    (void)number;
    all_calls();
}

/* The same in a handler, on the least signal stack that the machine allows and two pages. */
static void tight_signal_stack(void) {
    tight_channel = unix_pair(SOCK_STREAM);
    size_t least = getauxval(AT_MINSIGSTKSZ) ? getauxval(AT_MINSIGSTKSZ) : 2048;
    size_t size = (least + 3 * PAGE - 1) / PAGE * PAGE;
    byte *stack = mmap(NULL, size + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mprotect(stack + PAGE, size, PROT_READ | PROT_WRITE))
        die("mprotect");
    prepare_calls();
    all_calls(); /* before there is a signal stack, and after */
    if (sigaltstack(&(stack_t){.ss_sp = stack + PAGE, .ss_size = size}, NULL))
        die("sigaltstack");
    prepare_calls();
    all_calls();
    on_signal(SIGUSR1, call_all, SA_ONSTACK);
    for (int round = 0; round < 5; round++) {
        prepare_calls();
        raise(SIGUSR1);
    }
}

static sigjmp_buf escape;
static void jump(int number) {
    (void)number;
    siglongjmp(escape, 1);
}
static void *receive_for_ever(void *argument) {
    struct channel *c = argument;
    byte *at = region(MIB);
    recv(c->in, at, MIB, MSG_WAITALL);
    return NULL;
}

/* Hundreds of receives of a megabyte are cancelled or left by siglongjmp. Their origins must
 * come back: afterwards, copies are elided as before (the test counts), in little memory. */
static void abandoned(void) {
    struct channel c = unix_pair(SOCK_STREAM), work = wide_pipe();
    byte *at = region(MIB), *source = stream_bytes(SIZE, NEW, 0), *twin = region(SIZE);
    on_signal(SIGALRM, jump, 0);
    for (volatile int round = 0; round < 60; round++) {
        struct itimerval once = {{0, 0}, {0, 1000}};
        if (sigsetjmp(escape, 1) == 0) {
            setitimer(ITIMER_REAL, &once, NULL);
            for (;;)
                recv(c.in, at, MIB, MSG_WAITALL);
        }
        pthread_t thread = start(receive_for_ever, &c);
        if (round % 2)
            sched_yield();
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    for (int round = 0; round < 40; round++) {
        write_all(work.out, source, SIZE);
        EXPECT(read(work.in, at, SIZE), SIZE);
        copy(twin, at, SIZE);
        if (round % 8 == 0)
            EXPECT_BYTES(twin, SIZE, NEW, 0);
    }
}

SUBCASES({"stack", stack_in_viewed_memory}, {"coroutine", coroutine_in_viewed_memory},
         {"signal-stack", signal_stack_in_viewed_memory}, {"tight-stack", tight_stack},
         {"tight-signal-stack", tight_signal_stack}, {"abandoned", abandoned})
