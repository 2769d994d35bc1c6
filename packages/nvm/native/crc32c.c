/* CRC32C (Castagnoli): by the instruction of SSE4.2 where the processor has it, else by a table of
 * 16 entries, which is slow and small. */
#include "nvm_internal.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static uint32_t crc_by_table(uint32_t crc, const unsigned char *at, size_t bytes) {
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; bytes > 0; bytes--, at++) {
        crc ^= *at;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_by_instruction(uint32_t crc, const unsigned char *at, size_t bytes) {
    uint64_t wide = crc;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; bytes > 0; bytes--, at++)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}

static bool has_instruction(void) {
    static _Atomic int known; /* 0: not yet, 1: no, 2: yes */
    int state = atomic_load_explicit(&known, memory_order_relaxed);
    if (state == 0) {
        unsigned a, b, c = 0, d;
        state = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) ? 2 : 1;
        atomic_store_explicit(&known, state, memory_order_relaxed);
    }
    return state == 2;
}
#endif

uint32_t nvm__crc32c_by_table(uint32_t crc, const void *data, size_t bytes) {
    return ~crc_by_table(~crc, data, bytes);
}

uint32_t nvm__crc32c(uint32_t crc, const void *data, size_t bytes) {
#if defined(__x86_64__)
    if (has_instruction())
        return ~crc_by_instruction(~crc, data, bytes);
#endif
    return nvm__crc32c_by_table(crc, data, bytes);
}
