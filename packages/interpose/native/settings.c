/* ZIO_*: read once, from the one table that config.json yields. Silent: `zio run` is where a
 * bad value is reported, so that a daemon's children write nothing. */
#include "instance.h"

#include <stdlib.h>

static bool same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static bool parse_size(const char *text, uint64_t *value) {
    uint64_t number = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (number > (UINT64_MAX >> 1) / 10)
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    int shift = *text == 'K' || *text == 'k'   ? 10
                : *text == 'M' || *text == 'm' ? 20
                : *text == 'G' || *text == 'g' ? 30
                                               : 0;
    if (shift > 0)
        text++;
    if (*text != 0 || number > UINT64_MAX >> (shift + 1))
        return false;
    *value = number << shift;
    return true;
}

static uint64_t read_size(const char *name, uint64_t fallback, uint64_t least, uint64_t most) {
    uint64_t value;
    const char *text = getenv(name);
    if (!text || !parse_size(text, &value))
        return fallback;
    return value == fallback || (value >= least && value <= most) ? value : fallback;
}

static uint64_t read_enum(const char *name, uint64_t fallback, uint64_t least, uint64_t most) {
    const char *text = getenv(name);
    (void)least;
    (void)most;
    if (!text)
        return fallback;
#define MATCH(word, constant)                                                                      \
    if (same(text, word))                                                                          \
        return constant;
    ZIO_POLICY_WORDS(MATCH)
#undef MATCH
    return fallback;
}

/* A copy: daemons write their title over the environment, and a forked child opens files anew. */
static const char *read_text(const char *name, char *copy, size_t room) {
    const char *text = getenv(name);
    size_t length = 0;
    if (!text || !*text)
        return NULL;
    for (; text[length]; length++) {
        if (length + 1 == room)
            return NULL;
        copy[length] = text[length];
    }
    copy[length] = 0;
    return copy;
}

static bool read_flag(const char *name, bool fallback) {
    const char *text = getenv(name);
    return text && same(text, "yes") ? true : text && same(text, "no") ? false : fallback;
}

static uint32_t read_list(const char *name) {
    const char *text = getenv(name);
    size_t bad;
    if (!text)
        return 0;
    long mask = zio_kernel_features_parse(text, &bad);
    return mask > 0 ? (uint32_t)mask : 0;
}

/* The length of `word` where the text begins with it and an equals sign, or 0. */
static size_t begins_with(const char *text, const char *word) {
    size_t length = 0;
    while (word[length] && text[length] == word[length])
        length++;
    return word[length] == 0 && text[length] == '=' ? length : 0;
}

/* One bad word, and none of them counts. */
static struct zio__costs read_costs(const char *name, uint64_t least, uint64_t most) {
    static const struct zio__costs defaults = {
#define DEFAULT(word, field, nanoseconds, meaning) nanoseconds,
        ZIO_COST_LIST(DEFAULT)
#undef DEFAULT
    };
    struct zio__costs costs = defaults;
    for (const char *text = getenv(name); text && *text;) {
        uint32_t *cost = NULL;
        size_t length = 0;
#define FIND(word, field, nanoseconds, meaning)                                                    \
    if (!cost && (length = begins_with(text, word)))                                               \
        cost = &costs.field;
        ZIO_COST_LIST(FIND)
#undef FIND
        if (!cost)
            return defaults;
        text += length + 1;
        uint64_t value = 0;
        int digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 9; text++, digits++)
            value = value * 10 + (uint64_t)(*text - '0');
        if (digits == 0 || value < least || value > most || (*text && *text != ',') ||
            (*text == ',' && !text[1]))
            return defaults;
        *cost = (uint32_t)value;
        text += *text == ',';
    }
    return costs;
}

void zio__settings_read(struct zio__settings *settings) {
#define READ_SIZE(field, name, fallback, least, most)                                              \
    settings->field = read_size(name, fallback, least, most);
#define READ_COUNT READ_SIZE
#define READ_ENUM(field, name, fallback, least, most)                                              \
    settings->field = (enum zio_policy)read_enum(name, fallback, least, most);
#define READ_PATH(field, name, fallback, least, most)                                              \
    static char field##_copy[ZIO__PATH_BYTES];                                                     \
    settings->field = read_text(name, field##_copy, ZIO__PATH_BYTES);
#define READ_FILE READ_PATH
#define READ_TEXT(field, name, fallback, least, most)                                              \
    static char field##_copy[ZIO__TEXT_BYTES];                                                     \
    settings->field = read_text(name, field##_copy, ZIO__TEXT_BYTES);
#define READ_PATTERNS READ_TEXT
#define READ_FLAG(field, name, fallback, least, most) settings->field = read_flag(name, fallback);
#define READ_NUMBERS(field, name, fallback, least, most)                                           \
    settings->field = read_costs(name, least, most);
#define READ_LIST(field, name, fallback, least, most) settings->field##d = read_list(name);
#define READ(field, name, kind, fallback, least, most)                                             \
    READ_##kind(field, name, fallback, least, most)
    ZIO_CONFIG(READ)
#undef READ
}

void zio__settings_complete(struct zio__settings *settings) {
    if (settings->memory_limit == 0)
        settings->memory_limit = zio__default_memory_limit();
}
