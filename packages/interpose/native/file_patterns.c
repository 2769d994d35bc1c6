/* Patterns of file names, without libc's fnmatch, which may allocate. */
#include "file_patterns.h"

#include "instance.h"

enum { PATTERNS_MAX = 256 };

static char texts[ZIO__TEXT_BYTES];
static struct {
    const char *text;
    bool whole; /* it has a slash */
} patterns[PATTERNS_MAX];
static size_t pattern_count;

void zio__patterns_set_up(const char *list) {
    size_t at = 0, start = 0;
    bool whole = false;
    for (;; list++) {
        bool ends = *list == ':' || *list == 0;
        if (ends && at > start && pattern_count < PATTERNS_MAX) {
            texts[at++] = 0;
            patterns[pattern_count].text = texts + start;
            patterns[pattern_count++].whole = whole;
        }
        if (*list == 0)
            return;
        if (ends) {
            start = at;
            whole = false;
            continue;
        }
        if (*list == '\\' && (list[1] == ':' || list[1] == '\\'))
            list++;
        whole = whole || *list == '/';
        texts[at++] = *list;
    }
}

/* Whether a set such as [a-c] has the character; *end: behind its bracket, or NULL, and then the
 * bracket stands for itself. */
static bool set_has(const char *set, char character, const char **end) {
    const char *at = set;
    bool negated = *at == '!' || *at == '^', found = false;
    unsigned char wanted = (unsigned char)character;
    at += negated;
    for (const char *first = at; *at && (*at != ']' || at == first); at++) {
        unsigned char low = (unsigned char)*at, high = low;
        if (at[1] == '-' && at[2] && at[2] != ']') {
            high = (unsigned char)at[2];
            at += 2;
        }
        found = found || (low <= wanted && wanted <= high);
    }
    *end = *at ? at + 1 : NULL;
    return found != negated;
}

/* Whether one pattern character matches; *next: what follows it in the pattern. */
static bool matches_one(const char *pattern, char character, const char **next) {
    const char *end;
    *next = pattern + 1;
    if (character == 0)
        return false;
    if (*pattern == '?')
        return character != '/';
    if (*pattern == '[') {
        bool has = set_has(pattern + 1, character, &end);
        if (end) {
            *next = end;
            return has && character != '/';
        }
    }
    if (*pattern == '\\' && pattern[1]) {
        *next = pattern + 2;
        return pattern[1] == character;
    }
    return *pattern == character;
}

/* The last star alone is ever tried anew, so that no pattern takes long. */
bool zio__glob_matches(const char *pattern, const char *text) {
    const char *star = NULL, *retry = NULL, *next;
    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern == 0 && *text == 0) {
            return true;
        } else if (*pattern && matches_one(pattern, *text, &next)) {
            pattern = next;
            text++;
        } else if (star && *retry && *retry != '/') {
            text = ++retry;
            pattern = star;
        } else {
            return false;
        }
    }
}

static const char *last_name(const char *path) {
    const char *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/')
            name = at + 1;
    return name;
}

/* A set that a slash was cut out of. */
static bool is_broken(const char *pattern) {
    for (; *pattern && *pattern != '['; pattern++)
        if (*pattern == ']')
            return true;
    return false;
}

bool zio__patterns_may_match(const char *path) {
    const char *name = last_name(path);
    for (size_t i = 0; i < pattern_count; i++) {
        const char *pattern = last_name(patterns[i].text);
        if (is_broken(pattern) || zio__glob_matches(pattern, name))
            return true;
    }
    return false;
}

bool zio__patterns_match(const char *path) {
    const char *name = last_name(path);
    for (size_t i = 0; i < pattern_count; i++)
        if (zio__glob_matches(patterns[i].text, patterns[i].whole ? path : name))
            return true;
    return false;
}
