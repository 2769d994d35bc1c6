/* Pages from the kernel, and slabs of objects of one size on them. A slab maps chunks of 64 KiB,
 * then twice the last up to 1 MiB, and never gives one back before it is destroyed: its objects
 * keep their type. A new chunk is handed out from the front (`fresh`), so that its pages are first
 * touched when they are needed. */
#include <zio/arena.h>
#include <zio/error.h>
#include <zio/syscall.h>

#include "arena_internal.h"
#include "bytes.h"

#include <linux/mman.h>

enum { CHUNK_BYTES_MIN = 64 << 10, CHUNK_BYTES_MAX = 1 << 20, CHUNK_OBJECTS_MIN = 8 };

struct slab_chunk {
    struct slab_chunk *next;
    size_t bytes;
};

struct slab_object {
    struct slab_object *next;
};

void *zio_pages_alloc(size_t bytes) {
    if (bytes == 0 || bytes > SIZE_MAX - ZIO__PAGE_BYTES)
        return NULL;
    bytes = zio__round_up(bytes, ZIO__PAGE_BYTES);
    if (bytes > SIZE_MAX - 2 * ZIO__PAGE_BYTES)
        return NULL;
    /* A guard page at both ends: next to a mapping of the program the kernel would make one of the
     * two, and whatever is done to the program's whole mapping would reach ours. */
    long guarded = zio_syscall(SYS_mmap, NULL, bytes + 2 * ZIO__PAGE_BYTES, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guarded < 0 && guarded > -4096)
        return NULL;
    long pages = guarded + (long)ZIO__PAGE_BYTES;
    if (zio_syscall(SYS_mprotect, pages, bytes, PROT_READ | PROT_WRITE) != 0) {
        zio_syscall(SYS_munmap, guarded, bytes + 2 * ZIO__PAGE_BYTES);
        return NULL;
    }
    /* EINVAL where the kernel has no huge pages: then there is nothing to switch off. */
    zio_syscall(SYS_madvise, pages, bytes, MADV_NOHUGEPAGE);
    return (void *)pages;
}

void zio_pages_free(void *pages, size_t bytes) {
    if (pages)
        zio_syscall(SYS_munmap, (uintptr_t)pages - ZIO__PAGE_BYTES,
                    zio__round_up(bytes, ZIO__PAGE_BYTES) + 2 * ZIO__PAGE_BYTES);
}

static void push_free(struct zio_slab *slab, void *object) {
    ((struct slab_object *)object)->next = slab->free_list;
    /* The list is whole at every moment: a fork may copy it at any. */
    atomic_signal_fence(memory_order_release);
    slab->free_list = object;
}

static void *pop_free(struct zio_slab *slab) {
    void *object = slab->free_list;
    if (object)
        slab->free_list = ((struct slab_object *)object)->next;
    else {
        object = slab->fresh;
        slab->fresh += slab->object_bytes;
        slab->fresh_count--;
    }
    slab->free_count--;
    return object;
}

/* Maps a chunk. Without the lock: if two threads do so at once, that costs only address space. */
static int grow(struct zio_slab *slab) {
    size_t bytes = zio__round_up(slab->object_bytes * (CHUNK_OBJECTS_MIN + 1), CHUNK_BYTES_MIN);
    zio_lock_exclusive(&slab->lock);
    struct slab_chunk *newest = slab->chunks;
    if (newest && newest->bytes >= bytes)
        bytes = newest->bytes < CHUNK_BYTES_MAX ? newest->bytes * 2 : newest->bytes;
    bool full = slab->total_max && slab->total_count >= slab->total_max;
    zio_unlock_exclusive(&slab->lock);

    struct slab_chunk *chunk = full ? NULL : zio_pages_alloc(bytes);
    if (!chunk)
        return ZIO_ENOMEM;
    chunk->bytes = bytes;
    zio_lock_exclusive(&slab->lock);
    for (; slab->fresh_count > 0; slab->fresh_count--) {
        push_free(slab, slab->fresh);
        slab->fresh += slab->object_bytes;
    }
    chunk->next = slab->chunks;
    atomic_signal_fence(memory_order_release);
    slab->chunks = chunk;
    /* The place of the first object holds the chunk's header, so that objects stay aligned. */
    slab->fresh = (char *)chunk + slab->object_bytes;
    slab->fresh_count = bytes / slab->object_bytes - 1;
    slab->free_count += slab->fresh_count;
    slab->total_count += slab->fresh_count;
    zio_unlock_exclusive(&slab->lock);
    return 0;
}

int zio_slab_init(struct zio_slab *slab, size_t object_bytes, size_t reserve) {
    zio__zero_bytes(slab, sizeof *slab);
    if (object_bytes < 16 || object_bytes > CHUNK_BYTES_MAX)
        return ZIO_EINVAL;
    slab->object_bytes = zio__round_up(object_bytes, 64);
    slab->reserve_count = reserve;
    while (slab->free_count < reserve)
        if (grow(slab) != 0) {
            zio_slab_destroy(slab);
            return ZIO_ENOMEM;
        }
    return 0;
}

/* Takes an object while more than `keep` are free; maps more before it gives up. */
static void *take(struct zio_slab *slab, size_t keep) {
    for (;;) {
        void *object = NULL;
        zio_lock_exclusive(&slab->lock);
        if (slab->free_count > keep)
            object = pop_free(slab);
        zio_unlock_exclusive(&slab->lock);
        if (object || grow(slab) != 0)
            return object;
    }
}

void *zio_slab_alloc(struct zio_slab *slab) {
    return take(slab, slab->reserve_count);
}

void *zio_slab_alloc_reserved(struct zio_slab *slab) {
    void *object = take(slab, slab->reserve_count);
    return object ? object : take(slab, 0);
}

void zio_slab_free(struct zio_slab *slab, void *object) {
    if (!object)
        return;
    zio_lock_exclusive(&slab->lock);
    push_free(slab, object);
    slab->free_count++;
    zio_unlock_exclusive(&slab->lock);
}

void zio_slab_destroy(struct zio_slab *slab) {
    struct slab_chunk *chunk = slab->chunks;
    slab->lock = (struct zio_lock){0};
    slab->chunks = slab->free_list = NULL;
    slab->fresh = NULL;
    slab->fresh_count = slab->free_count = slab->total_count = 0;
    while (chunk) {
        struct slab_chunk *next = chunk->next;
        zio_pages_free(chunk, chunk->bytes);
        chunk = next;
    }
}

void zio__slab_after_fork(struct zio_slab *slab) {
    slab->lock = (struct zio_lock){0};
    slab->free_count = slab->fresh_count;
    for (struct slab_object *object = slab->free_list; object; object = object->next)
        slab->free_count++;
}
