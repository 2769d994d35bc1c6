/* Finds the functions behind the hooks. May run before any constructor, inside the dynamic
 * linker's own calls of memcpy; whatever is unresolved then is answered by boot.c. */
#include "hook_table.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <zio/syscall.h>

struct zio__real zio__real;
static const char *missing;

/* A block must be freed by whom it came from. A library may have malloc and its relatives for those
 * only who ask for the version that programs ask for (libc_malloc_debug has), which dlsym does not
 * find; and dlvsym does not find those without a version. Who is not libc comes before it. */
#ifdef __x86_64__
#define FIRST_VERSION "GLIBC_2.2.5"
#else
#define FIRST_VERSION "GLIBC_2.17"
#endif
static void *find_of_allocator(const char *name) {
    Dl_info libc, owner;
    void *any = dlsym(RTLD_NEXT, name), *versioned = dlvsym(RTLD_NEXT, name, FIRST_VERSION);
    if (!any || !versioned || any == versioned)
        return any ? any : versioned;
    bool is_of_libc = dladdr((void *)(uintptr_t)gnu_get_libc_version, &libc) && dladdr(any, &owner) &&
                      owner.dli_fbase == libc.dli_fbase;
    return is_of_libc ? versioned : any;
}

static void resolve_allocator(void) {
#define ZIO_RESOLVE_OF_ALLOCATOR(name)                                                             \
    if (!zio__real.name)                                                                           \
        *(void **)&zio__real.name = find_of_allocator(#name);
    ZIO_RESOLVE_OF_ALLOCATOR(free)
    ZIO_RESOLVE_OF_ALLOCATOR(realloc)
    ZIO_RESOLVE_OF_ALLOCATOR(malloc)
    ZIO_RESOLVE_OF_ALLOCATOR(malloc_usable_size)
}

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
    resolve_allocator();
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
