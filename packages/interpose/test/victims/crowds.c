/* Cases 16 and 17 with what the program does to all of its memory at once: many threads touch pages
 * of one view while the process forks, while the pages beside them are moved by mremap, and while a
 * buffer is handed over under a lock and received into again. Nobody sees zeros, a mixture within a
 * page, or bytes that are not its own. */
#include "channels.h"
#include "direct_call.h"
#include <sched.h>
#include <stdbool.h>

enum { THREADS = 8, PAGES = 48 };
#define SIZE  (PAGES * PAGE)
#define WORDS (PAGE / sizeof(uint64_t))

static atomic_int over;
static atomic_ulong complete; /* the round that is wholly there */
static uint64_t *shared;

static void stamp(uint64_t *pages, uint64_t round) {
    volatile uint64_t *at = pages;
    for (size_t i = 0; i < SIZE / sizeof *at; i++)
        at[i] = round << 16 | i / WORDS << 1 | 1;
}

/* Whether the page's words are its own, and of round `low` or a later one. */
static bool is_since(const uint64_t *pages, size_t page, uint64_t low) {
    const volatile uint64_t *at = pages + page * WORDS;
    for (size_t i = 0; i < WORDS; i += 37) {
        uint64_t word = at[i];
        if (word >> 16 < low || (word & 0xffff) != (page << 1 | 1))
            return false;
    }
    return true;
}

static bool is_of(const uint64_t *pages, size_t page, uint64_t round) {
    const volatile uint64_t *at = pages + page * WORDS;
    for (size_t i = 0; i < WORDS; i += 37)
        if (at[i] != (round << 16 | page << 1 | 1))
            return false;
    return true;
}

/* What was there once a round was complete stays, until something later comes. */
static void *look(void *argument) {
    for (size_t turn = (uintptr_t)argument; !over; turn++) {
        sched_yield();
        size_t page = turn * 5 % PAGES;
        uint64_t low = complete;
        if (!is_since(shared, page, low) && fails())
            say("page %zu is not what it was in round %llu\n", page, (unsigned long long)low);
    }
    return NULL;
}

static void faults_and_forks(void) {
    struct channel c = wide_pipe();
    uint64_t *source = (void *)region(SIZE), *landed = (void *)region(SIZE);
    shared = (void *)region(SIZE);
    stamp(shared, 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start(look, (void *)i);
    for (uint64_t round = 1; round <= 24; round++) {
        stamp(source, round);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, landed, SIZE), SIZE);
        copy(shared, landed, SIZE);
        complete = round;
        if (round % 3) /* the lookers come first, in part */
            pause_ms(1);
        pid_t child = round % 2 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            for (size_t page = 0; page < PAGES; page++)
                EXPECT(is_of(shared, page, round), 1);
            for (size_t page = 0; page < PAGES; page++)
                EXPECT(is_of(landed, page, round), 1);
            _exit(failures != 0);
        }
        int status = -1;
        EXPECT(waitpid(child, &status, 0), child);
        EXPECT(status, 0);
    }
    over = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *move(void *from, size_t length, void *to, bool hooked) {
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    void *moved = hooked ? mremap(from, length, length, flags, to)
                         : (void *)DIRECT(SYS_mremap, from, length, length, flags, to);
    if (moved != to)
        die("mremap");
    return moved;
}

/* The upper half of the mapping moves away and back while others touch the lower one. */
static void neighbours_move(void) {
    struct channel c = wide_pipe();
    uint64_t *source = (void *)region(SIZE), *landed = (void *)region(SIZE);
    byte *both = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    byte *upper = both + SIZE, *away = region(SIZE);
    shared = (void *)both;
    stamp(shared, 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start(look, (void *)i);
    for (uint64_t round = 1; round <= 60; round++) {
        stamp(source, round);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, landed, SIZE), SIZE);
        copy(shared, landed, SIZE);
        copy(upper, landed, SIZE);
        complete = round;
        move(upper, SIZE, away, round % 2);
        for (size_t page = round % 3; page < PAGES; page += 3)
            EXPECT(is_of((void *)away, page, round), 1);
        move(away, SIZE, upper, round % 4 < 2);
        for (size_t page = 0; page < PAGES; page++)
            EXPECT(is_of((void *)upper, page, round), 1);
        /* What the move left behind is nobody's: it can be mapped again, and is empty. */
        byte *again = mmap(away, SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        EXPECT(again == away, 1);
        EXPECT_ALL(away, SIZE, 0);
    }
    over = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Takes a copy under the lock, and works on it while the buffer is received into again. */
static void *take_copies(void *argument) {
    struct channel c = wide_pipe();
    uint64_t *mine = (void *)region(SIZE), *twin = (void *)region(SIZE),
             *back = (void *)region(SIZE);
    for (unsigned turn = (unsigned)(uintptr_t)argument; !over; turn++) {
        uint64_t round;
        pthread_mutex_lock(&lock);
        round = complete;
        copy(mine, shared, SIZE);
        if (turn % 3 == 0) /* touched by others as well */
            EXPECT(is_of(shared, turn % PAGES, round), 1);
        pthread_mutex_unlock(&lock);
        copy(twin, mine, SIZE);
        for (size_t page = turn % 2; page < PAGES; page += 2)
            EXPECT(is_of(mine, page, round), 1);
        EXPECT(write(c.out, twin, SIZE), SIZE);
        read_all(c.in, back, SIZE);
        for (size_t page = 0; page < PAGES; page++)
            EXPECT(is_of(back, page, round), 1);
        if (turn % 5 == 0)
            memset(mine, 0, SIZE);
    }
    return NULL;
}

static void handed_over(void) {
    struct channel c = wide_pipe();
    uint64_t *source = (void *)region(SIZE);
    shared = (void *)region(SIZE);
    stamp(shared, 0);
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads[i] = start(take_copies, (void *)(i * 7));
    for (uint64_t round = 1; round <= 600 && failures == 0; round++) {
        stamp(source, round);
        write_all(c.out, source, SIZE);
        pthread_mutex_lock(&lock);
        read_all(c.in, shared, SIZE);
        complete = round;
        pthread_mutex_unlock(&lock);
        if (round % 8 == 0)
            pause_ms(1);
    }
    over = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

SUBCASES({"faults-and-forks", faults_and_forks}, {"neighbours-move", neighbours_move},
         {"handed-over", handed_over})
