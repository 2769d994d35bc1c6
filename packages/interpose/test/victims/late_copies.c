/* Under `learn`: inputs that are kept, each in a buffer of its own, and copied only after the site
 * has been left alone; a buffer that is copied to from such inputs and from plain memory in turn; and
 * inputs that are copied at once, at a site that does not pay. */
#include "victim.h"

enum { values = 40, rounds = 200 };
static const size_t size = 64 * PAGE;

static byte *kept[values];
static uint64_t starts[values];

static void receive_values(void) {
    for (int i = 0; i < values; i++) {
        kept[i] = map_private(size);
        starts[i] = feed(kept[i], size);
    }
}

/* The copies of the first inputs show that the others are worth it too. */
static void copied_late(void) {
    byte *copy = map_private(size);
    receive_values();
    for (int round = 0; round < rounds; round++) {
        if (round >= values)
            starts[round % values] = feed(kept[round % values], size);
        memcpy(copy, kept[round % values], size);
        sink("copy", copy, size);
    }
    expect_stream("copy", copy, size, starts[(rounds - 1) % values]);
}

/* Never again: what came is only passed on. */
static void passed_on(void) {
    receive_values();
    for (int round = 0; round < rounds; round++) {
        starts[0] = feed(kept[round % values], size);
        sink("value", kept[round % values], size);
    }
    expect_stream("value", kept[(rounds - 1) % values], size, starts[0]);
}

static void overwritten_in_turn(void) {
    byte *copy = map_private(size), *plain = map_private(size);
    memset(plain, 'p', size);
    receive_values();
    for (int round = 0; round < rounds; round++) {
        memcpy(copy, kept[0], size);
        sink("copy", copy, size);
        memcpy(copy, plain, size);
        sink("plain copy", copy, size);
    }
    memcpy(copy, kept[0], size);
    expect_stream("copy", copy, size, starts[0]);
}

/* The site fails while there are views of what it brought, and goes on elsewhere. */
static void left_behind(void) {
    byte *copy = map_private(size), *other = map_private(size);
    for (int i = 0; i < values + rounds; i++) {
        byte *buffer = i < values ? kept[i] = map_private(size) : other;
        uint64_t start = feed(buffer, size);
        if (i < values) {
            starts[i] = start;
            memcpy(copy, buffer, size);
            sink("copy", copy, size);
        }
    }
    for (int i = 0; i < values; i++)
        expect_stream("kept", kept[i], size, starts[i]);
}

static const struct sub_case cases[] = {
    {"copied-late", copied_late},
    {"passed-on", passed_on},
    {"overwritten-in-turn", overwritten_in_turn},
    {"left-behind", left_behind},
};
VICTIM_MAIN(cases)
