/* Both ways to compute CRC32C, against the known answers of RFC 3720 and each other.
 * usage: crc_test SEED */
#include <string.h>

#include "../../../core/test/native/check.h"

#include "nvm_internal.h"

uint32_t nvm__crc32c_by_table(uint32_t crc, const void *data, size_t bytes);

int main(int count, char **arguments) {
    ASSERT_EQUAL(count, 2);
    uint64_t state = strtoull(arguments[1], NULL, 10);
    unsigned char bytes[1000] = {0};
    ASSERT_EQUAL(nvm__crc32c(0, "123456789", 9), 0xe3069283u);
    ASSERT_EQUAL(nvm__crc32c(0, bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    ASSERT_EQUAL(nvm__crc32c(0, bytes, 32), 0x62a8ab43u);
    for (int round = 0; round < 2000; round++) {
        size_t length = random_below(&state, 900), from = random_below(&state, 100);
        size_t cut = random_below(&state, length + 1);
        for (size_t i = 0; i < length; i++)
            bytes[from + i] = (unsigned char)random_next(&state);
        uint32_t whole = nvm__crc32c(0, bytes + from, length);
        ASSERT_EQUAL(nvm__crc32c_by_table(0, bytes + from, length), whole);
        uint32_t part = nvm__crc32c(0, bytes + from, cut);
        ASSERT_EQUAL(nvm__crc32c(part, bytes + from + cut, length - cut), whole);
    }
    return 0;
}
