/* Lists of libraries as the dynamic loader reads them from LD_PRELOAD: words between spaces and
 * colons. */
#ifndef ZIO_PRELOAD_LIST_H
#define ZIO_PRELOAD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct zio__word {
    size_t start, length;
};

/* The word behind `word`, which is zeroed before the first. */
static inline bool zio__next_word(const char *list, struct zio__word *word) {
    size_t at = word->start + word->length;
    while (list[at] == ' ' || list[at] == ':')
        at++;
    word->start = at;
    while (list[at] && list[at] != ' ' && list[at] != ':')
        at++;
    word->length = at - word->start;
    return word->length > 0;
}

static inline bool zio__is_word(const char *list, struct zio__word word, const char *text) {
    size_t same = 0;
    while (same < word.length && text[same] && list[word.start + same] == text[same])
        same++;
    return same == word.length && text[same] == 0;
}

static inline bool zio__has_word(const char *list, const char *text) {
    struct zio__word word = {0};
    while (zio__next_word(list, &word))
        if (zio__is_word(list, word, text))
            return true;
    return false;
}

/* Takes `text` out of the list, in place. Returns the length of what is left. */
static inline size_t zio__remove_word(char *list, const char *text) {
    struct zio__word word = {0};
    size_t kept = 0;
    while (zio__next_word(list, &word)) {
        if (zio__is_word(list, word, text))
            continue;
        if (kept > 0)
            list[kept++] = ':';
        for (size_t i = 0; i < word.length; i++)
            list[kept++] = list[word.start + i];
    }
    list[kept] = 0;
    return kept;
}

#endif
