/* Trap 8: one thread maps and unmaps, by calls that are hooked and by direct ones, while others
 * receive and copy at the very addresses that were just given back. An event about the old
 * mapping that is handled late must not take away the new view. */
#include "channels.h"
#include "direct_call.h"
#include <sched.h>

enum { OLD = 1 };
#define SIZE   (64 * KIB)
#define RUN_MS 350

static atomic_int stop;

/* A mailbox of addresses that one thread unmaps and another maps again. */
static _Atomic(byte *) mailbox[4];

static void raw_unmap(void *at, size_t length) {
    static _Atomic unsigned turn;
    if (turn++ % 3 ? DIRECT(SYS_munmap, at, length) : syscall(SYS_munmap, at, length))
        die("munmap");
}

struct storm {
    unsigned number;
    int way;
};

/* Unmaps what it finds in the mailbox and says so by the lowest bit. */
static void *unmapper(void *argument) {
    struct storm *s = argument;
    for (unsigned turn = 0; !stop; turn++) {
        byte *at = mailbox[s->number];
        if (!at || (uintptr_t)at & 1) {
            sched_yield();
            continue;
        }
        if (s->way == 0)
            munmap(at, SIZE);
        if (s->way == 1)
            raw_unmap(at, SIZE);
        if (s->way == 2)
            (turn % 2 ? raw_unmap(at, SIZE) : (void)munmap(at, SIZE));
        mailbox[s->number] = at + 1;
    }
    return NULL;
}

/* Receives, copies, hands the source over, and at once maps its address again. */
static void *viewer(void *argument) {
    struct storm *s = argument;
    struct channel c = wide_pipe();
    byte *source = region(SIZE);
    byte *reused = NULL;
    for (unsigned turn = 0; !stop; turn++) {
        unsigned stream = s->number * 100000 + turn % 1000;
        int fixed = reused ? MAP_FIXED_NOREPLACE : 0;
        byte *at =
            mmap(reused, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
        byte *copied = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED || copied == MAP_FAILED)
            die("mmap");
        fill(source, SIZE, stream, 0);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, at, SIZE), SIZE);
        copy(copied, at, SIZE);
        if (turn % 3 == 0)
            EXPECT_BYTES(at, SIZE, stream, 0);
        mailbox[s->number] = at;
        if (turn % 4 == 1)
            write_all(c.out, copied, SIZE);
        while (!((uintptr_t)mailbox[s->number] & 1))
            if (stop)
                return NULL;
        reused = mailbox[s->number] - 1;
        if (turn % 4 == 1)
            EXPECT_STREAM(c.in, SIZE, stream, 0);
        EXPECT_BYTES(copied, SIZE, stream, 0);
        if (turn % 2)
            munmap(copied, SIZE);
        else
            raw_unmap(copied, SIZE);
        if (failures > 10)
            break;
    }
    close_channel(c);
    return NULL;
}

/* Maps and unmaps for its own sake, so that addresses are given out again and again. */
static void *gale(void *argument) {
    size_t length = SIZE * (1 + (size_t)(uintptr_t)argument % 3);
    for (unsigned turn = 0; !stop; turn++) {
        byte *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            die("mmap");
        for (size_t i = 0; i < length; i += PAGE) {
            if (at[i])
                EXPECT(at[i], 0);
            at[i] = 7;
        }
        if (turn % 3 == 0)
            raw_unmap(at, length);
        if (turn % 3 == 1)
            munmap(at, length);
        if (turn % 3 == 2) {
            raw_unmap(at + PAGE, length - PAGE);
            munmap(at, PAGE);
        }
    }
    return NULL;
}

static void storm(int way) {
    pthread_t threads[6];
    struct storm settings[2] = {{0, way}, {1, way}};
    int count = 0;
    for (int i = 0; i < 2; i++) {
        threads[count++] = start(unmapper, &settings[i]);
        threads[count++] = start(viewer, &settings[i]);
    }
    threads[count++] = start(gale, (void *)1);
    pause_ms(RUN_MS);
    stop = 1;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}
static void hooked(void) {
    storm(0);
}
static void raw(void) {
    storm(1);
}
static void mixed(void) {
    storm(2);
}

static byte *arena;
enum { SLOTS = 8 };
static _Atomic unsigned owner[SLOTS]; /* 0 free, 1 taken by the viewer, 2 by the adviser */

/* Advises slots of one large mapping away, or maps new memory over them. */
static void *adviser(void *argument) {
    int way = (int)(intptr_t)argument;
    for (unsigned turn = 0; !stop; turn++) {
        unsigned slot = turn % SLOTS, none = 0;
        byte *at = arena + slot * SIZE;
        if (!atomic_compare_exchange_strong(&owner[slot], &none, 2))
            continue;
        if (way == 0 && DIRECT(SYS_madvise, at, SIZE, MADV_DONTNEED))
            die("madvise");
        if (way == 1 && madvise(at, SIZE, MADV_DONTNEED))
            die("madvise");
        if (way == 2)
            DIRECT(SYS_mmap, at, SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (way == 3)
            mmap(at, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        EXPECT_ALL(at, PAGE, 0);
        if (turn % 2)
            EXPECT_ALL(at + SIZE - PAGE, PAGE, 0);
        owner[slot] = 0;
    }
    return NULL;
}

static void *slot_viewer(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    struct channel c = wide_pipe();
    byte *source = region(SIZE), *copied = region(SIZE);
    for (unsigned turn = 0; !stop && failures < 10; turn++) {
        unsigned slot = (turn * 5 + seed) % SLOTS, none = 0, stream = seed * 1000 + turn % 100;
        byte *at = arena + slot * SIZE;
        if (!atomic_compare_exchange_strong(&owner[slot], &none, 1))
            continue;
        fill(source, SIZE, stream, 0);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, at, SIZE), SIZE);
        copy(copied, at, SIZE);
        if (turn % 2)
            EXPECT_BYTES(at, SIZE, stream, 0);
        EXPECT_BYTES(copied, SIZE, stream, 0);
        owner[slot] = 0;
    }
    close_channel(c);
    return NULL;
}

static void advised(void) {
    arena = region(SLOTS * SIZE);
    for (intptr_t way = 0; way < 4; way++) {
        stop = 0;
        madvise(arena, SLOTS * SIZE, MADV_DONTNEED);
        pthread_t threads[3] = {start(adviser, (void *)way), start(slot_viewer, (void *)1),
                                start(slot_viewer, (void *)2)};
        pause_ms(RUN_MS / 3);
        stop = 1;
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
}

/* Mappings are moved by mremap, raw, while other threads view next to them. */
static void *mover(void *argument) {
    (void)argument;
    struct channel c = wide_pipe();
    byte *source = region(SIZE);
    for (unsigned turn = 0; !stop && failures < 10; turn++) {
        fill(source, SIZE, turn % 50, 0);
        byte *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        write_all(c.out, source, SIZE);
        EXPECT(read(c.in, at, SIZE), SIZE);
        byte *copied = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        copy(copied, at, SIZE);
        byte *moved = turn % 2
                          ? mremap(at, SIZE, 2 * SIZE, MREMAP_MAYMOVE)
                          : (byte *)DIRECT(SYS_mremap, at, SIZE, 2 * SIZE, MREMAP_MAYMOVE, NULL);
        if (moved == MAP_FAILED)
            die("mremap");
        if (turn % 3)
            EXPECT_BYTES(moved, SIZE, turn % 50, 0);
        EXPECT_ALL(moved + SIZE, PAGE, 0);
        EXPECT_BYTES(copied, SIZE, turn % 50, 0);
        munmap(moved, 2 * SIZE);
        raw_unmap(copied, SIZE);
    }
    close_channel(c);
    return NULL;
}
static void moved(void) {
    pthread_t threads[3] = {start(mover, NULL), start(mover, NULL), start(gale, (void *)2)};
    pause_ms(RUN_MS);
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

SUBCASES({"hooked", hooked}, {"raw", raw}, {"mixed", mixed}, {"advised", advised}, {"moved", moved})
