/* What the handler thread reads: faults that are refused, events, a full queue. */
#include <pthread.h>
#include <sys/resource.h>

#include "zone.h"

static atomic_int unmapped;

static void *unmap_in_thread(void *address) {
    munmap(address, PAGE);
    atomic_store(&unmapped, 1);
    return NULL;
}

static void *touch_in_thread(void *address) {
    return (void *)(uintptr_t) * (volatile unsigned char *)address;
}

/* TRAPS 8: whoever holds the lock that a fault needs may be waiting in munmap. */
static void events_are_read_while_faults_are_refused(void) {
    zone_open(8);
    zone_start();
    atomic_store(&zone.refuse, -1);
    pthread_t toucher, unmapper;
    pthread_create(&toucher, NULL, touch_in_thread, zone.base);
    usleep(5000);
    pthread_create(&unmapper, NULL, unmap_in_thread, zone.base + 7 * PAGE);
    pthread_join(unmapper, NULL); /* for ever, were the event not read */
    struct zio_event event;
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
    CHECK_EQ(event.kind, ZIO_EVENT_UNMAP);
    CHECK_EQ(event.start, (uintptr_t)(zone.base + 7 * PAGE));
    CHECK_EQ(event.length, PAGE);
    zio_handler_pop_event(&zone.handler);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 0);
    CHECK(zio_handler_is_quiet(&zone.handler));
    atomic_store(&zone.refuse, 0);
    void *value;
    pthread_join(toucher, &value);
    CHECK_EQ((uintptr_t)value, zone.pattern[0]);
}

static bool called_again_and_again(void) {
    return atomic_load(&zone.calls) >= 40;
}

static double cpu_ms(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

/* TRAPS 9: not now may last long; a core must not burn meanwhile. A busy machine makes the calls
 * fewer and each no dearer, so only too many of them and too much work count. */
static void refused_faults_are_retried_without_spinning(void) {
    zone_open(8);
    zone_start();
    atomic_store(&zone.refuse, -1);
    pthread_t toucher;
    double start = now_ms(), cpu = cpu_ms();
    pthread_create(&toucher, NULL, touch_in_thread, zone.base);
    CHECK(wait_for(called_again_and_again, 20000));
    usleep(200000);
    double calls = atomic_load(&zone.calls);
    cpu = cpu_ms() - cpu;
    double elapsed = now_ms() - start;
    CHECK(calls <= 20 + elapsed * 1.2);
    CHECK(cpu < 20 + elapsed / 5);
    atomic_store(&zone.refuse, 0);
    pthread_join(toucher, NULL);
}

/* The shortest of many, because a busy machine makes any of them longer. */
static void a_short_refusal_costs_little(void) {
    zone_open(64);
    zone_start();
    CHECK(zone_matches(0, 1));
    double shortest = 1e9;
    for (size_t i = 1; i < 64; i++) {
        double start = now_ms();
        atomic_store(&zone.refuse, 1);
        CHECK(zone_matches(i, 1));
        double took = now_ms() - start;
        shortest = took < shortest ? took : shortest;
    }
    struct timespec tick; /* 1 ns, or the timer tick on machines without a better clock */
    clock_getres(CLOCK_MONOTONIC, &tick);
    CHECK(shortest < 5 + 4 * (double)tick.tv_nsec / 1e6);
}

static void stop_hands_pending_faults_to_the_next_thread(void) {
    zone_open(8);
    zone_start();
    atomic_store(&zone.refuse, -1);
    pthread_t toucher;
    pthread_create(&toucher, NULL, touch_in_thread, zone.base + PAGE);
    usleep(5000);
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
    atomic_store(&zone.refuse, 0);
    usleep(5000);
    zone_start();
    void *value;
    pthread_join(toucher, &value);
    CHECK_EQ((uintptr_t)value, zone.pattern[PAGE]);
}

static atomic_bool touching;

static void *touch_again_and_again(void *unused) {
    (void)unused;
    uint64_t done;
    while (atomic_load(&touching)) {
        /* Takes the page away without an event. */
        zio_uffd_move(&zone.uffd, (uintptr_t)zone.base, (uintptr_t)zone.base + PAGE, PAGE, true,
                      &done);
        if (!zone_matches(1, 1))
            return (void *)1;
        zio_syscall(SYS_madvise, zone.base, 2 * PAGE, MADV_DONTNEED);
    }
    return NULL;
}

static void stop_and_start_race_with_faults_and_events(void) {
    zone_open(8);
    atomic_store(&zone.drains, true);
    zone_start();
    pthread_t toucher;
    atomic_store(&touching, true);
    pthread_create(&toucher, NULL, touch_again_and_again, NULL);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(zio_handler_stop(&zone.handler), 0);
        zone_start();
    }
    atomic_store(&touching, false);
    void *wrong;
    pthread_join(toucher, &wrong);
    CHECK(!wrong);
}

enum { EVENTS = 3 * ZIO_HANDLER_QUEUE };

static bool all_are_drained(void) {
    return atomic_load(&zone.drained) == EVENTS;
}

/* The program waits rather than events are lost; the owner need not call in for them. */
static void full_queue_stalls_but_loses_nothing(void) {
    zone_open(EVENTS + 8);
    zone_start();
    atomic_store(&zone.drains, true);
    for (int i = 0; i < EVENTS; i++)
        CHECK_EQ(madvise(zone.base + (size_t)i * PAGE, PAGE, MADV_DONTNEED), 0);
    CHECK(wait_for(all_are_drained, 20000));
    CHECK(zone_matches(0, 8));
}

static void *discard_many(void *unused) {
    (void)unused;
    for (int i = 0; i < ZIO_HANDLER_QUEUE + 1; i++)
        madvise(zone.base + (size_t)i * PAGE, PAGE, MADV_DONTNEED);
    return NULL;
}

static bool queue_is_full(void) {
    return atomic_load(&zone.handler.tail) - atomic_load(&zone.handler.head) >= ZIO_HANDLER_QUEUE;
}

/* The kernel fills nothing while an event is unread, so a full queue holds up faults too. */
static void full_queue_holds_up_faults_until_somebody_consumes(void) {
    zone_open(ZIO_HANDLER_QUEUE + 8);
    zone_start();
    pthread_t toucher, discarder;
    pthread_create(&discarder, NULL, discard_many, NULL);
    CHECK(wait_for(queue_is_full, 10000));
    usleep(5000);
    CHECK_EQ(atomic_load(&zone.handler.tail) - atomic_load(&zone.handler.head), ZIO_HANDLER_QUEUE);
    unsigned char *page = zone.base + (ZIO_HANDLER_QUEUE + 5) * PAGE;
    pthread_create(&toucher, NULL, touch_in_thread, page);
    usleep(20000);
    CHECK_EQ(atomic_load(&zone.faults), 0);
    struct zio_event event;
    for (int i = 0; i < ZIO_HANDLER_QUEUE + 1; i++) {
        while (!zio_handler_peek_event(&zone.handler, &event))
            usleep(100);
        CHECK_EQ(event.start, (uintptr_t)zone.base + (size_t)i * PAGE);
        zio_handler_pop_event(&zone.handler);
    }
    void *value;
    pthread_join(toucher, &value);
    CHECK_EQ((uintptr_t)value, zone.pattern[(ZIO_HANDLER_QUEUE + 5) * PAGE]);
    pthread_join(discarder, NULL);
    CHECK_EQ(zio_handler_stop(&zone.handler), 0);
}

static bool queue_is_small_again(void) {
    return !zone.handler.large_queue;
}

/* Whoever waits may be the one for whom nobody else can consume. */
static void full_queue_grows_while_an_event_must_be_read(void) {
    enum { EVENTS = 5 * ZIO_HANDLER_QUEUE };
    zone_open(EVENTS + 8);
    zone_start();
    atomic_store(&zone.must_read, true);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < EVENTS; i++)
            CHECK_EQ(madvise(zone.base + (size_t)i * PAGE, PAGE, MADV_DONTNEED), 0);
        struct zio_event event;
        CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1); /* waits for the reader */
        CHECK_EQ(atomic_load(&zone.handler.tail) - atomic_load(&zone.handler.head), EVENTS);
        CHECK(zone_matches(EVENTS, 8));
        for (int i = 0; i < EVENTS; i++) {
            CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
            CHECK_EQ(event.start, (uintptr_t)zone.base + (size_t)i * PAGE);
            zio_handler_pop_event(&zone.handler);
        }
        CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 0);
        CHECK(!queue_is_small_again());
        CHECK_EQ(madvise(zone.base, PAGE, MADV_DONTNEED), 0); /* it looks again */
        CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
        zio_handler_pop_event(&zone.handler);
        CHECK_EQ(madvise(zone.base, PAGE, MADV_DONTNEED), 0);
        CHECK(wait_for(queue_is_small_again, 10000));
        CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
        zio_handler_pop_event(&zone.handler);
    }
}

static void events_say_what_happened(void) {
    zone_open(16);
    zone_start();
    unsigned char *base = zone.base;
    struct zio_event event;
    CHECK_EQ(madvise(base, 2 * PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
    CHECK(event.kind == ZIO_EVENT_REMOVE && event.start == (uintptr_t)base &&
          event.length == 2 * PAGE);
    zio_handler_pop_event(&zone.handler);

    unsigned char *target = mremap(base + 4 * PAGE, 4 * PAGE, 4 * PAGE,
                                   MREMAP_MAYMOVE | MREMAP_FIXED, zio_pages_alloc(4 * PAGE));
    CHECK(target != MAP_FAILED);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
    CHECK(event.kind == ZIO_EVENT_REMAP && event.start == (uintptr_t)(base + 4 * PAGE));
    CHECK(event.length == 4 * PAGE && event.target == (uintptr_t)target);
    zio_handler_pop_event(&zone.handler);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
    CHECK(event.kind == ZIO_EVENT_UNMAP && event.start == (uintptr_t)(base + 4 * PAGE));
    zio_handler_pop_event(&zone.handler);

    CHECK(mmap(base, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == base);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
    CHECK(event.kind == ZIO_EVENT_UNMAP && event.length == PAGE);
    zio_handler_pop_event(&zone.handler);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 0);
}

/* A thread that wanted to sleep for the lock, and found it free before it did, leaves its mark there
 * until the next exclusive lock: which may be long, for the reader sleeps until something happens. */
static void a_reader_that_did_not_have_to_sleep_hides_nothing(void) {
    enum { SOMEBODY_SLEEPS = 0x40000000 };
    struct zio_event event;
    zone_open(8);
    zone_start();
    atomic_fetch_or(&zone.handler.reading.state, SOMEBODY_SLEEPS);
    CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 0);
    CHECK(zio_handler_is_quiet(&zone.handler));
}

/* The protocol that the tracker relies on: probe, then look at the queue. */
static void after_a_quiet_probe_every_event_is_in_the_queue(void) {
    zone_open(8);
    zone_start();
    unsigned char *page = zone.base + 4 * PAGE;
    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(madvise(page, PAGE, MADV_DONTNEED), 0);
        CHECK_EQ(zio_uffd_probe(&zone.uffd), 0);
        CHECK(!zio_handler_is_quiet(&zone.handler));
        struct zio_event event;
        CHECK_EQ(zio_handler_peek_event(&zone.handler, &event), 1);
        zio_handler_pop_event(&zone.handler);
    }
}

static bool event_is_unread(void) {
    return zio_uffd_probe(&zone.uffd) == ZIO_EAGAIN;
}

static void probe_says_not_now_while_an_event_is_unread(void) {
    zone_open(8);
    CHECK_EQ(zio_uffd_probe(&zone.uffd), 0);
    pthread_t unmapper;
    pthread_create(&unmapper, NULL, unmap_in_thread, zone.base + 7 * PAGE);
    CHECK(wait_for(event_is_unread, 20000));
    CHECK_EQ(atomic_load(&unmapped), 0);
    uint64_t done = 1;
    CHECK_EQ(zio_uffd_copy(&zone.uffd, (uintptr_t)zone.base, zone.pattern, PAGE, &done),
             ZIO_EAGAIN);
    CHECK_EQ(done, 0);
    zone_start();
    pthread_join(unmapper, NULL);
    CHECK_EQ(zio_uffd_probe(&zone.uffd), 0);
}

static void *touch_all(void *unused) {
    (void)unused;
    for (size_t i = 0; i < zone.bytes / PAGE; i++)
        if (!zone_matches(i, 1))
            return (void *)1;
    return NULL;
}

static void eight_threads_fault_on_the_same_pages(void) {
    zone_open(512);
    zone_start();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, touch_all, NULL);
    for (int i = 0; i < 8; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(!wrong);
    }
}

static void *touch_own_page(void *index) {
    return (void *)(uintptr_t) * (volatile unsigned char *)(zone.base + (uintptr_t)index * PAGE);
}

static void more_waiting_threads_than_the_list_has_room_for(void) {
    enum { THREADS = 300 };
    zone_open(THREADS);
    zone_start();
    atomic_store(&zone.refuse, -1);
    static pthread_t threads[THREADS];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], &attr, touch_own_page, (void *)i), 0);
    usleep(50000);
    atomic_store(&zone.refuse, 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *value;
        pthread_join(threads[i], &value);
        CHECK_EQ((uintptr_t)value, zone.pattern[i * PAGE]);
    }
}

static const struct test tests[] = {
#define TEST(name)                                                                                 \
    { #name, name }
    TEST(events_are_read_while_faults_are_refused),
    TEST(refused_faults_are_retried_without_spinning),
    TEST(a_short_refusal_costs_little),
    TEST(stop_hands_pending_faults_to_the_next_thread),
    TEST(stop_and_start_race_with_faults_and_events),
    TEST(full_queue_stalls_but_loses_nothing),
    TEST(full_queue_holds_up_faults_until_somebody_consumes),
    TEST(full_queue_grows_while_an_event_must_be_read),
    TEST(events_say_what_happened),
    TEST(a_reader_that_did_not_have_to_sleep_hides_nothing),
    TEST(after_a_quiet_probe_every_event_is_in_the_queue),
    TEST(probe_says_not_now_while_an_event_is_unread),
    TEST(eight_threads_fault_on_the_same_pages),
    TEST(more_waiting_threads_than_the_list_has_room_for),
};
TEST_MAIN(tests)
