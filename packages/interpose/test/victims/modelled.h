/* Memory with a model: every operation is done twice, on the memory by the libc call that is
 * tested, and on a model by plain byte loops. A check compares the two, so a victim finds its own
 * errors and says where they are. The models are private mappings that nothing is ever received
 * into or copied to by a libc call. */
#ifndef MODELLED_H
#define MODELLED_H

#include "victim.h"

struct memory {
    byte *at;
    byte *model;
    size_t n;
};

enum kind { HEAP, MAPPED };

/* Memory of n bytes that starts `offset` bytes into a page, filled with 0x11. */
UNUSED static struct memory memory_new(enum kind kind, size_t offset, size_t n) {
    struct memory made = {NULL, map_private(n + PAGE), n};
    made.at = kind == HEAP ? heap_at(offset, n) : map_private(offset + n + PAGE) + offset;
    memset(made.at, 0x11, n);
    for (size_t i = 0; i < n; i++)
        ((volatile byte *)made.model)[i] = 0x11;
    return made;
}

UNUSED static void memory_free(struct memory *memory, enum kind kind) {
    void *start = (void *)((uintptr_t)memory->at & -PAGE);
    if (kind == HEAP)
        free(start);
    else
        munmap(start, ((uintptr_t)memory->at & (PAGE - 1)) + memory->n + PAGE);
    munmap(memory->model, memory->n + PAGE);
    memory->at = memory->model = NULL;
}

UNUSED static void model_copy(byte *to, const byte *from, size_t n) {
    volatile byte *d = to;
    const volatile byte *s = from;
    if (to <= from)
        for (size_t i = 0; i < n; i++)
            d[i] = s[i];
    else
        for (size_t i = n; i-- > 0;)
            d[i] = s[i];
}

UNUSED static void model_set(byte *to, byte value, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((volatile byte *)to)[i] = value;
}

UNUSED static void memory_feed(struct memory *to, size_t at, size_t n) {
    stream_fill(to->model + at, n, feed(to->at + at, n));
}

UNUSED static void memory_feed_by_read(struct memory *to, size_t at, size_t n) {
    stream_fill(to->model + at, n, feed_by_read(to->at + at, n));
}

/* A copy by memmove; `memory_copy_by` takes any function of the same shape. */
typedef void *(*copier)(void *, const void *, size_t);

UNUSED static void memory_copy_by(copier copy, struct memory *to, size_t at, struct memory *from,
                                  size_t start, size_t n) {
    copy(to->at + at, from->at + start, n);
    model_copy(to->model + at, from->model + start, n);
}

UNUSED static void memory_copy(struct memory *to, size_t at, struct memory *from, size_t start,
                               size_t n) {
    memory_copy_by(memmove, to, at, from, start, n);
}

UNUSED static void memory_set(struct memory *to, size_t at, byte value, size_t n) {
    memset(to->at + at, value, n);
    model_set(to->model + at, value, n);
}

/* Stores without a libc call. */
UNUSED static void memory_store(struct memory *to, size_t at, byte value, size_t n) {
    model_set(to->at + at, value, n);
    model_set(to->model + at, value, n);
}

/* Prints whether memory and model agree in the range, else the first byte in which they do not. */
UNUSED static void check_range(const char *label, const struct memory *memory, size_t at,
                               size_t n) {
    const volatile byte *real = memory->at + at, *model = memory->model + at;
    for (size_t i = 0; i < n; i++)
        if (real[i] != model[i]) {
            size_t last = i;
            for (size_t j = i; j < n; j++)
                if (real[j] != model[j])
                    last = j;
            say("%s: byte %zu of %zu is %02x, the model has %02x (page + %zu; last wrong byte %zu)",
                label, at + i, memory->n, real[i], model[i],
                (size_t)(uintptr_t)&real[i] & (PAGE - 1), at + last);
            dump(label, memory->at + at, n);
            return;
        }
    say("%s: %zu bytes agree", label, n);
}

UNUSED static void check(const char *label, const struct memory *memory) {
    check_range(label, memory, 0, memory->n);
}

/* Sends the range without touching it; what arrives must be the model's bytes. */
UNUSED static void check_sent_range(const char *label, const struct memory *memory, size_t at,
                                    size_t n) {
    uint64_t arrived = sink_hash(memory->at + at, n), wanted = fnv(memory->model + at, n);
    if (arrived == wanted)
        say("%s: sent %zu bytes, they agree", label, n);
    else {
        say("%s: sent %zu bytes from %zu on, wrong ones arrived", label, n, at);
        check_range(label, memory, at, n);
    }
}

UNUSED static void check_sent(const char *label, const struct memory *memory) {
    check_sent_range(label, memory, 0, memory->n);
}

#endif
