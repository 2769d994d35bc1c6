/* Locks between the processes of a tree. The word names the member that holds it, and which
 * incarnation of its place. A holder that died is found by whoever waits: the kernel has dropped the
 * lock by which a member is known to live (nvm_member.c), or the place has another incarnation.
 * Taking over is one compare-and-exchange against a word that will not come again, so only one does
 * it and never from a holder that lives. What the dead one left half done is told by other means:
 * `busy` of the state, `altering` of a file; commit and digest are begun anew. */
#include "nvm_internal.h"

#include <linux/futex.h>
#include <time.h>


#define LOCK_WAITERS     UINT32_C(0x80000000)
#define LOCK_INCARNATION UINT32_C(0x000fffff)

enum { MEMBER_BITS = 10, SHARED_SPINS = 64, LOOK_NS = 20 * 1000 * 1000 };

uint32_t nvm__lock_name(uint32_t slot, uint32_t incarnation) {
    return (slot + 1) | (incarnation & LOCK_INCARNATION) << MEMBER_BITS;
}

static bool is_holder_dead(struct zio_nvm_pool *pool, uint32_t word) {
    uint32_t slot = (word & NVM_MEMBERS) - 1, incarnation = word >> MEMBER_BITS;
    const struct nvm_member *member = &pool->shared->members[slot];
    if ((word & ~LOCK_WAITERS) == pool->name)
        return false;
    if ((atomic_load(&member->incarnation) & LOCK_INCARNATION) !=
        (incarnation & LOCK_INCARNATION))
        return true;
    return nvm__is_dead(pool, slot);
}

static void pause_lock(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static bool spin(struct nvm_lock *lock, uint32_t name) {
    for (int i = 0; i < SHARED_SPINS; i++) {
        uint32_t seen = 0;
        if (atomic_compare_exchange_strong(&lock->word, &seen, name))
            return true;
        if (seen & LOCK_WAITERS)
            return false;
        pause_lock();
    }
    return false;
}

void nvm__lock(struct zio_nvm_pool *pool, struct nvm_lock *lock) {
    const struct timespec look = {.tv_sec = 0, .tv_nsec = LOOK_NS};
    if (spin(lock, pool->name))
        return;
    for (;;) {
        uint32_t word = atomic_load(&lock->word);
        /* Others may sleep, and who wakes cannot tell. */
        if (word == 0) {
            if (atomic_compare_exchange_strong(&lock->word, &word, pool->name | LOCK_WAITERS))
                return;
            continue;
        }
        if (!(word & LOCK_WAITERS)) {
            if (!atomic_compare_exchange_strong(&lock->word, &word, word | LOCK_WAITERS))
                continue;
            word |= LOCK_WAITERS;
        }
        long result = zio_syscall(SYS_futex, &lock->word, FUTEX_WAIT, word, &look);
        if (result != -ETIMEDOUT || !is_holder_dead(pool, word))
            continue;
        if (atomic_compare_exchange_strong(&lock->word, &word, pool->name | LOCK_WAITERS))
            return;
    }
}

bool nvm__try_lock(struct zio_nvm_pool *pool, struct nvm_lock *lock) {
    uint32_t word = 0;
    if (atomic_compare_exchange_strong(&lock->word, &word, pool->name))
        return true;
    return is_holder_dead(pool, word) &&
           atomic_compare_exchange_strong(&lock->word, &word, pool->name | LOCK_WAITERS);
}

void nvm__unlock(struct nvm_lock *lock) {
    if (atomic_exchange(&lock->word, 0) & LOCK_WAITERS)
        zio_syscall(SYS_futex, &lock->word, FUTEX_WAKE, 1);
}

uint64_t nvm__enter_state(struct zio_nvm_pool *pool) {
    uint64_t mask = nvm__block_signals(pool);
    nvm__lock(pool, &pool->shared->state_lock);
    if (atomic_load(&pool->shared->busy))
        nvm__repair(pool);
    atomic_store(&pool->shared->busy, 1);
    return mask;
}

void nvm__leave_state(struct zio_nvm_pool *pool, uint64_t mask) {
    atomic_store(&pool->shared->busy, 0);
    nvm__unlock(&pool->shared->state_lock);
    nvm__restore_signals(pool, mask);
}
