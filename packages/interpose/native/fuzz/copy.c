/* Copies, overwrites and looks, by calls that hooks see, by calls they do not, and by plain loads
 * and stores. */
#include "direct.h"
#include "fuzz.h"
#include <string.h>
#include <strings.h>
#include <wchar.h>

void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);

static void copy_inline(byte *to, const byte *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((volatile byte *)to)[i] = ((const volatile byte *)from)[i];
}

static void copy_by_string_instruction(byte *to, const byte *from, size_t n) {
#if defined __x86_64__
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
#else
    copy_inline(to, from, n);
#endif
}

static void copy_by_kernel(byte *to, const byte *from, size_t n) {
    struct iovec local = {to, n}, remote = {(void *)(uintptr_t)from, n};
    for (size_t done = 0; done < n;) {
        long got = DIRECT(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0);
        if (got <= 0)
            fuzz_die("process_vm_readv");
        done += (size_t)got;
        local = (struct iovec){to + done, n - done};
        remote = (struct iovec){(void *)(uintptr_t)(from + done), n - done};
    }
}

/* copy FROM OFFSET TO OFFSET LENGTH HOW. Ranges that overlap are moved. */
static void do_copy(struct context *context, const long *a) {
    struct range from = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[4]);
    struct range to = fuzz_range(fuzz_slot(context, a[2]), a[3], a[4]);
    size_t n = from.n < to.n ? from.n : to.n;
    if (n == 0)
        return;
    bool overlap = from.at < to.at + n && to.at < from.at + n;
    void *result = to.at;
    switch (overlap ? 10 + a[5] % 3 : a[5] % 10) {
    case 0:
    case 1:
        result = memcpy(to.at, from.at, n);
        break;
    case 2:
        result = (byte *)mempcpy(to.at, from.at, n) - n;
        break;
    case 3:
        result = __memcpy_chk(to.at, from.at, n, (size_t)-1);
        break;
    case 4:
        result = (byte *)__mempcpy_chk(to.at, from.at, n, n) - n;
        break;
    case 5:
        copy_inline(to.at, from.at, n);
        break;
    case 6:
        copy_by_string_instruction(to.at, from.at, n);
        break;
    case 7:
        copy_by_kernel(to.at, from.at, n);
        break;
    case 8:
        memccpy(to.at, from.at, 0, n);
        break;
    case 11:
        bcopy(from.at, to.at, n);
        break;
    case 12:
        result = __memmove_chk(to.at, from.at, n, n);
        break;
    default:
        result = memmove(to.at, from.at, n);
    }
    fuzz_say(context, " %zu %d", n, result == to.at);
}

/* set SLOT OFFSET LENGTH VALUE HOW */
static void do_set(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], a[2]);
    if (r.n == 0)
        return;
    int value = (int)(a[3] & 0xff);
    switch (a[4] % 6) {
    case 0:
    case 1:
        memset(r.at, value, r.n);
        break;
    case 2:
        __memset_chk(r.at, value, r.n, r.n);
        break;
    case 3:
        explicit_bzero(r.at, r.n);
        break;
    case 4:
        bzero(r.at, r.n);
        break;
    default:
        wmemset((wchar_t *)(void *)(r.at + (-(uintptr_t)r.at & 3)), value,
                r.n > 8 ? (r.n - 4) / 4 : 0);
    }
}

/* store SLOT OFFSET STRIDE COUNT VALUE: single bytes, a STRIDE apart. */
static void do_store(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], -1);
    size_t stride = a[2] > 0 ? (size_t)a[2] : 1;
    for (size_t i = 0, at = 0; i < (size_t)a[3] && at < r.n; i++, at += stride)
        ((volatile byte *)r.at)[at] = (byte)(a[4] + (long)i);
}

/* load SLOT OFFSET STRIDE COUNT: single bytes; a negative stride goes backwards. */
static void do_load(struct context *context, const long *a) {
    struct slot *slot = fuzz_source_slot(context, a[0]);
    struct range r = fuzz_range(slot, a[1], 1);
    uint64_t hash = FUZZ_HASH_START;
    if (r.n == 0)
        return;
    const byte *at = r.at;
    for (long i = 0; i < a[3] && at >= slot->at && at < slot->at + slot->n; i++, at += a[2])
        hash = fuzz_hash(hash, at, 1);
    fuzz_say(context, " %016llx", (unsigned long long)hash);
}

/* look SLOT OFFSET LENGTH */
static void do_look(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[2]);
    fuzz_say(context, " %zu %016llx", r.n,
             (unsigned long long)fuzz_hash(FUZZ_HASH_START, r.at, r.n));
}

/* atomic SLOT OFFSET HOW: read-modify-write of an aligned word. */
static void do_atomic(struct context *context, const long *a) {
    struct range r = fuzz_range(fuzz_slot(context, a[0]), a[1], 16);
    if (r.n < 16)
        return;
    uint64_t *word = (uint64_t *)(void *)(r.at + (-(uintptr_t)r.at & 7)), expected = 7;
    uint64_t seen = 0;
    if (a[2] % 3 == 0)
        seen = __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
    else if (a[2] % 3 == 1)
        seen = __atomic_exchange_n(word, 9, __ATOMIC_SEQ_CST);
    else if (!__atomic_compare_exchange_n(word, &expected, 8, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST))
        seen = expected;
    /* Where the word lies in the slot depends on the block's alignment, which malloc keeps. */
    fuzz_say(context, " %016llx", (unsigned long long)seen);
}

/* compare SLOT OFFSET SLOT OFFSET LENGTH HOW: libc's own loads. */
static void do_compare(struct context *context, const long *a) {
    struct range one = fuzz_range(fuzz_source_slot(context, a[0]), a[1], a[4]);
    struct range two = fuzz_range(fuzz_source_slot(context, a[2]), a[3], a[4]);
    size_t n = one.n < two.n ? one.n : two.n;
    if (n == 0)
        return;
    if (a[5] % 3 == 0) {
        int order = memcmp(one.at, two.at, n);
        fuzz_say(context, " %d", order < 0 ? -1 : order > 0);
    } else if (a[5] % 3 == 1) {
        const byte *found = memchr(one.at, 0x77, n);
        fuzz_say(context, " %td", found ? found - one.at : -1);
    } else
        fuzz_say(context, " %zu", strnlen((const char *)one.at, n));
}

const struct verb fuzz_copy_verbs[] = {
    {"copy", do_copy}, {"set", do_set},       {"store", do_store},     {"load", do_load},
    {"look", do_look}, {"atomic", do_atomic}, {"compare", do_compare}, {NULL, NULL},
};
