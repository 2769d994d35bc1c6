/* The futex lock. `state` counts the readers, or holds LOCK_EXCLUSIVE; LOCK_SLEEPERS in it says
 * that a reader sleeps. `writers` counts the writers that wait. Correctness rests on `state` alone;
 * `writers` only keeps new readers out and tells who unlocks that somebody is to be woken.
 *
 * No wake-up is lost: a reader sleeps only after it has set LOCK_SLEEPERS and then seen
 * LOCK_EXCLUSIVE or a waiting writer; whoever clears LOCK_EXCLUSIVE, or is the last writer to give
 * up, looks at LOCK_SLEEPERS afterwards. A writer announces itself in `writers` before it looks at
 * `state`; whoever frees `state` looks at `writers` afterwards. All of this is sequentially
 * consistent. */
#include <zio/lock.h>
#include <zio/syscall.h>

#include <linux/futex.h>
#include <stddef.h>
#include <time.h>

#define LOCK_EXCLUSIVE ZIO_LOCK_EXCLUSIVE
#define LOCK_SLEEPERS  UINT32_C(0x40000000)
#define LOCK_READERS   UINT32_C(0x3fffffff)

enum { LOCK_SPINS = 32, WAKE_READER = 1, WAKE_WRITER = 2 };

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static _Atomic(_Atomic uint64_t *) slept_ns;

void zio_lock_count_sleep(_Atomic uint64_t *nanoseconds) {
    atomic_store(&slept_ns, nanoseconds);
}

/* By the system call: the handler thread has no vDSO of libc's to call. */
static uint64_t lock_clock_ns(void) {
    struct timespec now;
    zio_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The deadline is absolute, on the monotonic clock; NULL: for ever. */
static void sleep_while(struct zio_lock *lock, uint32_t value, uint32_t who,
                        const struct timespec *deadline) {
    _Atomic uint64_t *sum = atomic_load_explicit(&slept_ns, memory_order_relaxed);
    uint64_t from = sum ? lock_clock_ns() : 0;
    zio_syscall(SYS_futex, &lock->state, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, deadline,
                NULL, who);
    /* Asked anew: whoever stopped the counting may have confined this thread meanwhile. */
    if (sum && atomic_load(&slept_ns) == sum)
        atomic_fetch_add_explicit(sum, lock_clock_ns() - from, memory_order_relaxed);
}

static void wake(struct zio_lock *lock, uint32_t who, int count) {
    zio_syscall(SYS_futex, &lock->state, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, count, NULL, NULL,
                who);
}

static bool try_shared(struct zio_lock *lock) {
    uint32_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    while (!(state & LOCK_EXCLUSIVE) && atomic_load(&lock->writers) == 0)
        if (atomic_compare_exchange_weak_explicit(&lock->state, &state, state + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

static bool try_exclusive(struct zio_lock *lock) {
    uint32_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    while (!(state & ~LOCK_SLEEPERS))
        if (atomic_compare_exchange_weak_explicit(&lock->state, &state, state | LOCK_EXCLUSIVE,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

static void wake_readers(struct zio_lock *lock) {
    if (atomic_fetch_and(&lock->state, ~LOCK_SLEEPERS) & LOCK_SLEEPERS)
        wake(lock, WAKE_READER, INT32_MAX);
}

void zio_lock_shared(struct zio_lock *lock) {
    for (int spin = 0; spin < LOCK_SPINS; spin++) {
        if (try_shared(lock))
            return;
        pause_cpu();
    }
    while (!try_shared(lock)) {
        uint32_t state = atomic_fetch_or(&lock->state, LOCK_SLEEPERS) | LOCK_SLEEPERS;
        if ((state & LOCK_EXCLUSIVE) || atomic_load(&lock->writers) != 0)
            sleep_while(lock, state, WAKE_READER, NULL);
    }
}

void zio_unlock_shared(struct zio_lock *lock) {
    uint32_t before = atomic_fetch_sub(&lock->state, 1);
    if ((before & LOCK_READERS) == 1 && atomic_load(&lock->writers) != 0)
        wake(lock, WAKE_WRITER, 1);
}

static bool spin_exclusive(struct zio_lock *lock) {
    for (int spin = 0; spin < LOCK_SPINS; spin++) {
        if (try_exclusive(lock))
            return true;
        pause_cpu();
    }
    return false;
}

/* Sleeps until the deadline (NULL: for ever); the caller has counted itself in `writers`. */
static bool wait_exclusive(struct zio_lock *lock, const struct timespec *deadline) {
    while (!try_exclusive(lock)) {
        uint32_t state = atomic_load(&lock->state);
        if (state & ~LOCK_SLEEPERS)
            sleep_while(lock, state, WAKE_WRITER, deadline);
        if (!deadline)
            continue;
        struct timespec now;
        zio_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
        if (now.tv_sec > deadline->tv_sec ||
            (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec))
            return try_exclusive(lock);
    }
    return true;
}

/* A writer that gives up may have swallowed a wake-up that was meant for another. */
static void pass_on(struct zio_lock *lock) {
    uint32_t state = atomic_load(&lock->state);
    if (state & LOCK_EXCLUSIVE)
        return;
    if (atomic_load(&lock->writers) == 0)
        wake_readers(lock);
    else if ((state & LOCK_READERS) == 0)
        wake(lock, WAKE_WRITER, 1);
}

void zio_lock_exclusive(struct zio_lock *lock) {
    if (spin_exclusive(lock))
        return;
    atomic_fetch_add(&lock->writers, 1);
    wait_exclusive(lock, NULL);
    atomic_fetch_sub(&lock->writers, 1);
}

bool zio_lock_exclusive_timed(struct zio_lock *lock, uint64_t timeout_ns) {
    if (try_exclusive(lock))
        return true;
    if (timeout_ns == 0)
        return false;
    struct timespec deadline;
    zio_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &deadline);
    uint64_t ns = (uint64_t)deadline.tv_nsec + timeout_ns % UINT64_C(1000000000);
    deadline.tv_sec += (time_t)(timeout_ns / UINT64_C(1000000000) + ns / UINT64_C(1000000000));
    deadline.tv_nsec = (long)(ns % UINT64_C(1000000000));
    if (spin_exclusive(lock))
        return true;
    atomic_fetch_add(&lock->writers, 1);
    bool held = wait_exclusive(lock, &deadline);
    atomic_fetch_sub(&lock->writers, 1);
    if (!held)
        pass_on(lock);
    return held;
}

void zio_unlock_exclusive(struct zio_lock *lock) {
    uint32_t before = atomic_fetch_and(&lock->state, ~LOCK_EXCLUSIVE);
    if (atomic_load(&lock->writers) != 0)
        wake(lock, WAKE_WRITER, 1);
    else if (before & LOCK_SLEEPERS)
        wake_readers(lock);
}
