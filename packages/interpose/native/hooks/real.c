/* Finds the functions behind the hooks. May run before any constructor, inside the dynamic
 * linker's own calls of memcpy; whatever is unresolved then is answered by boot.c. */
#include "hook_table.h"

#include <dlfcn.h>
#include <stdatomic.h>

struct zio__real zio__real;
static const char *missing;

void zio__resolve_real(void) {
    static _Atomic int entered;
    /* dlsym may come back to us through malloc, free or memcpy. */
    if (atomic_exchange(&entered, 1))
        return;
#define ZIO_RESOLVE_REQUIRED(name)                                                                 \
    if (!zio__real.name && !missing)                                                               \
        missing = #name;
#define ZIO_RESOLVE_OPTIONAL(name)
#define ZIO_RESOLVE(need, result, name, parameters)                                                \
    if (!zio__real.name)                                                                           \
        *(void **)&zio__real.name = dlsym(RTLD_NEXT, #name);                                       \
    ZIO_RESOLVE_##need(name)
    ZIO_HOOKS(ZIO_RESOLVE)
    ZIO_BORROWED(ZIO_RESOLVE)
    atomic_store(&entered, 0);
}

const char *zio__missing_real(void) {
    return missing;
}
