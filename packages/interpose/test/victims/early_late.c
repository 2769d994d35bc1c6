/* Case 21: calls before and after everything: constructors, indirect functions, atexit handlers,
 * destructors, thread exit, and exit with threads in the middle of IO. */
#include "channels.h"
#include "early_library.h"
#include <dlfcn.h>

enum { OLD = 1, NEW = 2, OTHER = 3 };
#define SIZE (96 * KIB)

static byte *pending, *pending_copy;
static int late_work;
static byte resolved[2][40000];

static int echo(unsigned stream) {
    int before = failures;
    byte *a = region(SIZE), *b = region(SIZE);
    struct channel c = wide_pipe();
    feed(a, SIZE, stream, 0);
    copy(b, a, SIZE);
    EXPECT(write(c.out, b, SIZE), SIZE);
    EXPECT_STREAM(c.in, SIZE, stream, 0);
    EXPECT_BYTES(b, SIZE, stream, 0);
    munmap(a, SIZE + PAGE), munmap(b, SIZE + PAGE);
    close_channel(c);
    return failures - before;
}

static void check_pending(const char *where) {
    if (pending_copy)
        EXPECT_BYTES(pending_copy, SIZE, OLD, 0);
    say("%s: %d failures\n", where, echo(NEW) + failures);
}

/* The program's own indirect function: its resolver copies before anything is initialised. */
static int double_of(int value) {
    return 2 * value;
}
static int (*resolve_double(void))(int) {
    for (int i = 0; i < 40000; i++)
        ((volatile byte *)resolved[0])[i] = (byte)(i * 7);
    memcpy(resolved[1], resolved[0], 40000);
    memset(resolved[0], 0, 40000);
    return double_of;
}
int chosen_double(int value) __attribute__((ifunc("resolve_double")));

static int constructor_failures = -1;
__attribute__((constructor)) static void first(void) {
    constructor_failures = echo(OTHER);
}
__attribute__((destructor)) static void last(void) {
    if (late_work)
        check_pending("destructor");
}
static void at_exit(void) {
    check_pending("atexit");
}
static void on_exit_too(int status, void *argument) {
    (void)argument;
    say("on_exit with %d\n", status);
    check_pending("on_exit");
}

static void constructors(void) {
    EXPECT(constructor_failures, 0);
    int (*library)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "early_failures");
    if (library)
        EXPECT(library(), 0);
    byte *(*memory)(void) = (byte * (*)(void)) dlsym(RTLD_DEFAULT, "early_memory");
    if (memory)
        EXPECT_BYTES(memory(), SIZE, 2, 0);
    say("library: %s\n", library ? "loaded" : "not loaded");
}

static void indirect_functions(void) {
    EXPECT(chosen_double(21), 42);
    for (int i = 0; i < 40000; i++)
        EXPECT(resolved[1][i], (byte)(i * 7));
    EXPECT_ALL(resolved[0], 40000, 0);
    EXPECT(echo(NEW), 0);
}

static void exit_handlers(void) {
    late_work = 1;
    pending = viewed(SIZE, OLD), pending_copy = region(SIZE);
    copy(pending_copy, pending, SIZE);
    atexit(at_exit);
    on_exit(on_exit_too, NULL);
    exit(5);
}

static void quick(void) {
    late_work = 1;
    pending = viewed(SIZE, OLD), pending_copy = region(SIZE);
    copy(pending_copy, pending, SIZE);
    at_quick_exit(at_exit);
    quick_exit(6);
}

static void *echo_for_ever(void *argument) {
    for (;;)
        echo((unsigned)(uintptr_t)argument);
    return NULL;
}
static void *exit_here(void *argument) {
    (void)argument;
    viewed(SIZE, OLD);
    exit(9);
}

/* Threads echo while the process leaves by each of the ways. */
static void busy_exit(void) {
    struct channel never = unix_pair(SOCK_STREAM);
    for (int i = 0; i < 24; i++) {
        pid_t child = fork();
        if (child == 0) {
            late_work = 0;
            byte *at = viewed(SIZE, OLD);
            for (uintptr_t t = 0; t < 2; t++)
                start(echo_for_ever, (void *)(t + 10));
            pause_ms(i % 4);
            if (i % 4 == 0)
                exit(7);
            if (i % 4 == 1)
                _exit(7);
            if (i % 4 == 2)
                kill(getpid(), SIGTERM);
            if (i % 4 == 3)
                start(exit_here, NULL), recv(never.in, at, SIZE, 0);
            pause();
        }
        int status = -1;
        EXPECT(waitpid(child, &status, 0), child);
        EXPECT(status, i % 4 == 2 ? SIGTERM : i % 4 == 3 ? 9 << 8 : 7 << 8);
    }
}

static pthread_key_t key;
static void leave_thread(void *value) {
    EXPECT(echo((unsigned)(uintptr_t)value), 0);
}
static void *use_key(void *argument) {
    pthread_setspecific(key, argument);
    byte *at = viewed(SIZE, OLD);
    EXPECT(at[3], byte_of(OLD, 3));
    return NULL;
}
static void thread_exits(void) {
    pthread_key_create(&key, leave_thread);
    for (uintptr_t i = 1; i < 20; i++)
        pthread_join(start(use_key, (void *)i), NULL);
    pthread_t many[8];
    for (uintptr_t i = 0; i < 8; i++)
        many[i] = start(use_key, (void *)(i + 30));
    for (int i = 0; i < 8; i++)
        pthread_join(many[i], NULL);
}

/* A library's static memory becomes a view and goes with the library. */
static void loaded_and_closed(void) {
    const char *path = getenv("EARLY_LIBRARY");
    setenv("EARLY_QUIET", "1", 1);
    for (int i = 0; path && i < 10; i++) {
        void *library = dlopen(path, i % 2 ? RTLD_NOW : RTLD_LAZY);
        if (!library) {
            say("%s\n", dlerror());
            break;
        }
        int (*run)(unsigned) = (int (*)(unsigned))dlsym(library, "early_echo");
        byte *(*memory)(void) = (byte * (*)(void)) dlsym(library, "early_memory");
        EXPECT(run(40), 0);
        byte *at = memory(), *copied = region(SIZE), *again = NULL;
        copy(at, viewed(SIZE, OLD), SIZE);
        copy(copied, at, SIZE);
        dlclose(library);
        /* Whatever lies there now is not the library's. */
        byte *page = (byte *)((uintptr_t)at & ~(PAGE - 1));
        again = mmap(page, SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (again != MAP_FAILED) {
            EXPECT_ALL(again, SIZE, 0);
            munmap(again, SIZE);
        }
        EXPECT_BYTES(copied, SIZE, OLD, 0);
        EXPECT(echo(NEW), 0);
    }
}

SUBCASES({"constructors", constructors}, {"indirect-functions", indirect_functions},
         {"exit-handlers", exit_handlers}, {"quick", quick}, {"busy-exit", busy_exit},
         {"thread-exits", thread_exits}, {"loaded-and-closed", loaded_and_closed})
