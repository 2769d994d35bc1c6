/* Traps 13 and 16: pages are filled while other threads cut and make views of them anew. Every
 * word carries the generation that wrote it; nobody may ever see a word go back to an older
 * generation, or to zero. */
#include "channels.h"
#include <sched.h>

#define SIZE   (64 * KIB)
#define WORDS  (SIZE / sizeof(uint64_t))
#define RUN_MS 300

static atomic_int stop;
static volatile uint64_t *shared;
static atomic_int complaints;

static void fill_generation(uint64_t *into, uint64_t generation) {
    volatile uint64_t *to = into;
    for (size_t i = 0; i < WORDS; i++)
        to[i] = generation;
}

static void complain(const char *what, size_t word, uint64_t before, uint64_t now) {
    if (complaints++ < 5)
        say("%s: word %zu of page %zu went from %llu to %llu\n", what, word % 512, word / 512,
            (unsigned long long)before, (unsigned long long)now);
    failures++;
}

/* Loads one word of every page, in an order of its own, again and again. */
static void *reader(void *argument) {
    uint64_t seen[SIZE / PAGE] = {0};
    size_t word = (size_t)(uintptr_t)argument % 512;
    for (unsigned turn = 0; !stop; turn++)
        for (size_t i = 0; i < SIZE / PAGE; i++) {
            size_t page = turn % 2 ? SIZE / PAGE - 1 - i : i;
            uint64_t now = __atomic_load_n(&shared[page * 512 + word], __ATOMIC_ACQUIRE);
            if (now < seen[page])
                complain("read", page * 512 + word, seen[page], now);
            seen[page] = now;
        }
    return NULL;
}

/* Copies all of it to memory of its own, which may become a view, and looks there. */
static void *copier(void *argument) {
    uint64_t *mine = (void *)region(SIZE);
    uint64_t seen[WORDS] = {0};
    (void)argument;
    for (unsigned turn = 0; !stop; turn++) {
        copy(mine, (const void *)shared, SIZE);
        for (size_t i = turn % 97; i < WORDS; i += 97) {
            uint64_t now = ((volatile uint64_t *)mine)[i];
            if (now < seen[i])
                complain("copy", i, seen[i], now);
            seen[i] = now;
        }
    }
    return NULL;
}

/* Sends all of it, and looks at what arrives. */
static void *sender(void *argument) {
    struct channel c = wide_pipe();
    uint64_t piece[512];
    uint64_t seen[WORDS] = {0};
    (void)argument;
    while (!stop) {
        EXPECT(write(c.out, (const void *)shared, SIZE), SIZE);
        for (size_t at = 0; at < WORDS; at += 512) {
            read_all(c.in, piece, sizeof piece);
            for (size_t i = 0; i < 512; i++) {
                if (piece[i] < seen[at + i])
                    complain("send", at + i, seen[at + i], piece[i]);
                seen[at + i] = piece[i];
            }
        }
    }
    return NULL;
}

/* Counts in the last word of every stretch, as a program that owns those words would. */
#define STRETCH   (32 * KIB)
#define STRETCHES (size_t)8
static void *toucher(void *argument) {
    (void)argument;
    for (uint64_t count = 1; !stop; count++)
        for (size_t i = 1; i <= STRETCHES; i++) {
            size_t word = i * STRETCH / 8 - 1;
            uint64_t old = __atomic_load_n(&shared[word], __ATOMIC_ACQUIRE);
            if (old != count - 1)
                complain("own word", word, count - 1, old);
            __atomic_store_n(&shared[word], count, __ATOMIC_RELEASE);
        }
    return NULL;
}

enum { BY_COPY = 1, BY_INPUT = 2, BY_PIECES = 4, BY_MOVE = 8 };

static void generations(int how, void *(*const others[])(void *), size_t count) {
    struct channel c = wide_pipe();
    uint64_t *source = (void *)region(SIZE), *landed = (void *)region(SIZE);
    pthread_t threads[4];
    shared = (void *)region(SIZE);
    for (size_t i = 0; i < count; i++)
        threads[i] = start(others[i], (void *)(uintptr_t)(i * 131 + 3));
    double end = now_ms() + RUN_MS;
    for (uint64_t generation = 1; now_ms() < end && complaints < 5; generation++) {
        fill_generation(source, generation);
        write_all(c.out, source, SIZE);
        int now =
            how & (BY_COPY | BY_INPUT) ? (generation % 2 ? how & BY_COPY : how & BY_INPUT) : 0;
        if (!now)
            now = how & (BY_COPY | BY_INPUT);
        if (now == BY_INPUT) {
            EXPECT(read(c.in, (void *)shared, SIZE), SIZE);
            continue;
        }
        EXPECT(read(c.in, landed, SIZE), SIZE);
        if (how & BY_PIECES) {
            for (size_t at = 0; at < SIZE; at += 20000)
                copy((byte *)shared + at, (byte *)landed + at,
                     SIZE - at < 20000 ? SIZE - at : 20000);
        } else if (how & BY_MOVE) {
            memmove((void *)shared, landed, SIZE);
        } else {
            copy((void *)shared, landed, SIZE);
        }
    }
    stop = 1;
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    close_channel(c);
}

static void copies_and_readers(void) {
    generations(BY_COPY, (void *(*const[])(void *)){reader, reader, reader}, 3);
}
static void inputs_and_readers(void) {
    generations(BY_INPUT, (void *(*const[])(void *)){reader, reader, reader}, 3);
}
static void both_and_all(void) {
    generations(BY_COPY | BY_INPUT, (void *(*const[])(void *)){reader, copier, sender}, 3);
}
static void pieces_and_copiers(void) {
    generations(BY_COPY | BY_PIECES, (void *(*const[])(void *)){copier, copier, reader}, 3);
}
static void moves_and_senders(void) {
    generations(BY_COPY | BY_MOVE, (void *(*const[])(void *)){sender, reader}, 2);
}

/* Two threads make views of neighbouring halves of one buffer that shares a page. */
static void *left_half(void *argument) {
    struct channel c = wide_pipe();
    byte *base = argument, *source = region(SIZE), *landed = region(SIZE);
    for (unsigned turn = 0; !stop; turn++) {
        unsigned stream = 10 + turn % 50;
        fill(source, 30000, stream, 0);
        write_all(c.out, source, 30000);
        EXPECT(read(c.in, landed, 30000), 30000);
        copy(base, landed, 30000);
        EXPECT_BYTES(base, 30000, stream, 0);
        if (failures > 5)
            break;
    }
    return NULL;
}
static void *right_half(void *argument) {
    struct channel c = wide_pipe();
    byte *base = (byte *)argument + 30000, *source = region(SIZE);
    for (unsigned turn = 0; !stop; turn++) {
        unsigned stream = 100 + turn % 50;
        fill(source, 30000, stream, 0);
        write_all(c.out, source, 30000);
        EXPECT(read(c.in, base, 30000), 30000);
        EXPECT_BYTES(base, 30000, stream, 0);
        if (failures > 5)
            break;
    }
    return NULL;
}
static void shared_pages(void) {
    byte *base = region(SIZE);
    pthread_t one = start(left_half, base), two = start(right_half, base);
    pause_ms(RUN_MS);
    stop = 1;
    pthread_join(one, NULL), pthread_join(two, NULL);
}

/* A thread counts in one word of each stretch while input lands in the rest of it. */
static void neighbours(void) {
    struct channel c = wide_pipe();
    struct iovec parts[STRETCHES];
    size_t each = STRETCH - 8, total = STRETCHES * each;
    byte *source = region(total);
    shared = (void *)region(STRETCHES * STRETCH);
    pthread_t other = start(toucher, NULL);
    double end = now_ms() + RUN_MS;
    for (unsigned turn = 0; now_ms() < end && failures < 5; turn++) {
        byte *base = (byte *)shared;
        for (size_t i = 0; i < STRETCHES; i++)
            parts[i] = (struct iovec){base + i * STRETCH, each};
        fill(source, total, turn % 30, 0);
        write_all(c.out, source, total);
        if (turn % 2)
            EXPECT(readv(c.in, parts, (int)STRETCHES), total);
        else
            for (size_t i = 0; i < STRETCHES; i++)
                EXPECT(read(c.in, base + i * STRETCH, each), each);
        for (size_t i = 0; i < STRETCHES; i++)
            EXPECT_BYTES(base + i * STRETCH, each, turn % 30, i * each);
    }
    stop = 1;
    pthread_join(other, NULL);
}

SUBCASES({"copies", copies_and_readers}, {"inputs", inputs_and_readers}, {"all", both_and_all},
         {"pieces", pieces_and_copiers}, {"moves", moves_and_senders},
         {"shared-pages", shared_pages}, {"neighbours", neighbours})
