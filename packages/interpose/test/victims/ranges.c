/* CASES 3 and 4: copies that start or end anywhere, over views, holes and plain memory, at every
 * alignment. */
#include "modelled.h"

static const size_t size = 48 * PAGE;

/* ---- partial overwrites -----------------------------------------------------------------------
 */

static const size_t offsets[] = {0, 1, 15, 64, 2048, 4095, 4096, 4097, 5 * PAGE, 7 * PAGE + 63};
static const size_t lengths[] = {1, 15, 4095, 4096, 4097, 8192, 16384, 17000, 20 * PAGE + 3};

enum how { BY_STORE, BY_MEMSET, BY_MEMCPY, BY_VIEW, BY_INPUT, HOWS };

static void overwrite(enum how how, struct memory *to, size_t at, size_t n, struct memory *plain,
                      struct memory *view) {
    switch (how) {
    case BY_STORE:
        memory_store(to, at, 0xcd, n);
        break;
    case BY_MEMSET:
        memory_set(to, at, 0xef, n);
        break;
    case BY_MEMCPY:
        memory_copy_by(memcpy, to, at, plain, 3, n);
        break;
    case BY_VIEW:
        memory_copy_by(memcpy, to, at, view, 5000, n);
        break;
    default:
        memory_feed(to, at, n);
    }
}

static void overwrite_everywhere(bool send_first) {
    struct memory source = memory_new(HEAP, 0, size), copy = memory_new(HEAP, 0, size);
    struct memory plain = memory_new(MAPPED, 0, size), view = memory_new(MAPPED, 0, size);
    memory_store(&plain, 0, 0x77, size);
    memory_feed(&view, 0, size);
    enum how how = (enum how)argument(0, 0);
    for (size_t o = 0; o < LENGTH_OF(offsets); o++)
        for (size_t l = 0; l < LENGTH_OF(lengths); l++) {
            memory_feed(&source, 0, size);
            memory_copy(&copy, 0, &source, 0, size);
            overwrite(how, &copy, offsets[o], lengths[l], &plain, &view);
            if (send_first)
                check_sent("overwritten", &copy);
            check("overwritten", &copy);
            check("source", &source);
        }
}

static void overwrite_then_send(void) {
    overwrite_everywhere(true);
}

static void overwrite_then_look(void) {
    overwrite_everywhere(false);
}

/* ---- whole destinations that are views already ------------------------------------------------
 */

static void copy_over_view(void) {
    static const size_t starts[] = {0, 1, 4096, 6000};
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size),
                  c = memory_new(HEAP, 500, size);
    struct memory plain = memory_new(HEAP, 0, size);
    for (size_t s = 0; s < LENGTH_OF(starts); s++) {
        memory_feed(&a, 0, size);
        memory_feed(&b, 0, size);
        memory_copy(&c, 0, &a, 0, size);
        memory_copy(&c, starts[s], &b, starts[s], size - starts[s]); /* views over views */
        check_sent("views over views", &c);
        memory_copy(&c, starts[s], &b, 0, size - starts[s]);
        check_sent("views over views, shifted", &c);
        memory_copy(&c, starts[s], &plain, 0, size - starts[s]); /* bytes over views */
        check_sent("bytes over views", &c);
        memory_copy(&b, 0, &plain, 0, size);
        memory_copy(&b, starts[s], &a, starts[s], size - starts[s]); /* views over resident bytes */
        check_sent("views over bytes", &b);
        check("a", &a);
        check("b", &b);
        check("c", &c);
    }
}

/* ---- every alignment --------------------------------------------------------------------------
 */

static void alignments(void) {
    static const size_t inside[] = {0, 1, 8, 63, 511, 2048, 4095};
    size_t n = 20 * PAGE + argument(0, 0);
    for (size_t s = 0; s < LENGTH_OF(inside); s++)
        for (size_t d = 0; d < LENGTH_OF(inside); d++) {
            struct memory source = memory_new(HEAP, inside[s], n + 2 * PAGE);
            struct memory target = memory_new(MAPPED, inside[d], n + 2 * PAGE);
            memory_feed(&source, 0, n + 2 * PAGE);
            memory_copy_by(memcpy, &target, 0, &source, 0, n);
            check_sent("target", &target);
            memory_copy_by(memcpy, &target, 777, &source, 888, n);
            check_sent("target", &target);
            check("target", &target);
            check("source", &source);
            memory_free(&source, HEAP);
            memory_free(&target, MAPPED);
        }
}

static void lengths_of_all_sizes(void) {
    static const size_t n[] = {
        0,     1,     4095,  4096,    8191,           12288,       16383,   16384,  16385, 20479,
        32768, 65535, 65536, MIB + 1, 3 * MIB - 4095, 8 * MIB + 5, 4 * MIB, 131072, 24577};
    size_t most = 8 * MIB + 2 * PAGE;
    struct memory source = memory_new(MAPPED, 100, most), target = memory_new(MAPPED, 200, most);
    for (size_t i = 0; i < LENGTH_OF(n); i++) {
        memory_feed(&source, 50, n[i]);
        memory_copy_by(memcpy, &target, 60, &source, 50, n[i]);
        check_sent_range("sent", &target, 0, n[i] + 500);
        if (i % 3 == 0)
            check_range("target", &target, 0, n[i] + 500);
    }
    check("source", &source);
    check("target", &target);
}

/* ---- views and holes --------------------------------------------------------------------------
 */

/* Received pieces of several sizes with plain memory between them. */
static struct memory patchwork(size_t offset) {
    struct memory made = memory_new(HEAP, offset, 80 * PAGE);
    size_t at = 300;
    for (size_t n = 17000; at + n + 3000 < made.n; n += 9001) {
        memory_feed(&made, at, n);
        at += n + (n % 3) * 1500;
    }
    memory_store(&made, 20 * PAGE + 5, 0x99, 1);    /* a page materialised inside a view */
    memory_store(&made, 40 * PAGE, 0x98, 2 * PAGE); /* two pages overwritten */
    return made;
}

static void spanning(void) {
    for (size_t shift = 0; shift < 3 * PAGE; shift += 1365) {
        struct memory source = patchwork(shift % PAGE), target = memory_new(MAPPED, 0, 84 * PAGE);
        memory_copy_by(memcpy, &target, shift, &source, 0, source.n);
        check_sent("target", &target);
        check("source", &source);
        memory_copy_by(memcpy, &target, 0, &source, shift, source.n - shift);
        check("target", &target);
        memory_free(&source, HEAP);
        memory_free(&target, MAPPED);
    }
}

static void subranges(void) {
    struct memory source = patchwork(0), target = memory_new(HEAP, 0, 84 * PAGE);
    choose_from(argument(0, 1));
    for (int i = 0; i < 60; i++) {
        size_t n = choose(source.n), from = choose(source.n - n), to = choose(target.n - n);
        memory_copy_by(memcpy, &target, to, &source, from, n);
        if (choose(4) == 0)
            memory_store(&target, choose(target.n), (byte)i, 1);
        size_t sent = choose(target.n);
        check_sent_range("subrange", &target, sent, choose(target.n - sent));
    }
    check("target", &target);
    check("source", &source);
}

/* One buffer put together from slices of many, as a join does, and the reverse. */
static void join_and_slice(void) {
    enum { parts = 12 };
    struct memory part[parts], joined = memory_new(HEAP, 0, parts * 80000);
    for (size_t i = 0; i < parts; i++) {
        part[i] = memory_new(HEAP, i * 401, 80000);
        memory_feed(&part[i], 0, 80000);
    }
    size_t at = 0;
    for (size_t i = 0; i < parts; i++) {
        memory_copy_by(memcpy, &joined, at, &part[i], i * 10, 79000);
        at += 79000;
    }
    check_sent_range("joined", &joined, 0, at);
    for (size_t i = 0; i < parts; i++)
        memory_copy_by(memcpy, &part[parts - 1 - i], 17, &joined, i * 79000 + 4, 78001);
    for (size_t i = 0; i < parts; i++)
        check(i % 2 ? "odd part" : "even part", &part[i]);
    check("joined", &joined);
}

/* The origin of a short message ends early: what lies behind it keeps the old bytes. */
static void short_message(void) {
    static const size_t came[] = {16384, 20000, 65536, 100001, 4 * PAGE + 1, 131071};
    for (size_t i = 0; i < LENGTH_OF(came); i++) {
        int ends[2];
        socket_pair(ends);
        struct memory buffer = memory_new(HEAP, i * 100, MIB), copy = memory_new(HEAP, 0, MIB);
        memory_feed(&copy, 0, came[i]);
        stream_fill(buffer.model, came[i], feed_position);
        byte *plain = map_private(came[i]);
        feed_raw(plain, came[i]);
        write_all(ends[1], plain, came[i]);
        close(ends[1]);
        need(recv(ends[0], buffer.at, MIB, MSG_WAITALL) == (ssize_t)came[i], "recv");
        need(recv(ends[0], buffer.at, MIB, 0) == 0, "end of input");
        close(ends[0]);
        memory_copy_by(memcpy, &copy, 11, &buffer, 0, MIB - 11);
        check_sent("copy", &copy);
        check_range("the page in which the message ends", &buffer, came[i] & -PAGE, 2 * PAGE);
        check("buffer", &buffer);
        check("copy", &copy);
    }
}

/* The same bytes reach one buffer twice, and a buffer is copied to two places of itself. */
static void within_one_buffer(void) {
    struct memory buffer = memory_new(HEAP, 0, 120 * PAGE);
    memory_feed(&buffer, 100, 20 * PAGE);
    for (size_t to = 21 * PAGE; to + 20 * PAGE < buffer.n; to += 21 * PAGE + 1)
        memory_copy_by(memcpy, &buffer, to, &buffer, 100, 20 * PAGE);
    check_sent("buffer", &buffer);
    memory_store(&buffer, 5 * PAGE, 1, 10);
    memory_copy_by(memcpy, &buffer, 30 * PAGE + 7, &buffer, 3, 20 * PAGE);
    check_sent("buffer", &buffer);
    check("buffer", &buffer);
}

static const struct sub_case cases[] = {
    {"overwrite-then-send", overwrite_then_send},
    {"overwrite-then-look", overwrite_then_look},
    {"copy-over-view", copy_over_view},
    {"alignments", alignments},
    {"lengths", lengths_of_all_sizes},
    {"spanning", spanning},
    {"subranges", subranges},
    {"join-and-slice", join_and_slice},
    {"short-message", short_message},
    {"within-one-buffer", within_one_buffer},
};
VICTIM_MAIN(cases)
