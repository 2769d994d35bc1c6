/* ZIO_FOLLOW=no: the environment as it was before zIO. */
#include "instance.h"

#include <dlfcn.h>
#include <unistd.h>

/* What follows "NAME=" in a variable of that name; NULL: it has another. */
static char *value_of(char *variable, const char *name) {
    while (*name && *variable == *name)
        variable++, name++;
    return *name == 0 && *variable == '=' ? variable + 1 : NULL;
}

static bool is_separator(char character) {
    return character == ' ' || character == ':';
}

static bool is_word(const char *start, size_t length, const char *word) {
    size_t same = 0;
    while (same < length && word[same] && start[same] == word[same])
        same++;
    return same == length && word[same] == 0;
}

/* Takes `word` out of a list that the loader splits at spaces and colons. Returns what is left. */
static size_t remove_word(char *list, const char *word) {
    size_t kept = 0;
    for (size_t at = 0; list[at];) {
        size_t start = at;
        while (list[at] && !is_separator(list[at]))
            at++;
        size_t length = at - start;
        if (length > 0 && !is_word(list + start, length, word)) {
            if (kept > 0)
                list[kept++] = ':';
            for (size_t i = 0; i < length; i++)
                list[kept++] = list[start + i];
        }
        while (is_separator(list[at]))
            at++;
    }
    list[kept] = 0;
    return kept;
}

static bool is_setting(char *variable) {
#define MATCH(field, name, kind, fallback, least, most)                                            \
    if (value_of(variable, name))                                                                  \
        return true;
    ZIO_CONFIG(MATCH)
#undef MATCH
    return false;
}

void zio__leave_environment(void) {
    Dl_info ours;
    if (!dladdr((void *)zio__leave_environment, &ours) || !environ)
        return;
    char **kept = environ;
    for (char **at = environ; *at; at++) {
        char *libraries = value_of(*at, "LD_PRELOAD");
        if (libraries ? remove_word(libraries, ours.dli_fname) > 0 : !is_setting(*at))
            *kept++ = *at;
    }
    *kept = NULL;
}
