/* The tracker with threads, by itself: no hook, no libc copy. Threads publish, copy, touch,
 * overwrite, discard, unmap and translate buffers that lie in the same granules, so that they meet
 * at the same stripes; a lock of the test's own for each buffer keeps the *bytes* free of races, so
 * that whatever ThreadSanitizer finds is the tracker's. Every byte is compared with a model. */
#include <pthread.h>
#include <sys/mman.h>

#include <zio/tracker.h>
#include <zio/syscall.h>

#include "harness.h"

enum {
    PAGE = 4096,
    PAGES = 20,
    BYTES = PAGES * PAGE,
    BUFFERS = 24,
    THREADS = 4,
#ifdef __SANITIZE_THREAD__
    OPERATIONS = 400, /* of each thread: ten times slower there */
#else
    OPERATIONS = 1200,
#endif
};

static struct zio_tracker tracker;
static struct zio_stats_counter counters[ZIO_COUNTER_COUNT];

struct buffer {
    pthread_rwlock_t lock;
    unsigned char *at;    /* BYTES, page-aligned */
    unsigned char *model; /* what must be there */
};
static struct buffer buffers[BUFFERS];
static unsigned char *arena;
static atomic_int overwritten;

struct chooser {
    uint64_t state;
};

static size_t choose(struct chooser *chooser, size_t limit) {
    chooser->state = chooser->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(chooser->state >> 33) % limit;
}

static uint64_t count(enum zio_counter counter) {
    return atomic_load(&counters[counter].value);
}

/* Plain loads: these are what faults. */
static void check(const struct buffer *buffer, size_t from, size_t to, size_t step) {
    const volatile unsigned char *at = buffer->at;
    for (size_t i = from; i < to; i += step)
        if (at[i] != buffer->model[i]) {
            fprintf(stderr, "buffer %td, byte %zu is %02x, not %02x\n", buffer - buffers, i, at[i],
                    buffer->model[i]);
            _exit(1);
        }
}

static void store(unsigned char *to, size_t from, size_t length, uint64_t seed) {
    volatile unsigned char *at = to;
    for (size_t i = from; i < from + length; i++)
        at[i] = (unsigned char)(seed + i * 7 + i / PAGE * 13) | 1;
}

static void model_move(unsigned char *to, const unsigned char *from, size_t length) {
    memmove(to, from, length);
}

/* ---- operations; the caller holds the buffer's lock for writing ------------------------------ */

static void publish(struct buffer *buffer, struct chooser *chooser) {
    size_t from = choose(chooser, 3) * 1000, length = BYTES - from - choose(chooser, 9000);
    uint64_t seed = choose(chooser, 1 << 20);
    size_t offset = (from % PAGE) + PAGE * choose(chooser, 2), delivered;
    struct zio_origin *origin = zio_origin_acquire(&tracker.pool, offset + length);
    if (!origin)
        return;
    store(origin->data, offset, length, seed);
    atomic_store(&origin->filled, offset + length);
    memcpy(buffer->model + from, origin->data + offset, length);
    zio_tracker_publish(&tracker, buffer->at + from, length, origin, offset, 1, &delivered);
    CHECK_EQ(delivered, length);
    zio_origin_release(origin);
}

/* The next message into the same bytes, if nobody else has them. */
static void overwrite_in_place(struct buffer *buffer, struct chooser *chooser) {
    size_t delivered;
    struct zio_origin *origin = zio_origin_acquire(&tracker.pool, BYTES);
    if (!origin)
        return;
    store(origin->data, 0, BYTES, 5);
    atomic_store(&origin->filled, BYTES);
    uint64_t changes = zio_tracker_changes(&tracker);
    zio_tracker_publish(&tracker, buffer->at, BYTES, origin, 0, 2, &delivered);
    uint64_t first = (uintptr_t)buffer->at >> ZIO_VIEW_MAP_GRANULE_SHIFT,
             last = ((uintptr_t)buffer->at + BYTES - 1) >> ZIO_VIEW_MAP_GRANULE_SHIFT;
    memcpy(buffer->model, origin->data, BYTES);
    atomic_store(&origin->filling,
                 1); /* our hold is that of a thread that waits to fill the rest */
    if (!zio_tracker_overwrite_begin(&tracker, origin, last - first + 1, changes + 1)) {
        atomic_store(&origin->filling, 0);
        zio_origin_release(origin);
        return;
    }
    /* As the kernel does: unseen by the sanitizer, which must not take it for a race with a fill.
     */
    unsigned char piece[512];
    size_t length = PAGE + choose(chooser, 3 * PAGE);
    store(piece, 0, sizeof piece, choose(chooser, 200));
    for (size_t done = 0; done < length; done += sizeof piece) {
        struct iovec from = {piece, sizeof piece}, to = {origin->data + done, sizeof piece};
        CHECK_EQ(zio_syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0), sizeof piece);
        memcpy(buffer->model + done, piece, sizeof piece);
    }
    length = (length + sizeof piece - 1) / sizeof piece * sizeof piece;
    zio_tracker_overwrite_end(&tracker, buffer->at, length, origin, 0, 2, changes + 1, &delivered);
    CHECK_EQ(delivered, length);
    overwritten++;
    zio_origin_release(origin); /* overwrite_begin's */
    atomic_store(&origin->filling, 0);
    zio_origin_release(origin);
}

static void copy_bytes(unsigned char *to, const unsigned char *from, size_t length) {
    if (zio_tracker_copy(&tracker, to, from, length))
        return;
    zio_tracker_overwrite(&tracker, to, length);
    memmove(to, from, length);
}

static void copy_from(struct buffer *to, const struct buffer *from, struct chooser *chooser) {
    size_t source = choose(chooser, 2) * choose(chooser, 5000);
    size_t target = choose(chooser, 3) ? source : choose(chooser, 5000);
    size_t room = BYTES - (source > target ? source : target);
    size_t length = room - choose(chooser, 2) * choose(chooser, room / 2);
    copy_bytes(to->at + target, from->at + source, length);
    model_move(to->model + target, from->model + source, length);
}

static void move_within(struct buffer *buffer, struct chooser *chooser) {
    size_t by = 1 + choose(chooser, 3 * PAGE), length = BYTES - by;
    size_t to = choose(chooser, 2) ? by : 0;
    copy_bytes(buffer->at + to, buffer->at + (by - to), length);
    model_move(buffer->model + to, buffer->model + (by - to), length);
}

static void overwrite(struct buffer *buffer, struct chooser *chooser) {
    size_t from = choose(chooser, BYTES / 2), length = 1 + choose(chooser, BYTES / 2 - 1);
    uint64_t seed = choose(chooser, 1000);
    zio_tracker_overwrite(&tracker, buffer->at + from, length);
    store(buffer->at, from, length, seed);
    store(buffer->model, from, length, seed);
}

static void zero(struct buffer *buffer, struct chooser *chooser) {
    size_t from = choose(chooser, BYTES / 2), length = 1 + choose(chooser, BYTES / 2 - 1);
    zio_tracker_zero(&tracker, buffer->at + from, length);
    memset(buffer->model + from, 0, length);
}

static void discard(struct buffer *buffer) {
    zio_tracker_discard(&tracker, buffer->at, BYTES);
    zio_tracker_overwrite(&tracker, buffer->at, BYTES);
    store(buffer->at, 0, BYTES, 77);
    store(buffer->model, 0, BYTES, 77);
}

/* The memory goes, by a way that raises no event or by one that does. */
static void take_away(struct buffer *buffer, struct chooser *chooser) {
    size_t from = choose(chooser, PAGES / 2) * PAGE, length = (1 + choose(chooser, 9)) * PAGE;
    unsigned char *at = buffer->at + from;
    struct zio_map_call advice = {.number = SYS_madvise,
                                  .arguments = {(long)at, (long)length, MADV_DONTNEED},
                                  .keeps_mapping = true,
                                  .skips_gaps = true};
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    struct zio_map_call map = {.number = SYS_mmap,
                               .arguments = {(long)at, (long)length, protection, flags, -1, 0}};
    switch (choose(chooser, 4)) {
    case 0:
        CHECK_EQ(zio_tracker_retire(&tracker, at, length, &advice), 0);
        break;
    case 1:
        CHECK_EQ(zio_tracker_retire(&tracker, at, length, &map), (long)at);
        break;
    case 2:
        CHECK_EQ(zio_syscall(SYS_madvise, at, length, MADV_DONTNEED), 0);
        break;
    default:
        CHECK_EQ(zio_syscall(SYS_mmap, at, length, protection, flags, -1, 0), (long)at);
    }
    memset(buffer->model + from, 0, length);
}

static void change(struct buffer *buffer, struct chooser *chooser) {
    switch (choose(chooser, 12)) {
    case 0:
    case 1:
    case 2:
        publish(buffer, chooser);
        break;
    case 3:
        overwrite_in_place(buffer, chooser);
        break;
    case 4:
    case 5:
        move_within(buffer, chooser);
        break;
    case 6:
        overwrite(buffer, chooser);
        break;
    case 7:
        zero(buffer, chooser);
        break;
    case 8:
        discard(buffer);
        break;
    case 9:
        CHECK(zio_tracker_materialise(&tracker, buffer->at + PAGE, BYTES / 2));
        break;
    default:
        take_away(buffer, chooser);
    }
    if (choose(chooser, 3) == 0)
        check(buffer, choose(chooser, PAGE), BYTES, 611);
}

/* ---- operations that only look; several at once on one buffer -------------------------------- */

static void translate(const struct buffer *buffer) {
    struct iovec pieces[64];
    struct zio_origin *origins[64];
    struct zio_tracker_holds holds = {0};
    int found = zio_tracker_translate(&tracker, buffer->at, BYTES, pieces, origins, 64, &holds);
    if (found <= 0)
        return;
    size_t at = 0;
    for (int i = 0; i < found; i++) {
        const volatile unsigned char *from = pieces[i].iov_base;
        for (size_t j = 0; j < pieces[i].iov_len; j += 97)
            CHECK_EQ(from[j], buffer->model[at + j]);
        at += pieces[i].iov_len;
    }
    CHECK_EQ(at, BYTES);
    zio_tracker_release(&tracker, origins, found, &holds);
}

static void look(const struct buffer *buffer, struct chooser *chooser) {
    if (choose(chooser, 3) == 0)
        translate(buffer);
    else
        check(buffer, choose(chooser, BYTES / 2), BYTES, 1 + choose(chooser, 2000));
}

static void fork_and_come_back(void) {
    zio_tracker_fork_prepare(&tracker);
    zio_tracker_fork_parent(&tracker);
}

static void *work(void *argument) {
    struct chooser chooser = {(uintptr_t)argument * 7919 + 1};
    for (int i = 0; i < OPERATIONS; i++) {
        struct buffer *one = &buffers[choose(&chooser, BUFFERS)];
        struct buffer *two = &buffers[choose(&chooser, BUFFERS)];
        size_t chosen = choose(&chooser, 100);
        if (chosen < 35) {
            pthread_rwlock_wrlock(&one->lock);
            change(one, &chooser);
            pthread_rwlock_unlock(&one->lock);
        } else if (chosen < 60 && one != two) {
            struct buffer *first = one < two ? one : two, *second = one < two ? two : one;
            pthread_rwlock_wrlock(&first->lock);
            pthread_rwlock_wrlock(&second->lock);
            copy_from(one, two, &chooser);
            pthread_rwlock_unlock(&second->lock);
            pthread_rwlock_unlock(&first->lock);
        } else if (chosen == 99) {
            fork_and_come_back();
        } else {
            pthread_rwlock_rdlock(&one->lock);
            look(one, &chooser);
            pthread_rwlock_unlock(&one->lock);
        }
    }
    return NULL;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void set_up(uint32_t disabled) {
    CHECK_EQ(zio_tracker_init(&tracker, 64 << 20, disabled, counters), 0);
    if (!zio_tracker_ready(&tracker))
        SKIP("no userfaultfd: %s", tracker.reason.text);
    size_t stride = BYTES + PAGE;
    arena =
        mmap(NULL, BUFFERS * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(arena != MAP_FAILED);
    for (int i = 0; i < BUFFERS; i++) {
        pthread_rwlock_init(&buffers[i].lock, NULL);
        buffers[i].at = arena + (size_t)i * stride;
        buffers[i].model = calloc(1, BYTES);
    }
}

static void everything_at_once(uint32_t disabled) {
    set_up(disabled);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < BUFFERS; i++)
        check(&buffers[i], 0, BYTES, 1);
    CHECK(count(ZIO_COUNT_elided_bytes) > 1 << 20);
    CHECK(count(ZIO_COUNT_faults) > 100);
    CHECK(count(ZIO_COUNT_events) > 10);
    CHECK(count(ZIO_COUNT_evictions) > 100);
    CHECK(atomic_load(&overwritten) > 0);
}

static void threads_do_everything_at_once(void) {
    everything_at_once(0);
}

static void threads_do_everything_at_once_without_move(void) {
    everything_at_once(ZIO_FEATURE_MOVE);
}

/* Nothing may keep an origin once no buffer shows it. */
static void origins_are_given_back(void) {
    everything_at_once(0);
    for (int i = 0; i < BUFFERS; i++)
        CHECK(zio_tracker_materialise(&tracker, buffers[i].at, BYTES));
    CHECK_EQ(atomic_load(&tracker.pool.live_count), 0);
}

static const struct test tests[] = {
    {"threads_do_everything_at_once", threads_do_everything_at_once},
    {"threads_do_everything_at_once_without_move", threads_do_everything_at_once_without_move},
    {"origins_are_given_back", origins_are_given_back},
};
TEST_MAIN(tests)
