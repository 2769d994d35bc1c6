/* The runtimes of sanitizers as shared objects: of gcc (libasan.so.8) and of clang
 * (libclang_rt.asan-x86_64.so). They hook what we hook and must come first. */
#ifndef ZIO_SANITIZER_NAME_H
#define ZIO_SANITIZER_NAME_H

#include <stdbool.h>
#include <stddef.h>

static inline bool zio__is_sanitizer(const char *name) {
    static const char *const kinds[] = {"asan", "tsan", "lsan", "hwasan", "msan"};
    static const char *const prefixes[] = {"libclang_rt.", "lib"};
    for (size_t p = 0; p < 2; p++) {
        size_t at = 0;
        while (prefixes[p][at] && name[at] == prefixes[p][at])
            at++;
        if (prefixes[p][at])
            continue;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            size_t same = 0;
            while (kinds[k][same] && name[at + same] == kinds[k][same])
                same++;
            char next = name[at + same];
            if (!kinds[k][same] && (next == '.' || next == '-' || next == '_'))
                return true;
        }
    }
    return false;
}

#endif
