/* CASE 5, what reads: string and search functions that run into viewed memory inside libc, and
 * copies that the compiler wrote out, in every width the machine has. */
#include "modelled.h"
#include <alloca.h>
#include <immintrin.h>
#include <strings.h>
#include <wchar.h>

static const size_t size = 40 * PAGE;

/* A received text of `size - 1` characters, as a copy that nothing has touched but its last page.
 */
static char *received_text(size_t offset) {
    byte *source = heap(size), *text = heap_at(offset, size);
    feed(source, size);
    memcpy(text, source, size);
    free(source);
    text[size - 1] = 0;
    return (char *)text;
}

/* ---- string functions -------------------------------------------------------------------------
 */

static void lengths(void) {
    for (size_t offset = 0; offset < 200; offset += 33) {
        say("strlen %zu", strlen(received_text(offset)));
        say("strnlen %zu", strnlen(received_text(offset), size / 2));
        say("wcslen %zu", wcsnlen((wchar_t *)(void *)received_text(offset & -4u), size / 8));
        char *text = received_text(offset);
        text[30 * PAGE + 5] = 0;
        say("strlen %zu", strlen(text));
    }
}

static void searches(void) {
    char *a = received_text(5), *b = received_text(5), *c = received_text(9);
    b[33 * PAGE] = 1;
    say("memchr %td", (char *)memchr(b, 1, size) - b);
    say("memrchr %td", (char *)memrchr(c, 0x5a, size - 1) - c);
    say("rawmemchr %td", (char *)rawmemchr(a, 0) - a);
    say("strchr %td", strchr(b, 1) - b);
    say("strrchr %d", *strrchr(received_text(2), 0x41));
    static const byte needle[] = {0xfe, 0x5a};
    char *found = memmem(a, size, needle, sizeof needle);
    say("memmem %td", found ? found - a : -1);
    say("strcspn %zu", strcspn(received_text(3), "\x01"));
    say("strspn %zu", strspn(received_text(3), "abc"));
    say("strpbrk %td", strpbrk(c, "\x02\x03") - c);
}

static int sign(int value) {
    return (value > 0) - (value < 0);
}

static void comparisons(void) {
    byte *source = heap(size), *a = heap_at(0, size), *b = heap_at(77, size);
    for (size_t at = 100; at < size; at += 3 * PAGE + 1) {
        feed(source, size);
        memcpy(a, source, size);
        memcpy(b, source, size);
        say("equal: memcmp %d bcmp %d", memcmp(a, b, size), bcmp(a, source, size));
        memcpy(a, source, size);
        memcpy(b, source, size);
        b[at] ^= 0x40;
        say("unequal: memcmp %d %d %d", sign(memcmp(a, b, size)), sign(memcmp(b, source, at)),
            sign(memcmp(b, source, at + 1)));
        a[size - 1] = b[size - 1] = 0;
        say("unequal: strcmp %d strncmp %d", sign(strcmp((char *)a, (char *)b)),
            sign(strncmp((char *)a, (char *)b, at)));
    }
}

static void string_copies(void) {
    static char target[64 * PAGE];
    char *text = received_text(100);
    show("strncpy", strncpy(target, text, size), size);
    show("stpncpy", stpncpy(target, received_text(1), size) - size + 1, size - 1);
    show("strcpy", strcpy(target, received_text(2)), size);
    show("stpcpy", stpcpy(target, received_text(3)) - size + 1, size);
    target[5000] = 0;
    show("strcat", strcat(target, received_text(4)), size + 5000);
    target[9000] = 0;
    show("strncat", strncat(target, received_text(5), size / 2), size / 2 + 9000);
    show("strdup", strdup(received_text(6)), size);
    show("strndup", strndup(received_text(7), size / 3), size / 3);
    text = received_text(8);
    text[20 * PAGE] = 1;
    char *end = memccpy(target, text, 1, size);
    show("memccpy", target, (size_t)(end - target));
    swab(received_text(9), target, (ssize_t)size);
    show("swab", target, size);
    show("memfrob", memfrob(received_text(10), size), size);
}

/* Copies *into* viewed memory by functions that nobody hooks. */
static void string_copies_over_views(void) {
    struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
    memory_feed(&source, 0, size);
    byte *text = heap(size);
    stream_fill(text, size, 12345);
    text[25000] = 0;
    for (int i = 0; i < 4; i++) {
        memory_copy(&target, 0, &source, 0, size);
        if (i == 0)
            strcpy((char *)target.at + 5000, (char *)text);
        else if (i == 1)
            stpcpy((char *)target.at + 5000, (char *)text);
        else if (i == 2)
            strncpy((char *)target.at + 5000, (char *)text, 25001);
        else
            memccpy(target.at + 5000, text, 0, size);
        model_copy(target.model + 5000, text, 25001);
        check_sent("target", &target);
        check("target", &target);
    }
    check("source", &source);
}

static int compare_words(const void *a, const void *b) {
    uint32_t x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return (x > y) - (x < y);
}

static void libc_at_work(void) {
    char *text = received_text(0);
    qsort(text, size / 4, 4, compare_words);
    show("qsort", text, size);
    text = received_text(0);
    FILE *stream = fmemopen(text, size, "r");
    char *line = NULL;
    size_t room = 0, lines = 0, total = 0;
    for (ssize_t n; (n = getline(&line, &room, stream)) > 0; lines++)
        total += (size_t)n;
    say("getline: %zu lines, %zu bytes", lines, total);
    fclose(stream);
    char *made = NULL;
    size_t made_size = 0;
    stream = open_memstream(&made, &made_size);
    fprintf(stream, "%s|%.*s|", received_text(1), 30000, received_text(2));
    fwrite(received_text(3), 1, size, stream);
    fclose(stream);
    show("open_memstream", made, made_size);
    char *printed = NULL;
    int n = asprintf(&printed, "<%s>", received_text(4));
    show("asprintf", printed, (size_t)n);
    setenv("RECEIVED", received_text(5), 1);
    show("getenv", getenv("RECEIVED"), size);
}

/* ---- copies without libc ----------------------------------------------------------------------
 */

struct large {
    byte bytes[8 * 4096 + 40];
};

static void structs(void) {
    struct large *a = (void *)heap(sizeof *a * 3), *b = (void *)heap(sizeof *a * 3);
    uint64_t from = feed(a, sizeof *a * 3);
    memcpy(b, a, sizeof *a * 3);
    static struct large copy;
    copy = b[1];
    b[2] = b[1];
    a[0] = a[2];
    expect_stream("copied out", &copy, sizeof copy, from + sizeof copy);
    expect_stream("copied within", b + 2, sizeof copy, from + sizeof copy);
    expect_stream("copied in", a, sizeof copy, from + 2 * sizeof copy);
    b[0] = copy;
    expect_stream("overwritten", b, sizeof copy, from + sizeof copy);
    expect_stream("kept", a + 2, sizeof copy, from + 2 * sizeof copy);
    sink("b", b, sizeof *b * 3);
}

static void copy_words(byte *to, const byte *from, size_t n) {
    for (size_t i = 0; i + 8 <= n; i += 8)
        __builtin_memcpy(to + i, from + i, 8);
}

static void copy_vectors(byte *to, const byte *from, size_t n) {
    for (size_t i = 0; i + 16 <= n; i += 16)
        _mm_storeu_si128((void *)(to + i), _mm_loadu_si128((const void *)(from + i)));
}

static void copy_streaming(byte *to, const byte *from, size_t n) {
    for (size_t i = 0; i + 4 <= n; i += 4)
        _mm_stream_si32((int *)(void *)(to + i), *(const int *)(const void *)(from + i));
    _mm_sfence();
}

static void copy_string(byte *to, const byte *from, size_t n) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void copy_string_down(byte *to, const byte *from, size_t n) {
    to += n - 1, from += n - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

__attribute__((target("avx"))) static void copy_wide(byte *to, const byte *from, size_t n) {
    for (size_t i = 0; i + 32 <= n; i += 32)
        _mm256_storeu_si256((void *)(to + i), _mm256_loadu_si256((const void *)(from + i)));
}

static void own_loops(void) {
    void (*const copies[])(byte *, const byte *, size_t) = {
        copy_words,  copy_vectors,     copy_streaming,
        copy_string, copy_string_down, __builtin_cpu_supports("avx") ? copy_wide : copy_vectors,
    };
    for (size_t i = 0; i < LENGTH_OF(copies); i++)
        for (size_t offset = 0; offset < 32; offset += 12) {
            struct memory a = memory_new(HEAP, offset, size), b = memory_new(HEAP, 0, size);
            memory_feed(&a, 0, size);
            memory_copy(&b, 0, &a, 0, size);
            copies[i](b.at + 64, a.at + 4096, size - 8192); /* from views into views */
            model_copy(b.model + 64, a.model + 4096, size - 8192);
            check_sent("b", &b);
            check("b", &b);
            check("a", &a);
            memory_free(&a, HEAP);
            memory_free(&b, HEAP);
        }
}

static void accesses_across_pages(void) {
    byte *source = heap(size), *copy = heap(size + 64);
    uint64_t from = feed(source, size);
    memcpy(copy, source, size);
    byte *page = (byte *)(((uintptr_t)copy + 8 * PAGE) & -PAGE);
    size_t at = (size_t)(page - copy);
    __m128i both = _mm_loadu_si128((void *)(page - 7)); /* two missing pages by one load */
    expect_stream("load", &both, 16, from + at - 7);
    _mm_storeu_si128((void *)(page + 4 * PAGE - 9), both); /* and by one store */
    expect_stream("store", page + 4 * PAGE - 9, 16, from + at - 7);
    uint64_t word = stream_byte(0);
    memcpy(&word, page + 6 * PAGE - 3, 8);
    expect_stream("word", &word, 8, from + at + 6 * PAGE - 3);
    byte was = __atomic_exchange_n(page + 9 * PAGE, 7, __ATOMIC_SEQ_CST);
    say("exchange %d", was == stream_byte(from + at + 9 * PAGE));
    was = stream_byte(from + at + 10 * PAGE);
    say("compare and exchange %d", __atomic_compare_exchange_n(page + 10 * PAGE, &was, 9, false,
                                                               __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    say("fetch and add %d", __atomic_fetch_add(page + 11 * PAGE, 1, __ATOMIC_SEQ_CST) ==
                                stream_byte(from + at + 11 * PAGE));
    __builtin_prefetch(page + 12 * PAGE);
    show("copy", copy, size);
    expect_stream("source", source, size, from);
}

/* Few bytes out of many: the pattern of a parser. */
static void sparse_looks(void) {
    byte *source = heap(MIB), *copy = heap(MIB);
    uint64_t from = feed(source, MIB), wrong = 0;
    memcpy(copy, source, MIB);
    for (int i = 0; i < 3000; i++) {
        size_t at = choose(MIB - 8);
        byte header[8];
        memcpy(header, (i % 2 ? source : copy) + at, 8);
        for (size_t j = 0; j < 8; j++)
            wrong += header[j] != stream_byte(from + at + j);
    }
    say("%llu wrong bytes", (unsigned long long)wrong);
    sink("copy", copy, MIB);
    expect_stream("source", source, MIB, from);
}

static const struct sub_case cases[] = {
    {"lengths", lengths},
    {"searches", searches},
    {"comparisons", comparisons},
    {"string-copies", string_copies},
    {"string-copies-over-views", string_copies_over_views},
    {"libc-at-work", libc_at_work},
    {"structs", structs},
    {"own-loops", own_loops},
    {"accesses-across-pages", accesses_across_pages},
    {"sparse-looks", sparse_looks},
};
VICTIM_MAIN(cases)
