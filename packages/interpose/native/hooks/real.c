/* Finds the functions behind the hooks. May run before any constructor, inside the dynamic
 * linker's own calls of memcpy; whatever is unresolved then is answered by boot.c. */
#include "hook_table.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <zio/syscall.h>

struct zio__real zio__real;
static const char *missing;

void zio__resolve_real(void) {
    static _Atomic uintptr_t resolving; /* the thread that does it, or 0 */
    uintptr_t nobody = 0;
    /* No system call for it: a seccomp filter may be there (instance.c looks later). */
    uintptr_t self = (uintptr_t)__builtin_thread_pointer();
    while (!atomic_compare_exchange_weak(&resolving, &nobody, self)) {
        if (nobody == self) /* dlsym came back to us through malloc, free or memcpy */
            return;
        zio_syscall(SYS_sched_yield);
        nobody = 0;
    }
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
    atomic_store(&resolving, 0);
}

const char *zio__missing_real(void) {
    return missing;
}
