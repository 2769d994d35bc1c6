/* See lazy_engine.h. The functions marked "handler thread" run without libc: no malloc, no
 * thread-local storage. A source is always plain memory. A file is mapped rather than
 * read: the handler thread has a descriptor table of its own, in which the file is not,
 * and the page cache is copied once instead of twice. A fill may wait for a disk; that is
 * allowed here because this engine takes its ranges out of the userfaultfd before it
 * unmaps them, so nobody waits for an event to be read. */
#include "lazy_engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zio/arena.h>
#include <zio/handler.h>
#include <zio/view_tree.h>

enum { PAGE_BYTES = 4096 };

struct zio_lazy_region {
    unsigned char *base; /* NULL once unmapped */
    uint64_t bytes;      /* whole pages */
    const unsigned char *source;
    uint64_t readable; /* bytes at `source` that may be read */
    unsigned char *source_mapping;
    uint64_t source_mapping_bytes;
    enum zio_lazy_source_kind kind;
    struct zio_lazy_options options;
    uint64_t next, window; /* handler thread only: where a run of faults would go on */
    _Atomic uint64_t faults, filled_bytes, error_count;
    struct zio_lazy_error errors[ZIO_LAZY_ERRORS];
    _Atomic uint32_t references;
};

static struct {
    pthread_mutex_t life; /* regions come and go */
    uint64_t region_count;
    bool is_open; /* also without regions, if the thread could not be stopped */
    struct zio_uffd uffd;
    struct zio_handler handler;
    struct zio_slab nodes;
    struct zio_lock lock; /* of `regions`; the handler thread holds it shared while it fills */
    struct zio_view_tree regions;
    unsigned char *tail_page; /* handler thread only */
} engine = {.life = PTHREAD_MUTEX_INITIALIZER, .uffd = {.fd = -1, .device_fd = -1}};

static uint64_t page_down(uint64_t bytes) {
    return bytes & ~(uint64_t)(PAGE_BYTES - 1);
}
static uint64_t page_up(uint64_t bytes) {
    return page_down(bytes + PAGE_BYTES - 1);
}
static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
static uint64_t address_of(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

/* Handler thread. The last bytes of borrowed memory end within a page. */
static int fill_tail(struct zio_lazy_region *region, uint64_t offset, uint64_t *done) {
    uint64_t valid = region->readable > offset ? smaller(region->readable - offset, PAGE_BYTES) : 0;
    for (uint64_t i = 0; i < PAGE_BYTES; i++)
        ((volatile unsigned char *)engine.tail_page)[i] =
            i < valid ? ((const volatile unsigned char *)region->source)[offset + i] : 0;
    return zio_uffd_copy(&engine.uffd, address_of(region->base) + offset, engine.tail_page,
                         PAGE_BYTES, done);
}

/* Handler thread. */
static int fill_window(struct zio_lazy_region *region, uint64_t offset, uint64_t length,
                       uint64_t *done) {
    uint64_t whole = region->readable > offset ? page_down(region->readable - offset) : 0;
    if (whole == 0)
        return fill_tail(region, offset, done);
    length = smaller(length, whole);
    uint64_t at = address_of(region->base) + offset;
    if (region->kind == ZIO_LAZY_COPIED && engine.uffd.can_move) {
        int code = zio_uffd_move(&engine.uffd, at, address_of(region->source) + offset, length,
                                 false, done);
        if (code == ZIO_EAGAIN || code == ZIO_EEXIST || *done > 0)
            return code;
    }
    return zio_uffd_copy(&engine.uffd, at, region->source + offset, length, done);
}

/* Handler thread. A disk error, or the file has become shorter. */
static int fill_unavailable(struct zio_lazy_region *region, uint64_t offset, uint64_t *done) {
    uint64_t at = address_of(region->base) + offset;
    int code = ZIO_ENOSYS;
    uint64_t index = atomic_load(&region->error_count);
    if (index < ZIO_LAZY_ERRORS)
        region->errors[index] = (struct zio_lazy_error){offset, PAGE_BYTES};
    atomic_store(&region->error_count, index + 1);
    if (region->options.poison)
        code = zio_uffd_poison(&engine.uffd, at, PAGE_BYTES, done);
    if (code == ZIO_ENOSYS)
        code = zio_uffd_zero(&engine.uffd, at, PAGE_BYTES, done);
    *done = 0; /* nothing of the source */
    return code;
}

/* Handler thread. */
static int fill_at(struct zio_lazy_region *region, uint64_t offset) {
    uint64_t done, length = PAGE_BYTES;
    atomic_fetch_add(&region->faults, 1);
    if (offset == region->next)
        length = smaller(region->window * 2, region->options.max_window_bytes);
    region->window = length;
    int code = fill_window(region, offset, smaller(length, region->bytes - offset), &done);
    bool failed = code != 0 && code != ZIO_EAGAIN && code != ZIO_EEXIST && done == 0;
    if (failed && length > PAGE_BYTES) {
        code = fill_window(region, offset, PAGE_BYTES, &done);
        failed = code != 0 && code != ZIO_EAGAIN && code != ZIO_EEXIST;
    }
    if (failed && code == -EFAULT)
        code = fill_unavailable(region, offset, &done);
    if (code == ZIO_EEXIST || done > 0)
        code = 0;
    atomic_fetch_add(&region->filled_bytes, done);
    region->next = offset + (done > PAGE_BYTES ? done : PAGE_BYTES);
    return code == ZIO_ENOENT ? 0 : code; /* the region is going away */
}

/* Handler thread. */
static int serve_fault(void *context, uint64_t page, uint64_t flags, uint32_t thread) {
    (void)context, (void)flags, (void)thread;
    struct zio_view view;
    int code = 0;
    zio_lock_shared(&engine.lock);
    if (zio_view_tree_stab(&engine.regions, page, &view)) {
        struct zio_lazy_region *region = (struct zio_lazy_region *)(uintptr_t)view.handle;
        code = fill_at(region, page - address_of(region->base));
    }
    zio_unlock_shared(&engine.lock);
    return code;
}

/* Handler thread. Only somebody who unmaps our memory behind our back raises events. */
static void ignore_events(void *context) {
    struct zio_event event;
    (void)context;
    while (zio_handler_peek_event(&engine.handler, &event))
        zio_handler_pop_event(&engine.handler);
}

static void close_engine(void) {
    zio_handler_destroy(&engine.handler);
    zio_uffd_close(&engine.uffd);
    if (engine.uffd.device_fd >= 0)
        close(engine.uffd.device_fd);
    engine.uffd.device_fd = -1;
    if (engine.tail_page)
        zio_pages_free(engine.tail_page, PAGE_BYTES);
    engine.tail_page = NULL;
    zio_slab_destroy(&engine.nodes);
    engine.is_open = false;
}

static int open_engine(uint32_t disabled) {
    static const struct zio_handler_ops ops = {.fault = serve_fault, .drain = ignore_events};
    int code = zio_uffd_open(&engine.uffd, NULL, disabled, NULL);
    if (code != 0)
        return code;
    code = zio_slab_init(&engine.nodes, zio_view_tree_node_bytes(), 8);
    if (code == 0) {
        zio_view_tree_init(&engine.regions, &engine.nodes, NULL);
        engine.tail_page = zio_pages_alloc(PAGE_BYTES);
        code =
            engine.tail_page ? zio_handler_start(&engine.handler, &engine.uffd, &ops) : ZIO_ENOMEM;
    }
    engine.is_open = code == 0;
    if (code != 0)
        close_engine();
    return code;
}

/* The engine's life is locked. */
static int attach(struct zio_lazy_region *region) {
    if (!engine.is_open) {
        int code = open_engine(region->options.disabled);
        if (code != 0)
            return code;
    }
    zio_lock_exclusive(&engine.lock);
    int code = zio_view_tree_insert(&engine.regions, address_of(region->base), region->bytes,
                                    address_of(region), 0, 0);
    zio_unlock_exclusive(&engine.lock);
    if (code == 0)
        code = zio_uffd_register(&engine.uffd, address_of(region->base), region->bytes);
    if (code == ZIO_EBADF && zio_handler_stop(&engine.handler) == 0) {
        /* Somebody closed our descriptor; stop has taken it back from the thread. */
        static const struct zio_handler_ops ops = {.fault = serve_fault, .drain = ignore_events};
        code = zio_handler_start(&engine.handler, &engine.uffd, &ops);
        if (code == 0)
            code = zio_uffd_register(&engine.uffd, address_of(region->base), region->bytes);
    }
    engine.region_count++;
    return code;
}

/* The engine's life is locked. */
static void detach(struct zio_lazy_region *region) {
    zio_uffd_unregister(&engine.uffd, address_of(region->base), region->bytes);
    zio_lock_exclusive(&engine.lock);
    zio_view_tree_carve(&engine.regions, address_of(region->base), region->bytes);
    zio_unlock_exclusive(&engine.lock);
    if (--engine.region_count > 0)
        return;
    if (zio_handler_stop(&engine.handler) == 0)
        close_engine();
}

static struct zio_lazy_region *new_region(enum zio_lazy_source_kind kind, uint64_t length,
                                          const struct zio_lazy_options *options) {
    struct zio_lazy_region *region = calloc(1, sizeof *region);
    if (!region)
        return NULL;
    region->kind = kind;
    region->options = *options;
    region->bytes = page_up(length);
    region->window = PAGE_BYTES / 2; /* doubled at the first fault, at offset 0 */
    region->base = zio_pages_alloc(region->bytes);
    atomic_store(&region->references, 1);
    if (region->base)
        return region;
    free(region);
    return NULL;
}

static void release_memory(struct zio_lazy_region *region) {
    if (region->base)
        zio_pages_free(region->base, region->bytes);
    region->base = NULL;
    if (region->source_mapping)
        munmap(region->source_mapping, region->source_mapping_bytes);
    region->source_mapping = NULL;
}

static int finish_region(struct zio_lazy_region *region, int code,
                         struct zio_lazy_region **result) {
    if (code == 0) {
        pthread_mutex_lock(&engine.life);
        uint64_t count = engine.region_count;
        code = attach(region);
        if (code != 0 && engine.region_count > count)
            detach(region);
        pthread_mutex_unlock(&engine.life);
    }
    if (code != 0) {
        release_memory(region);
        free(region);
        return code;
    }
    *result = region;
    return 0;
}

int zio_lazy_region_of_memory(enum zio_lazy_source_kind kind, const void *bytes, uint64_t available,
                              uint64_t length, const struct zio_lazy_options *options,
                              struct zio_lazy_region **result) {
    struct zio_lazy_region *region = new_region(kind, length, options);
    if (!region)
        return ZIO_ENOMEM;
    region->source = bytes;
    region->readable = available;
    if (kind == ZIO_LAZY_COPIED) {
        region->source_mapping_bytes = region->readable = region->bytes;
        region->source_mapping = zio_pages_alloc(region->bytes);
        if (!region->source_mapping)
            return finish_region(region, ZIO_ENOMEM, result);
        memcpy(region->source_mapping, bytes, available);
        region->source = region->source_mapping;
    }
    return finish_region(region, 0, result);
}

int zio_lazy_region_of_file(int fd, uint64_t offset, uint64_t available, uint64_t length,
                            const struct zio_lazy_options *options,
                            struct zio_lazy_region **result) {
    struct zio_lazy_region *region = new_region(ZIO_LAZY_FILE, length, options);
    if (!region)
        return ZIO_ENOMEM;
    /* Zeros, over which as much of the file is laid as there is. */
    uint64_t lead = offset - page_down(offset);
    region->source_mapping_bytes = page_up(lead + region->bytes);
    region->readable = region->bytes;
    unsigned char *mapping = mmap(NULL, region->source_mapping_bytes, PROT_READ,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return finish_region(region, -errno, result);
    region->source_mapping = mapping;
    region->source = mapping + lead;
    int code = 0;
    if (available > 0 && mmap(mapping, lead + available, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd,
                              (off_t)(offset - lead)) == MAP_FAILED)
        code = -errno;
    return finish_region(region, code, result);
}

void *zio_lazy_region_data(const struct zio_lazy_region *region) {
    return region->base;
}

void zio_lazy_region_stats(const struct zio_lazy_region *region, struct zio_lazy_stats *stats) {
    /* The toucher goes on before the handler thread has counted: wait for that. */
    zio_lock_exclusive(&engine.lock);
    stats->faults = atomic_load(&region->faults);
    stats->filled_bytes = atomic_load(&region->filled_bytes);
    stats->error_count = atomic_load(&region->error_count);
    uint64_t known = smaller(stats->error_count, ZIO_LAZY_ERRORS);
    memcpy(stats->errors, region->errors, known * sizeof stats->errors[0]);
    zio_unlock_exclusive(&engine.lock);
}

void zio_lazy_region_hold(struct zio_lazy_region *region) {
    atomic_fetch_add(&region->references, 1);
}

void zio_lazy_region_unmap(struct zio_lazy_region *region) {
    if (!region->base)
        return;
    pthread_mutex_lock(&engine.life);
    detach(region);
    pthread_mutex_unlock(&engine.life);
    release_memory(region);
}

void zio_lazy_region_release(struct zio_lazy_region *region) {
    if (atomic_fetch_sub(&region->references, 1) != 1)
        return;
    zio_lazy_region_unmap(region);
    free(region);
}
