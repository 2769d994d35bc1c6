/* TRAP 11: the stack that a hook runs on may itself lie in memory that was received into, so that
 * the hook's own frames are on missing pages. */
#include "modelled.h"
#include <alloca.h>
#include <ucontext.h>

static const size_t size = 24 * PAGE;
static const size_t stack_size = 64 * PAGE;

/* Memory for a stack whose pages were all received into and copied from, so that they are views. */
static byte *viewed_stack(bool from_heap) {
    byte *stack = from_heap ? heap_at(0, stack_size) : map_private(stack_size);
    byte *copy = map_private(stack_size);
    uint64_t from = feed(stack, stack_size);
    memcpy(copy, stack, stack_size);
    expect_stream("stack", copy + 9 * PAGE, PAGE, from + 9 * PAGE);
    memcpy(stack, copy, stack_size);
    return stack;
}

/* One round of everything a hook does, with the stack pointer `depth` bytes further down. */
__attribute__((noinline)) static void round_at_depth(struct memory *a, struct memory *b,
                                                     size_t depth) {
    volatile byte *room = alloca(depth + 1);
    room[depth] = 1; /* the near end only: what lies between stays missing */
    memory_feed(a, 0, size);
    memory_copy_by(memcpy, b, 16, a, 0, size - 16);
    memory_copy(b, 0, b, 5000, size - 5000);
    memory_set(a, 4096, 0, 30000);
    say("depth %zu: sent %d", depth, sink_hash(b->at, size) == fnv(b->model, size));
    b->at = realloc(b->at, size);
}

static void work_on_this_stack(size_t first, size_t step, int rounds) {
    struct memory a = memory_new(MAPPED, 0, size), b = {heap(size), map_private(size), size};
    memory_set(&b, 0, 0x31, size);
    for (int i = 0; i < rounds; i++)
        round_at_depth(&a, &b, first + (size_t)i * step);
    check("a", &a);
    check("b", &b);
}

static ucontext_t main_context, coroutine_context, other_context;

static void coroutine(void) {
    work_on_this_stack(0, 777, 40);
}

static void run_coroutine(bool from_heap) {
    need(getcontext(&coroutine_context) == 0, "getcontext");
    coroutine_context.uc_stack.ss_sp = viewed_stack(from_heap);
    coroutine_context.uc_stack.ss_size = stack_size;
    coroutine_context.uc_link = &main_context;
    makecontext(&coroutine_context, coroutine, 0);
    need(swapcontext(&main_context, &coroutine_context) == 0, "swapcontext");
}

static void coroutine_on_heap(void) {
    run_coroutine(true);
}

static void coroutine_on_mapping(void) {
    run_coroutine(false);
}

/* A coroutine receives into the unused part of its own stack, then calls down into it. */
static byte *own_stack;

static void receive_below(void) {
    struct memory a = memory_new(MAPPED, 0, size), b = {heap(size), map_private(size), size};
    memory_set(&b, 0, 0x31, size);
    for (size_t depth = 2 * PAGE; depth < 6 * PAGE; depth += 300) {
        byte here;
        size_t unused =
            (size_t)(&here - own_stack) - 5 * PAGE; /* recv's own frames fit in five pages */
        uint64_t from = feed(own_stack, unused);
        memcpy(a.at, own_stack, size);
        stream_fill(a.model, size, from);
        round_at_depth(&a, &b, depth);
    }
    check("a", &a);
    check("b", &b);
}

static void received_into_own_stack(void) {
    need(getcontext(&coroutine_context) == 0, "getcontext");
    own_stack = viewed_stack(false);
    coroutine_context.uc_stack.ss_sp = own_stack;
    coroutine_context.uc_stack.ss_size = stack_size;
    coroutine_context.uc_link = &main_context;
    makecontext(&coroutine_context, receive_below, 0);
    need(swapcontext(&main_context, &coroutine_context) == 0, "swapcontext");
}

/* Two coroutines hand each other views across their stacks. */
static struct memory handed[2];

static void partner(int self) {
    byte local[20000]; /* a buffer on a coroutine's stack is ordinary memory for those who use it */
    for (int i = 0; i < 12; i++) {
        memory_feed(&handed[self], 0, size);
        memcpy(local, handed[self].at + 100, sizeof local);
        memory_copy(&handed[1 - self], 8192, &handed[self], 100, sizeof local);
        swapcontext(self ? &other_context : &coroutine_context,
                    self ? &coroutine_context : &other_context);
        memcpy(handed[self].at + 3000, local, sizeof local);
        model_copy(handed[self].model + 3000, local, sizeof local);
        check_sent(self ? "second" : "first", &handed[self]);
    }
    check("handed", &handed[1 - self]);
}

static void two_coroutines(void) {
    ucontext_t *contexts[] = {&coroutine_context, &other_context};
    for (int i = 0; i < 2; i++) {
        handed[i] = memory_new(HEAP, 0, size);
        need(getcontext(contexts[i]) == 0, "getcontext");
        contexts[i]->uc_stack.ss_sp = viewed_stack(true);
        contexts[i]->uc_stack.ss_size = stack_size;
        contexts[i]->uc_link = i ? &coroutine_context : &main_context;
        makecontext(contexts[i], (void (*)(void))partner, 1, i);
    }
    need(swapcontext(&main_context, &coroutine_context) == 0, "swapcontext");
}

static void *thread_work(void *unused) {
    work_on_this_stack(0, 1111, 30);
    return unused;
}

static void thread_on_viewed_stack(void) {
    for (int i = 0; i < 3; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        byte *stack = viewed_stack(i == 1);
        pthread_attr_init(&attributes);
        need(pthread_attr_setstack(&attributes, stack, stack_size) == 0, "pthread_attr_setstack");
        need(pthread_create(&thread, &attributes, thread_work, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
        feed(stack, stack_size); /* a stack no longer in use is memory like any other */
        expect_stream("stack", stack, stack_size, feed_position - stack_size);
    }
}

/* A handler on an alternate stack that is viewed, over a main program that copies. */
static struct memory handled[2];
static volatile int handlings, handler_errors;

static void on_usr1(int signal) {
    (void)signal;
    byte local[3 * PAGE];
    memcpy(handled[1].at, handled[0].at, size);
    memcpy(local, handled[0].at + 5000, sizeof local);
    for (size_t i = 0; i < sizeof local; i += 500)
        handler_errors += local[i] != handled[0].model[5000 + i];
    handlings++;
}

static void alternate_stack(void) {
    stack_t stack = {.ss_sp = viewed_stack(false), .ss_size = stack_size};
    need(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    for (int i = 0; i < 2; i++)
        handled[i] = memory_new(HEAP, 0, size);
    for (int i = 0; i < 20; i++) {
        memory_feed(&handled[0], 0, size);
        memory_feed(&a, 0, size);
        memory_copy(&b, 0, &a, 0, size);
        raise(SIGUSR1);
        memory_copy(&handled[1], 0, &handled[0], 0, size);
        memory_feed(&handled[0], 3000, size - 3000);
        raise(SIGUSR1);
        model_copy(handled[1].model, handled[0].model, size);
        check_sent("handled", &handled[1]);
        feed(stack.ss_sp, stack_size);
        check("b", &b);
    }
    say("%d signals, %d errors", handlings, handler_errors);
    check("handled", &handled[1]);
}

static const struct sub_case cases[] = {
    {"coroutine-on-heap", coroutine_on_heap},
    {"coroutine-on-mapping", coroutine_on_mapping},
    {"received-into-own-stack", received_into_own_stack},
    {"two-coroutines", two_coroutines},
    {"thread-on-viewed-stack", thread_on_viewed_stack},
    {"alternate-stack", alternate_stack},
};
VICTIM_MAIN(cases)
