/* The queue of events between the thread that reads them and whoever applies them: a ring in the
 * handler itself, and a larger one while somebody's event must be read although that is full. Only
 * the reader adds; it changes rings under `reading`, under which consumers look. */
#include <zio/arena.h>

#include "internal.h"

/* 32 MiB. Each thread of the program can have one unread event before the one that must be read. */
enum { LARGEST_QUEUE = 1 << 20 };

uint32_t zio__queue_length(const struct zio_handler *handler) {
    return atomic_load_explicit(&handler->tail, memory_order_relaxed) -
           atomic_load_explicit(&handler->head, memory_order_acquire);
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t capacity(const struct zio_handler *handler) {
    return handler->large_queue ? handler->large_capacity : ZIO_HANDLER_QUEUE;
}

static struct zio_event *queue_slot(struct zio_handler *handler, uint32_t index) {
    struct zio_event *events = handler->large_queue ? handler->large_queue : handler->queue;
    return &events[index % capacity(handler)];
}

static bool grow(struct zio_handler *handler) {
    uint32_t old_capacity = capacity(handler), new_capacity = 2 * old_capacity;
    struct zio_event *old = handler->large_queue;
    struct zio_event *events = new_capacity <= LARGEST_QUEUE
                                   ? zio_pages_alloc(new_capacity * sizeof *events)
                                   : NULL;
    if (!events)
        return false;
    zio_lock_exclusive(&handler->reading);
    uint32_t tail = atomic_load_explicit(&handler->tail, memory_order_relaxed);
    for (uint32_t i = tail - old_capacity; i != tail; i++)
        events[i % new_capacity] = *queue_slot(handler, i);
    handler->large_queue = events;
    handler->large_capacity = new_capacity;
    zio_unlock_exclusive(&handler->reading);
    zio_pages_free(old, old_capacity * sizeof *old);
    return true;
}

static void shrink(struct zio_handler *handler) {
    struct zio_event *old = handler->large_queue;
    zio_lock_exclusive(&handler->reading);
    handler->large_queue = NULL;
    zio_unlock_exclusive(&handler->reading);
    zio_pages_free(old, handler->large_capacity * sizeof *old);
}

uint32_t zio__queue_room(struct zio_handler *handler, uint32_t batch) {
    uint32_t length = zio__queue_length(handler);
    if (length == 0 && handler->large_queue)
        shrink(handler);
    if (length < ZIO_HANDLER_QUEUE)
        return least(ZIO_HANDLER_QUEUE - length, batch);
    if (!handler->ops.must_read || !handler->ops.must_read(handler->ops.context))
        return 0;
    if (length == capacity(handler) && !grow(handler))
        return 0;
    return least(capacity(handler) - length, batch);
}

void zio__queue_add(struct zio_handler *handler, const struct zio_event *event) {
    uint32_t tail = atomic_load_explicit(&handler->tail, memory_order_relaxed);
    *queue_slot(handler, tail) = *event;
    atomic_store_explicit(&handler->tail, tail + 1, memory_order_release);
}

void zio__queue_after_fork(struct zio_handler *handler) {
    atomic_store(&handler->head, 0);
    atomic_store(&handler->tail, 0);
    handler->large_queue = NULL; /* lost: the parent's thread may have been changing it */
    handler->reading = (struct zio_lock){0};
}

int zio_handler_peek_event(struct zio_handler *handler, struct zio_event *event) {
    zio_lock_shared(&handler->reading);
    uint32_t head = atomic_load_explicit(&handler->head, memory_order_relaxed);
    bool found = head != atomic_load_explicit(&handler->tail, memory_order_acquire);
    if (found)
        *event = *queue_slot(handler, head);
    zio_unlock_shared(&handler->reading);
    return found;
}

void zio_handler_pop_event(struct zio_handler *handler) {
    atomic_fetch_add_explicit(&handler->head, 1, memory_order_release);
}
