/* Random operations on sixteen buffers, each with a model: `fuzz run SEED OPERATIONS [STEPS]`. What
 * a step does depends on the seed, its number and the sizes of the buffers only, so a failing run
 * can be cut down by naming the steps to do, as in 3,17,18. The output says what each step did. */
#include "modelled.h"
#include <sys/uio.h>

enum { buffers = 16 };

struct buffer {
    struct memory memory;
    enum kind kind;
};

static struct buffer all[buffers];
static const size_t room = 2 * MIB; /* of a model */
static int file;
static const size_t file_size = 768 * KIB;

static size_t random_size(void) {
    static const size_t scales[] = {3 * PAGE, 24 * KIB, 80 * KIB, 200 * KIB, 700 * KIB};
    return 1 + choose(scales[choose(LENGTH_OF(scales))]);
}

static void make(struct buffer *buffer) {
    struct memory *memory = &buffer->memory;
    buffer->kind = choose(2) ? HEAP : MAPPED;
    memory->n = random_size();
    if (buffer->kind == MAPPED)
        memory->n = (memory->n + PAGE - 1) & -PAGE;
    if (memory->model == NULL)
        memory->model = map_private(room);
    bool cleared = choose(2);
    say("  %s buffer of %zu%s", buffer->kind == MAPPED ? "mapped" : "heap", memory->n,
        cleared && buffer->kind == HEAP ? ", cleared" : "");
    memory->at = buffer->kind == MAPPED ? map_private(memory->n)
                 : cleared              ? calloc(1, memory->n)
                                        : malloc(memory->n);
    need(memory->at != NULL, "memory");
    if (buffer->kind == HEAP && !cleared)
        memory_set(memory, 0, 0x44, memory->n);
    else
        model_set(memory->model, 0, memory->n);
}

static void unmake(struct buffer *buffer) {
    if (buffer->kind == HEAP)
        free(buffer->memory.at);
    else
        munmap(buffer->memory.at, buffer->memory.n);
}

struct range {
    size_t at, n;
};

/* Mostly large parts, some small ones, often the whole. */
static struct range range_of(const struct memory *memory) {
    struct range range = {0, memory->n};
    if (choose(4) != 0) {
        range.at = choose(memory->n);
        range.n = choose(memory->n - range.at + 1);
        if (choose(6) == 0 && range.n > 100)
            range.n = choose(100);
    }
    say("  %zu and on, %zu of %zu", range.at, range.n, memory->n);
    return range;
}

/* Whole pages of a mapping; where a heap block lies within its pages is the allocator's affair. */
static struct range pages_of(const struct buffer *buffer) {
    struct range range = range_of(&buffer->memory);
    size_t start = (range.at + PAGE - 1) & -PAGE, end = (range.at + range.n) & -PAGE;
    if (buffer->kind == HEAP || end <= start)
        return (struct range){0, 0};
    say("  pages: %zu and on, %zu", start, end - start);
    return (struct range){start, end - start};
}

/* ---- operations -------------------------------------------------------------------------------
 */

static void op_feed(struct buffer *b) {
    struct range r = range_of(&b->memory);
    memory_feed(&b->memory, r.at, r.n);
}

static void op_read(struct buffer *b) {
    struct range r = range_of(&b->memory);
    memory_feed_by_read(&b->memory, r.at, r.n);
}

static void op_feed_raw(struct buffer *b) {
    struct range r = range_of(&b->memory);
    stream_fill(b->memory.model + r.at, r.n, feed_raw(b->memory.at + r.at, r.n));
}

static void op_pread(struct buffer *b) {
    struct range r = range_of(&b->memory);
    size_t from = choose(file_size);
    ssize_t n = pread(file, b->memory.at + r.at, r.n, (off_t)from);
    need(n == (ssize_t)(r.n < file_size - from ? r.n : file_size - from), "pread");
    stream_fill(b->memory.model + r.at, (size_t)n, from);
}

static void op_preadv(struct buffer *b) {
    struct buffer *other = &all[choose(buffers)];
    if (other == b)
        return;
    struct range r = range_of(&b->memory), s = range_of(&other->memory);
    struct iovec pieces[2] = {{b->memory.at + r.at, r.n}, {other->memory.at + s.at, s.n}};
    ssize_t n = preadv(file, pieces, 2, 0);
    size_t came = r.n + s.n < file_size ? r.n + s.n : file_size;
    need(n == (ssize_t)came, "preadv");
    size_t first = r.n < came ? r.n : came;
    stream_fill(b->memory.model + r.at, first, 0);
    stream_fill(other->memory.model + s.at, came - first, first);
}

static void op_copy(struct buffer *b) {
    struct buffer *to = &all[choose(buffers)];
    struct range r = range_of(&b->memory);
    if (r.n > to->memory.n)
        r.n = to->memory.n;
    size_t at = choose(3) && b != to ? (choose(2) ? r.at % (to->memory.n - r.n + 1) : 0)
                                     : choose(to->memory.n - r.n + 1);
    say("  to %zu of buffer %td", at, to - all);
    if (b == to)
        memory_copy(&to->memory, at, &b->memory, r.at, r.n);
    else
        memory_copy_by(choose(2) ? memcpy : memmove, &to->memory, at, &b->memory, r.at, r.n);
}

static void op_shift(struct buffer *b) {
    struct range r = range_of(&b->memory);
    size_t by = choose(choose(2) ? 100 : 3 * PAGE);
    say("  by %zu", by);
    if (r.at + r.n + by > b->memory.n)
        return;
    if (choose(2))
        memory_copy(&b->memory, r.at + by, &b->memory, r.at, r.n);
    else
        memory_copy(&b->memory, r.at, &b->memory, r.at + by, r.n);
}

static void op_store(struct buffer *b) {
    struct range r = range_of(&b->memory);
    memory_store(&b->memory, r.at, (byte)choose(256), r.n < 40 ? r.n : choose(40));
}

static void op_set(struct buffer *b) {
    struct range r = range_of(&b->memory);
    memory_set(&b->memory, r.at, choose(2) ? 0 : (byte)choose(256), r.n);
}

static void op_resize(struct buffer *b) {
    struct memory *memory = &b->memory;
    size_t old = memory->n, n = random_size();
    say("  from %zu to %zu", old, n);
    if (b->kind == HEAP) {
        memory->at = realloc(memory->at, n);
        need(memory->at != NULL, "realloc");
        if (n > old)
            memory_set(memory, old, 0x45, n - old);
    } else {
        n = (n + PAGE - 1) & -PAGE;
        byte *moved = mremap(memory->at, old, n, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) { /* the kernel could not merge what other operations had split */
            need(errno == EFAULT, "mremap");
            moved = map_private(n);
            model_copy(moved, memory->at, n < old ? n : old);
            munmap(memory->at, old);
        }
        memory->at = moved;
        if (n > old)
            model_set(memory->model + old, 0, n - old);
    }
    memory->n = n;
}

static void op_replace(struct buffer *b) {
    unmake(b);
    make(b);
}

static void op_discard(struct buffer *b) {
    struct range r = pages_of(b);
    if (r.n == 0)
        return;
    byte *at = b->memory.at + r.at;
    switch (choose(4)) {
    case 0:
        need(madvise(at, r.n, MADV_DONTNEED) == 0, "madvise");
        break;
    case 1:
        need(syscall(SYS_madvise, at, r.n, MADV_DONTNEED) == 0, "SYS_madvise");
        break;
    case 2:
        munmap(at, r.n);
        need(mmap(at, r.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                  0) == at,
             "mmap");
        break;
    default:
        need((byte *)syscall(SYS_mmap, at, r.n, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) == at,
             "SYS_mmap");
    }
    model_set(b->memory.model + r.at, 0, r.n);
}

static void op_send(struct buffer *b) {
    struct range r = range_of(&b->memory);
    check_sent_range("send", &b->memory, r.at, r.n);
}

static void op_write_raw(struct buffer *b) {
    struct range r = range_of(&b->memory);
    static int out = -1;
    if (out < 0)
        out = memfd_create("out", MFD_CLOEXEC);
    need(syscall(SYS_pwrite64, out, b->memory.at + r.at, r.n, 0L) == (long)r.n, "SYS_pwrite64");
    static byte back[2 * MIB];
    need(syscall(SYS_pread64, out, back, r.n, 0L) == (long)r.n, "SYS_pread64");
    say("  raw write: %d", fnv(back, r.n) == fnv(b->memory.model + r.at, r.n));
}

static void op_writev(struct buffer *b) {
    struct buffer *other = &all[choose(buffers)];
    struct range r = range_of(&b->memory), s = range_of(&other->memory);
    struct iovec pieces[3] = {
        {b->memory.at + r.at, r.n}, {other->memory.at + s.at, s.n}, {b->memory.at + r.at, r.n / 2}};
    static int out = -1;
    if (out < 0)
        out = memfd_create("out", MFD_CLOEXEC);
    need(pwritev(out, pieces, 3, 0) == (ssize_t)(r.n + s.n + r.n / 2), "pwritev");
    static byte back[5 * MIB / 2];
    need(syscall(SYS_pread64, out, back, r.n + s.n + r.n / 2, 0L) == (long)(r.n + s.n + r.n / 2),
         "SYS_pread64");
    say("gathered: %d %d %d", fnv(back, r.n) == fnv(b->memory.model + r.at, r.n),
        fnv(back + r.n, s.n) == fnv(other->memory.model + s.at, s.n),
        fnv(back + r.n + s.n, r.n / 2) == fnv(b->memory.model + r.at, r.n / 2));
}

static void op_check(struct buffer *b) {
    struct range r = range_of(&b->memory);
    check_range("look", &b->memory, r.at, r.n);
}

static void op_protect(struct buffer *b) {
    struct range r = pages_of(b);
    if (r.n == 0)
        return;
    need(mprotect(b->memory.at + r.at, r.n, choose(2) ? PROT_READ : PROT_NONE) == 0, "mprotect");
    need(mprotect(b->memory.at + r.at, r.n, PROT_READ | PROT_WRITE) == 0, "mprotect");
}

static void op_lock(struct buffer *b) {
    struct range r = pages_of(b);
    if (r.n == 0 || mlock(b->memory.at + r.at, r.n) != 0)
        return;
    memory_feed(&b->memory, r.at, r.n);
    check_range("locked", &b->memory, r.at, r.n);
    need(munlock(b->memory.at + r.at, r.n) == 0, "munlock");
}

/* A child sees what its parent saw, and each may write without the other seeing it. */
static void op_fork(struct buffer *b) {
    if (choose(4))
        return;
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        memory_store(&b->memory, 0, 0x3c, 1);
        for (size_t i = 0; i < buffers; i += 3)
            check_range("child", &all[i].memory, 0, all[i].memory.n);
        _exit(0);
    }
    int status;
    need(waitpid(child, &status, 0) == child, "waitpid");
    say("child %d", status);
}

static const struct {
    const char *name;
    void (*run)(struct buffer *);
    size_t weight;
} operations[] = {
    {"recv", op_feed, 12},    {"read", op_read, 5},           {"raw recv", op_feed_raw, 2},
    {"pread", op_pread, 5},   {"preadv", op_preadv, 2},       {"copy", op_copy, 26},
    {"shift", op_shift, 6},   {"store", op_store, 6},         {"set", op_set, 4},
    {"resize", op_resize, 6}, {"replace", op_replace, 5},     {"discard", op_discard, 4},
    {"send", op_send, 9},     {"write raw", op_write_raw, 2}, {"writev", op_writev, 2},
    {"look", op_check, 7},    {"protect", op_protect, 2},     {"lock", op_lock, 1},
    {"fork", op_fork, 1},
};

/* Whether the list, such as "3,17,18", has the step; no list has them all. */
static bool wanted(const char *list, size_t step) {
    for (; list != NULL; list = strchr(list, ',') ? strchr(list, ',') + 1 : "")
        if (*list == 0 || strtoull(list, NULL, 10) == step)
            return *list != 0;
    return true;
}

static void run(void) {
    size_t total = 0, seed = argument(0, 1), count = argument(1, 400);
    const char *list = case_arguments[0] && case_arguments[1] ? case_arguments[2] : NULL;
    choose_from(seed);
    file = stream_file(file_size, 0);
    for (size_t i = 0; i < buffers; i++)
        make(&all[i]);
    for (size_t i = 0; i < LENGTH_OF(operations); i++)
        total += operations[i].weight;
    for (size_t step = 0; step < count; step++) {
        choose_from(seed << 32 | step);
        if (!wanted(list, step))
            continue;
        size_t chosen = choose(total), index = 0;
        while (chosen >= operations[index].weight)
            chosen -= operations[index++].weight;
        size_t which = choose(buffers);
        say("%zu: %s %zu", step, operations[index].name, which);
        operations[index].run(&all[which]);
    }
    for (size_t i = 0; i < buffers; i++)
        check("at the end", &all[i].memory);
}

static const struct sub_case cases[] = {{"run", run}};
VICTIM_MAIN(cases)
