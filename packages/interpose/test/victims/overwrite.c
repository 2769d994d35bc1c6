/* CASES 1 and 2: what the application writes into a buffer, or receives into it again, must not
 * show in the copies that were made before. */
#include "victim.h"

enum { pages = 64 };
static const size_t size =
    pages * PAGE + 1800; /* with the start offset below: fringes at both ends */

struct chain {
    byte *a, *b, *c;
    uint64_t from;
};

/* a <- network, b <- a, c <- b; `offset` of each buffer within its page. */
static struct chain make_chain(size_t a, size_t b, size_t c) {
    struct chain made = {heap_at(a, size), heap_at(b, size), heap_at(c, size), 0};
    made.from = feed(made.a, size);
    memcpy(made.b, made.a, size);
    memcpy(made.c, made.b, size);
    return made;
}

/* Where writes go: head fringe, first whole page, middle, page boundary, last whole page, tail
 * fringe. */
static const size_t spots[] = {
    0, 5, 4095, 4096, 4097, 32 * PAGE - 1, 32 * PAGE + 77, 63 * PAGE, 64 * PAGE - 1, size - 1};

static void write_then_look(size_t written) {
    for (size_t i = 0; i < LENGTH_OF(spots); i++) {
        struct chain chain = make_chain(1000, 1000, 1000);
        byte *targets[] = {chain.a, chain.b, chain.c};
        *(volatile byte *)(targets[written] + spots[i]) ^= 0xff;
        for (size_t other = 0; other < 3; other++)
            if (other != written)
                expect_stream("unwritten copy", targets[other], size, chain.from);
        show("written copy", targets[written], size);
    }
}

static void write_source(void) {
    write_then_look(0);
}

static void write_middle(void) {
    write_then_look(1);
}

static void write_end(void) {
    write_then_look(2);
}

static void write_then_send(void) {
    for (size_t i = 0; i < LENGTH_OF(spots); i++) {
        struct chain chain = make_chain(0, 0, 0);
        *(volatile byte *)(chain.a + spots[i]) ^= 0xff;
        sink("c", chain.c, size);
        sink("b", chain.b, size);
        sink("a", chain.a, size);
        *(volatile byte *)(chain.c + spots[i]) ^= 0x0f;
        sink("b", chain.b, size);
        sink("c", chain.c, size);
    }
}

/* How the written page is written. */
static void store(byte *at, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((volatile byte *)at)[i] = (byte)(i * 7 + 1);
}

static void by_memset(byte *at, size_t n) {
    memset(at, 0x33, n);
}

static void by_recv(byte *at, size_t n) {
    feed(at, n);
}

static void by_raw_recv(byte *at, size_t n) {
    feed_raw(at, n);
}

static void by_memcpy(byte *at, size_t n) {
    byte *plain = heap(n);
    store(plain, n);
    memcpy(at, plain, n);
    free(plain);
}

static void by_getrandom_like_kernel_write(byte *at, size_t n) {
    int fd = stream_file(n, 7);
    need(syscall(SYS_pread64, fd, at, n, 0L) == (long)n, "SYS_pread64");
    close(fd);
}

static void by_wide_stores(byte *at, size_t n) {
#if defined(__x86_64__)
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(0x44) : "memory");
#else
    for (volatile byte *p = at; n > 0; n--)
        *p++ = 0x44;
#endif
}

static void (*const writers[])(byte *, size_t) = {
    store,          by_memset, by_recv, by_raw_recv, by_memcpy, by_getrandom_like_kernel_write,
    by_wide_stores,
};

static void every_writer_on(size_t target, bool send_first) {
    static const size_t lengths[] = {1, 4096, 3 * PAGE + 11, 16 * PAGE, 40 * PAGE + 1};
    for (size_t w = 0; w < LENGTH_OF(writers); w++)
        for (size_t l = 0; l < LENGTH_OF(lengths); l++) {
            struct chain chain = make_chain(16, 16, 16);
            byte *targets[] = {chain.a, chain.b, chain.c};
            size_t at = l % 2 ? 5 * PAGE - 16 : 7 * PAGE + 123;
            writers[w](targets[target] + at, lengths[l]);
            if (send_first)
                for (size_t i = 0; i < 3; i++)
                    sink("sent", targets[i], size);
            for (size_t i = 0; i < 3; i++)
                if (i == target)
                    show("written", targets[i], size);
                else
                    expect_stream("kept", targets[i], size, chain.from);
            for (size_t i = 0; i < 3; i++)
                free((void *)((uintptr_t)targets[i] & -PAGE));
        }
}

static void writers_on_source(void) {
    every_writer_on(0, false);
}

static void writers_on_middle(void) {
    every_writer_on(1, true);
}

static void writers_on_end(void) {
    every_writer_on(2, true);
}

/* ---- receiving again --------------------------------------------------------------------------
 */

static void receive_again(void) {
    struct chain chain = make_chain(0, 8, 4000);
    uint64_t second = feed(chain.a, size);
    expect_stream("b keeps the first message", chain.b, size, chain.from);
    expect_stream("a has the second", chain.a, size, second);
    memcpy(chain.b, chain.a, size);
    uint64_t third = feed(chain.a, size);
    sink("c", chain.c, size);
    expect_stream("c keeps the first message", chain.c, size, chain.from);
    expect_stream("b has the second", chain.b, size, second);
    expect_stream("a has the third", chain.a, size, third);
}

static void generations(void) {
    enum { count = 48 };
    static byte *copies[count];
    static uint64_t from[count];
    byte *a = heap_at(argument(0, 0), size);
    for (size_t i = 0; i < count; i++) {
        from[i] = feed(a, size);
        copies[i] = heap_at(i * 131 % PAGE, size);
        memcpy(copies[i], a, size);
    }
    for (size_t i = 0; i < count; i += 3)
        sink("sent", copies[i], size);
    for (size_t i = count; i-- > 0;)
        expect_stream("generation", copies[i], size, from[i]);
}

/* Some generations are touched in part, overwritten or freed while later ones arrive. */
static void mixed_generations(void) {
    enum { count = 60, kept = 7 };
    byte *a = heap_at(0, size), *copies[kept] = {0};
    uint64_t from[kept] = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t now = feed(a, size);
        size_t slot = choose(kept);
        if (copies[slot] != NULL) {
            expect_stream("before replacement", copies[slot] + 8192, 3 * PAGE, from[slot] + 8192);
            sink("before replacement", copies[slot], size);
            if (choose(2)) {
                free(copies[slot]);
                copies[slot] = NULL;
            }
        }
        if (copies[slot] == NULL)
            copies[slot] = heap(size);
        memcpy(copies[slot], a, size);
        from[slot] = now;
        if (choose(3) == 0)
            a[choose(size)] ^= 1;
    }
    for (size_t i = 0; i < kept; i++)
        if (copies[i] != NULL)
            expect_stream("left over", copies[i], size, from[i]);
}

static void shorter_message(void) {
    static const size_t lengths[] = {1, 4095, 4096, 16384, 20000, 65536, 65537, 200000};
    for (size_t i = 0; i < LENGTH_OF(lengths); i++)
        for (size_t at = 0; at < 9000; at += 2999) {
            struct chain chain = make_chain(100, 100, 100);
            uint64_t second = feed(chain.a + at, lengths[i]);
            expect_stream("a before", chain.a, at, chain.from);
            expect_stream("a inside", chain.a + at, lengths[i], second);
            expect_stream("a after", chain.a + at + lengths[i], size - at - lengths[i],
                          chain.from + at + lengths[i]);
            expect_stream("b", chain.b, size, chain.from);
            expect_stream("c", chain.c, size, chain.from);
        }
}

static void receive_over_copy(void) {
    struct chain chain = make_chain(0, 0, 0);
    uint64_t second = feed(chain.b + 3 * PAGE + 9, 20 * PAGE);
    expect_stream("c", chain.c, size, chain.from);
    expect_stream("a", chain.a, size, chain.from);
    expect_stream("b inside", chain.b + 3 * PAGE + 9, 20 * PAGE, second);
    sink("b", chain.b, size);
    show("b", chain.b, size);
}

static void by_read_too(void) {
    byte *a = map_private(size), *b = map_private(size);
    uint64_t first = feed_by_read(a, size);
    memcpy(b, a, size);
    uint64_t second = feed_by_read(a, size);
    expect_stream("b", b, size, first);
    expect_stream("a", a, size, second);
    int fd = stream_file(size, 99);
    memcpy(b, a, size);
    need(read(fd, a, size) == (ssize_t)size, "read");
    expect_stream("b", b, size, second);
    expect_stream("a", a, size, 99);
    memcpy(b, a, size);
    need(pread(fd, a, size - 5000, 5000) == (ssize_t)size - 5000, "pread");
    expect_stream("b", b, size, 99);
    expect_stream("a", a, size - 5000, 99 + 5000);
    expect_stream("a's end", a + size - 5000, 5000, 99 + size - 5000);
}

static void long_chain(void) {
    enum { links = 12 };
    byte *link[links];
    for (size_t i = 0; i < links; i++)
        link[i] = heap_at(i % 3 ? 0 : i * 300, size);
    uint64_t from = feed(link[0], size);
    for (size_t i = 1; i < links; i++)
        memcpy(link[i], link[i - 1], size);
    for (size_t i = 0; i < links; i += 2)
        memset(link[i], (int)i, size / 2);
    sink("last", link[links - 1], size);
    for (size_t i = 0; i < links; i++)
        if (i % 2)
            expect_stream("kept", link[i], size, from);
        else
            show("half overwritten", link[i], size);
}

static const struct sub_case cases[] = {
    {"write-source", write_source},
    {"write-middle", write_middle},
    {"write-end", write_end},
    {"write-then-send", write_then_send},
    {"writers-on-source", writers_on_source},
    {"writers-on-middle", writers_on_middle},
    {"writers-on-end", writers_on_end},
    {"receive-again", receive_again},
    {"generations", generations},
    {"mixed-generations", mixed_generations},
    {"shorter-message", shorter_message},
    {"receive-over-copy", receive_over_copy},
    {"by-read-too", by_read_too},
    {"long-chain", long_chain},
};
VICTIM_MAIN(cases)
