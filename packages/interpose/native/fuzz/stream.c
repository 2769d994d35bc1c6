/* Bytes that depend on a stream's number and a position only; hashes and stores that call nothing.
 */
#include "fuzz.h"

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Never zero, so that a lost page shows. */
static uint64_t word(uint64_t stream, uint64_t index) {
    return mix(stream * UINT64_C(0x9e3779b97f4a7c15) + index) | UINT64_C(0x0101010101010101);
}

byte fuzz_stream_byte(uint64_t stream, uint64_t position) {
    return (byte)(word(stream, position / 8) >> (8 * (position % 8)));
}

typedef uint64_t __attribute__((aligned(1), may_alias)) loose_word;

void fuzz_stream_fill(byte *to, size_t n, uint64_t stream, uint64_t position) {
    size_t i = 0;
    for (; i < n && (position + i) % 8; i++)
        to[i] = fuzz_stream_byte(stream, position + i);
    for (; i + 8 <= n; i += 8)
        *(volatile loose_word *)(to + i) = word(stream, (position + i) / 8);
    for (; i < n; i++)
        to[i] = fuzz_stream_byte(stream, position + i);
}

uint64_t fuzz_hash(uint64_t hash, const byte *from, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        hash = (hash ^ *(const volatile loose_word *)(from + i)) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (; i < n; i++)
        hash = (hash ^ ((const volatile byte *)from)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void fuzz_store(byte *to, byte value, size_t n) {
    uint64_t filled = value * UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        *(volatile loose_word *)(to + i) = filled;
    for (; i < n; i++)
        ((volatile byte *)to)[i] = value;
}
