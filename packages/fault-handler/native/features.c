/* The list of ZIO_DISABLE: names of kernel features that zIO must do without. Runs at
 * start-up, before malloc works. */
#include <zio/uffd.h>

static const struct {
    const char *name;
    long bit;
} features[] = {
#define FEATURE_ROW(name, id, lost) {name, id},
    ZIO_KERNEL_FEATURES(FEATURE_ROW)
#undef FEATURE_ROW
};

static bool is_word(const char *word, size_t length, const char *name) {
    size_t i = 0;
    while (i < length && name[i] != '\0' && word[i] == name[i])
        i++;
    return i == length && name[i] == '\0';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

long zio_kernel_features_parse(const char *list, size_t *bad_offset) {
    long mask = 0;
    size_t at = 0;
    if (bad_offset)
        *bad_offset = 0;
    if (!list)
        return 0;
    for (;;) {
        while (list[at] == ',' || is_space(list[at]))
            at++;
        if (list[at] == '\0')
            return mask;
        size_t start = at;
        while (list[at] != '\0' && list[at] != ',')
            at++;
        size_t end = at;
        while (end > start && is_space(list[end - 1]))
            end--;
        size_t i = 0;
        while (i < ZIO_KERNEL_FEATURE_COUNT &&
               !is_word(list + start, end - start, features[i].name))
            i++;
        if (i == ZIO_KERNEL_FEATURE_COUNT) {
            if (bad_offset)
                *bad_offset = start;
            return ZIO_EINVAL;
        }
        mask |= features[i].bit;
    }
}
