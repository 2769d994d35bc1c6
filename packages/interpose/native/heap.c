/* glibc's malloc maps a block of 128 KiB and more by itself and unmaps it in free, and gives the
 * top of its heap back when 128 KiB of it are free; both bounds grow when such a block is freed, to
 * 32 and 64 MiB at most (mallopt(3), M_MMAP_THRESHOLD). A program that frees its buffers with every
 * message so pays for zeroed pages each time, and for zIO every unmapping is an event and the next
 * buffer is new memory. Both bounds are set to where they would come by themselves. */
#include "heap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/hook_table.h"
#include "instance.h"

enum { MAPPED_FROM = 32 << 20, KEPT_BYTES = 64 << 20 };

static const char *const own_settings[] = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
                                           "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_"};

_Atomic bool zio__heap_wished;
static _Atomic bool settled; /* done, or not to be done */
static int (*set_option)(int, int);

static bool same_object(void *a, void *b) {
    Dl_info first, second;
    return a && b && dladdr(a, &first) && dladdr(b, &second) && first.dli_fbase == second.dli_fbase;
}

static bool is_set_by_user(void) {
    for (size_t i = 0; i < sizeof own_settings / sizeof *own_settings; i++)
        if (getenv(own_settings[i]))
            return true;
    const char *tunables = getenv("GLIBC_TUNABLES");
    return tunables && strstr(tunables, "glibc.malloc.");
}

void zio__heap_set_up(void) {
    /* A block's size is asked of the allocator that frees it, or not at all: glibc's would read
     * another allocator's header. */
    if (!same_object((void *)zio__real.free, (void *)zio__real.malloc_usable_size))
        zio__real.malloc_usable_size = NULL;
    void *option = dlsym(RTLD_NEXT, "mallopt");
    if (!same_object((void *)zio__real.free, option) || is_set_by_user())
        settled = true;
    else
        *(void **)&set_option = option;
}

void zio__heap_wish(void) {
    if (!atomic_load_explicit(&settled, memory_order_relaxed) && zio__settings.keep_heap)
        atomic_store_explicit(&zio__heap_wished, true, memory_order_relaxed);
}

void zio__heap_keep(void) {
    atomic_store(&zio__heap_wished, false);
    if (atomic_exchange(&settled, true))
        return;
    set_option(M_MMAP_THRESHOLD, MAPPED_FROM);
    set_option(M_TRIM_THRESHOLD, KEPT_BYTES);
}
