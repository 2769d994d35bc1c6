/* ZIO_FOLLOW=no: the environment as it was before zIO. */
#include "instance.h"

#include <dlfcn.h>
#include <unistd.h>

#include "preload_list.h"

/* What follows "NAME=" in a variable of that name; NULL: it has another. */
static char *value_of(char *variable, const char *name) {
    while (*name && *variable == *name)
        variable++, name++;
    return *name == 0 && *variable == '=' ? variable + 1 : NULL;
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
        if (libraries ? zio__remove_word(libraries, ours.dli_fname) > 0 : !is_setting(*at))
            *kept++ = *at;
    }
    *kept = NULL;
}
