/* CASE 5, what writes: every libc function that copies or sets memory, overlapping and onto itself,
 * on viewed memory. functions_fortified.c compiles the same with the checked forms of the compiler.
 */
#include "modelled.h"
#include <dlfcn.h>
#include <strings.h>
#include <wchar.h>

/* The forms that a fortified program calls, with the size of the destination last. */
void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
void __explicit_bzero_chk(void *, size_t, size_t);

static const size_t size = 40 * PAGE + 900;

/* ---- copies -----------------------------------------------------------------------------------
 */

static void *by_memcpy(void *to, const void *from, size_t n) {
    return memcpy(to, from, n);
}

static void *by_memmove(void *to, const void *from, size_t n) {
    return memmove(to, from, n);
}

static void *by_mempcpy(void *to, const void *from, size_t n) {
    return (byte *)mempcpy(to, from, n) - n;
}

static void *by_bcopy(void *to, const void *from, size_t n) {
    bcopy(from, to, n);
    return to;
}

static void *by_memcpy_chk(void *to, const void *from, size_t n) {
    return __memcpy_chk(to, from, n, n + 10);
}

static void *by_memmove_chk(void *to, const void *from, size_t n) {
    return __memmove_chk(to, from, n, (size_t)-1);
}

static void *by_mempcpy_chk(void *to, const void *from, size_t n) {
    return (byte *)__mempcpy_chk(to, from, n, n) - n;
}

static void *by_wmemcpy(void *to, const void *from, size_t n) {
    wmemcpy(to, from, n / 4);
    return (byte *)memcpy((byte *)to + n / 4 * 4, (byte *)from + n / 4 * 4, n % 4) - n / 4 * 4;
}

static void *by_wmemmove(void *to, const void *from, size_t n) {
    if (n % 4)
        return memmove(to, from, n);
    return wmemmove(to, from, n / 4);
}

static void *by_memccpy(void *to, const void *from, size_t n) {
    need(memccpy(to, from, 0, n) == NULL, "memccpy"); /* streams have no zero byte */
    return to;
}

static void *by_symbol(void *to, const void *from, size_t n) {
    copier found = (copier)dlsym(RTLD_DEFAULT, "memmove");
    return found(to, from, n);
}

/* The symbol that programs linked before glibc 2.14 import; glibc makes it memmove for them. */
__asm__(".symver memcpy_of_old_programs, memcpy@GLIBC_2.2.5");
void *memcpy_of_old_programs(void *, const void *, size_t);

static void *by_old_memcpy(void *to, const void *from, size_t n) {
    return memcpy_of_old_programs(to, from, n);
}

static const struct {
    const char *name;
    copier copy;
    bool overlaps;
} copiers[] = {
    {"memcpy", by_memcpy, false},
    {"memmove", by_memmove, true},
    {"mempcpy", by_mempcpy, false},
    {"bcopy", by_bcopy, true},
    {"__memcpy_chk", by_memcpy_chk, false},
    {"__memmove_chk", by_memmove_chk, true},
    {"__mempcpy_chk", by_mempcpy_chk, false},
    {"wmemcpy", by_wmemcpy, false},
    {"wmemmove", by_wmemmove, true},
    {"memccpy", by_memccpy, false},
    {"dlsym", by_symbol, true},
    {"memcpy@GLIBC_2.2.5", by_old_memcpy, true},
};

static void every_copier(void) {
    struct memory source = memory_new(HEAP, 48, size), target = memory_new(MAPPED, 16, size);
    struct memory third = memory_new(HEAP, 0, size);
    for (size_t i = 0; i < LENGTH_OF(copiers); i++) {
        memory_feed(&source, 0, size);
        errno = EMLINK;
        void *end = copiers[i].copy(target.at, source.at, size);
        need(end == target.at && errno == EMLINK, copiers[i].name);
        model_copy(target.model, source.model, size);
        memory_copy_by(copiers[i].copy, &third, 4, &target, 0, size - 4);
        memory_store(&source, 17 * PAGE, (byte)i, 1);
        check_sent(copiers[i].name, &third);
        check(copiers[i].name, &target);
        check(copiers[i].name, &source);
    }
}

static void overlapping(void) {
    static const size_t shifts[] = {4,    64,       4096 - 48, 4096,          4100,
                                    8192, 3 * PAGE, 9 * PAGE,  9 * PAGE + 64, 25 * PAGE - 4};
    for (size_t c = 0; c < LENGTH_OF(copiers); c++)
        for (size_t s = 0; copiers[c].overlaps && s < LENGTH_OF(shifts); s++)
            for (int up = 0; up < 2; up++) {
                /* plain head, views, plain tail; the move covers parts of all three */
                struct memory buffer = memory_new(HEAP, 16 * s, 70 * PAGE);
                memory_feed(&buffer, 2 * PAGE + 100, 60 * PAGE);
                size_t low = PAGE, n = 64 * PAGE - shifts[s];
                memory_copy_by(copiers[c].copy, &buffer, up ? low + shifts[s] : low, &buffer,
                               up ? low : low + shifts[s], n);
                check_sent(up ? "moved up" : "moved down", &buffer);
                check(copiers[c].name, &buffer);
                memory_free(&buffer, HEAP);
            }
}

/* Odd shifts by memmove only: the word functions above cannot do them. */
static void overlapping_odd(void) {
    static const size_t shifts[] = {1, 7, 63, 513, 4095, 4097, 12289, 70001};
    static const size_t lengths[] = {16384, 20001, 131072, 200003};
    for (size_t s = 0; s < LENGTH_OF(shifts); s++)
        for (size_t l = 0; l < LENGTH_OF(lengths); l++) {
            struct memory buffer = memory_new(MAPPED, 7 * l, 300000);
            memory_feed(&buffer, 1001, 290000);
            memory_copy(&buffer, 5000 + shifts[s], &buffer, 5000, lengths[l]);
            check_sent("moved up", &buffer);
            memory_copy(&buffer, 5000, &buffer, 5000 + shifts[s], lengths[l]);
            check("and down", &buffer);
            memory_free(&buffer, MAPPED);
        }
}

/* What Redis does to its query buffer: consume the front, move the rest down, receive behind it. */
static void query_buffer(void) {
    struct memory buffer = memory_new(HEAP, 16, 50 * PAGE), values = memory_new(HEAP, 0, 50 * PAGE);
    size_t used = 0;
    for (int i = 0; i < 80; i++) {
        size_t n = choose(buffer.n - used);
        memory_feed(&buffer, used, n);
        used += n;
        size_t taken = choose(used + 1);
        memory_copy_by(memcpy, &values, 0, &buffer, 0, taken);
        memory_copy(&buffer, 0, &buffer, taken, used - taken);
        used -= taken;
        check_sent_range("value", &values, 0, taken);
        if (i % 5 == 0)
            check_range("rest", &buffer, 0, used);
    }
    check("values", &values);
}

static void onto_itself(void) {
    struct memory buffer = memory_new(HEAP, 0, size), copy = memory_new(HEAP, 0, size);
    memory_feed(&buffer, 0, size);
    memory_copy(&copy, 0, &buffer, 0, size);
    for (size_t i = 0; i < LENGTH_OF(copiers); i++)
        if (copiers[i].copy != by_memccpy) {
            need(copiers[i].copy(copy.at, copy.at, size) == copy.at, "returned pointer");
            need(copiers[i].copy(buffer.at + 4096, buffer.at + 4096, 20 * PAGE) == buffer.at + 4096,
                 "pointer");
            check_sent(copiers[i].name, &copy);
        }
    memory_store(&buffer, 9 * PAGE, 1, 5000);
    need(memmove(buffer.at, buffer.at, size) == buffer.at, "returned pointer");
    check("buffer", &buffer);
    check("copy", &copy);
}

/* ---- sets -------------------------------------------------------------------------------------
 */

static void by_memset(void *at, int value, size_t n) {
    need(memset(at, value, n) == at, "memset's pointer");
}

static void by_memset_chk(void *at, int value, size_t n) {
    need(__memset_chk(at, value, n, n + 1) == at, "__memset_chk's pointer");
}

static void by_explicit_bzero(void *at, int value, size_t n) {
    (void)value;
    explicit_bzero(at, n);
}

static void by_explicit_bzero_chk(void *at, int value, size_t n) {
    (void)value;
    __explicit_bzero_chk(at, n, n);
}

static void by_bzero(void *at, int value, size_t n) {
    (void)value;
    bzero(at, n);
}

static void by_wmemset(void *at, int value, size_t n) {
    wmemset(at, value * 0x01010101, n / 4);
    memset((byte *)at + n / 4 * 4, value, n % 4);
}

static const struct {
    const char *name;
    void (*set)(void *, int, size_t);
    int value;
} setters[] = {
    {"memset 0", by_memset, 0},
    {"memset 0x5c", by_memset, 0x5c},
    {"__memset_chk 0", by_memset_chk, 0},
    {"__memset_chk 0x7e", by_memset_chk, 0x7e},
    {"explicit_bzero", by_explicit_bzero, 0},
    {"__explicit_bzero_chk", by_explicit_bzero_chk, 0},
    {"bzero", by_bzero, 0},
    {"wmemset", by_wmemset, 0x21},
};

static void every_setter(void) {
    static const struct {
        size_t at, n;
    } ranges[] = {{0, 40 * PAGE + 900}, {0, 16384}, {4096, 20 * PAGE},
                  {5000, 17000},        {123, 3},   {8191, 32 * PAGE + 2}};
    for (size_t s = 0; s < LENGTH_OF(setters); s++)
        for (size_t r = 0; r < LENGTH_OF(ranges); r++) {
            struct memory source = memory_new(HEAP, 0, size), copy = memory_new(HEAP, 32, size);
            memory_feed(&source, 0, size);
            memory_copy(&copy, 0, &source, 0, size);
            struct memory *set = r % 2 ? &source : &copy;
            setters[s].set(set->at + ranges[r].at, setters[s].value, ranges[r].n);
            model_set(set->model + ranges[r].at, (byte)setters[s].value, ranges[r].n);
            check_sent(setters[s].name, &copy);
            check(setters[s].name, &copy);
            check(setters[s].name, &source);
            memory_free(&source, HEAP);
            memory_free(&copy, HEAP);
        }
}

/* A set range is copied on, received into and set again. */
static void set_then_copy(void) {
    struct memory a = memory_new(HEAP, 0, size), b = memory_new(HEAP, 0, size);
    for (int round = 0; round < 6; round++) {
        memory_feed(&a, 0, size);
        memory_set(&a, choose(size / 2), (byte)(round % 2 ? 0 : 0x41), choose(size / 2));
        memory_copy(&b, 0, &a, 0, size);
        memory_set(&a, 0, 0, size);
        check_sent("b", &b);
        check_sent("a", &a);
        check("b", &b);
    }
    check("a", &a);
}

/* ---- the checked forms that find an overflow --------------------------------------------------
 */

static void checked_overflow(void) {
    struct memory source = memory_new(HEAP, 0, size), target = memory_new(HEAP, 0, size);
    memory_feed(&source, 0, size);
    memory_copy(&target, 0, &source, 0, size);
    switch (argument(0, 0)) {
    case 0:
        __memcpy_chk(target.at, source.at, size, size - 1);
        break;
    case 1:
        __memmove_chk(source.at, source.at + 4096, 100000, 99999);
        break;
    case 2:
        __mempcpy_chk(target.at, source.at, size, 0);
        break;
    case 3:
        __memset_chk(target.at, 0, size, 4096);
        break;
    default:
        __explicit_bzero_chk(target.at, size, size - 1);
    }
    say("no overflow was found");
}

static const struct sub_case cases[] = {
    {"every-copier", every_copier},       {"overlapping", overlapping},
    {"overlapping-odd", overlapping_odd}, {"query-buffer", query_buffer},
    {"onto-itself", onto_itself},         {"every-setter", every_setter},
    {"set-then-copy", set_then_copy},     {"checked-overflow", checked_overflow},
};
VICTIM_MAIN(cases)
