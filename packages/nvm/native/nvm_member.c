/* The processes that have a pool open. A member has a place, and lives as long as its lock on one
 * byte of the pool's file, far beyond its end. The lock belongs to an open file description that
 * nothing refers to but a mapping, so that the program cannot close it, a child does not inherit it,
 * and the kernel drops it when the memory of the process goes: at exit, exec or kill. Another byte,
 * the gate, is for opening and closing. */
#include "nvm_internal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>


#include "bytes.h"

#define GATE_AT  (INT64_C(1) << 62)
#define PLACE_AT (GATE_AT + 1)

enum { GATE_STEPS = 1200 * 1000 }; /* ten minutes: a long recovery */

static long lock_bytes(int fd, int command, int type, int64_t at, int64_t length,
                       struct flock *lock) {
    zio__zero_bytes(lock, sizeof *lock);
    lock->l_type = (short)type;
    lock->l_whence = SEEK_SET;
    lock->l_start = at;
    lock->l_len = length;
    return zio_syscall(SYS_fcntl, fd, command, lock);
}

int nvm__own_number(struct zio_nvm_pool *pool) {
    if (nvm__is_kept(&pool->own))
        return atomic_load(&pool->own.number);
    long fd = zio_syscall(SYS_openat, AT_FDCWD, pool->path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
    struct nvm_descriptor found = {.number = -1};
    if (nvm__keep(&found, fd) < 0)
        return -1;
    if (found.device != pool->own.device || found.inode != pool->own.inode) {
        nvm__drop(&found);
        return -1;
    }
    /* Two threads that do this at once: one number is left open, to no harm. */
    atomic_store(&pool->own.number, atomic_load(&found.number));
    pool->pm.descriptor = atomic_load(&found.number);
    return pool->pm.descriptor;
}

/* A number that was replaced in between would look like a place that is free. */
bool nvm__is_dead(struct zio_nvm_pool *pool, uint32_t slot) {
    struct flock lock;
    int fd = nvm__own_number(pool);
    return fd >= 0 && lock_bytes(fd, F_OFD_GETLK, F_WRLCK, PLACE_AT + slot, 1, &lock) == 0 &&
           lock.l_type == F_UNLCK && nvm__is_kept(&pool->own);
}

static int32_t pid_at(struct zio_nvm_pool *pool, int64_t place) {
    int32_t pid = 0;
    uint64_t at = pool->shared_offset + offsetof(struct nvm_shared, members) +
                  (uint64_t)place * sizeof(struct nvm_member) + offsetof(struct nvm_member, pid);
    if (place < 0 || place >= NVM_MEMBERS || pool->shared_offset == 0 ||
        zio_syscall(SYS_pread64, atomic_load(&pool->own.number), &pid, sizeof pid, at) !=
            sizeof pid)
        return 0;
    return pid;
}

static bool is_range_held(struct zio_nvm_pool *pool, int64_t from, int64_t length, int32_t *pid) {
    struct flock lock;
    if (length == 0)
        return false;
    if (lock_bytes(atomic_load(&pool->own.number), F_OFD_GETLK, F_WRLCK, PLACE_AT + from, length,
                   &lock) != 0)
        return true;
    if (lock.l_type != F_UNLCK)
        *pid = pid_at(pool, lock.l_start - PLACE_AT);
    return lock.l_type != F_UNLCK;
}

bool nvm__has_members(struct zio_nvm_pool *pool, int32_t *pid) {
    *pid = 0;
    if (!pool->life)
        return is_range_held(pool, 0, NVM_MEMBERS, pid);
    return is_range_held(pool, 0, pool->slot, pid) ||
           is_range_held(pool, pool->slot + 1, NVM_MEMBERS - pool->slot - 1, pid);
}

/* Another description of the pool's file: what is locked by it, no child and no mapping keeps. */
static int open_another(struct zio_nvm_pool *pool) {
    int own = nvm__own_number(pool);
    if (own < 0)
        return -EBADF;
    long fd = nvm__reopen(own);
    if (fd < 0) /* no /proc */
        fd = zio_syscall(SYS_openat, AT_FDCWD, pool->path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
    struct stat found;
    if (fd < 0 || (zio_syscall(SYS_fstat, fd, &found) == 0 && found.st_dev == pool->own.device &&
                   found.st_ino == pool->own.inode))
        return (int)fd;
    zio_syscall(SYS_close, fd);
    return -EBADF;
}

int nvm__close_gate(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 500 * 1000};
    struct flock lock;
    int fd = open_another(pool);
    if (fd < 0)
        return nvm__system(problem, fd, "open", pool->path);
    for (int step = 0;; step++) {
        long result = lock_bytes(fd, F_OFD_SETLK, F_WRLCK, GATE_AT, 1, &lock);
        if (result == 0) {
            pool->gate = fd;
            return 0;
        }
        if (result == -EAGAIN || result == -EACCES) {
            lock_bytes(fd, F_OFD_GETLK, F_WRLCK, GATE_AT, 1, &lock);
            result = nvm__problem(problem, ZIO_NVM_IN_USE, ZIO_EBUSY, 0, pool->path);
            if (lock.l_type != F_RDLCK && step < GATE_STEPS) { /* nobody only looks at it */
                zio_syscall(SYS_nanosleep, &pause, NULL);
                continue;
            }
        } else {
            nvm__system(problem, (int)result, "fcntl", pool->path);
        }
        zio_syscall(SYS_close, fd);
        return (int)result;
    }
}

void nvm__open_gate(struct zio_nvm_pool *pool) {
    zio_syscall(SYS_close, pool->gate);
    pool->gate = -1;
}

int nvm__look_lock(struct zio_nvm_pool *pool, struct zio_nvm_problem *problem) {
    struct flock lock;
    int fd = atomic_load(&pool->own.number);
    long result = lock_bytes(fd, F_OFD_SETLK, F_RDLCK, 0, 0, &lock);
    if (result == 0)
        return 0;
    if (result != -EAGAIN && result != -EACCES)
        return nvm__system(problem, (int)result, "fcntl", pool->path);
    int32_t pid = 0;
    is_range_held(pool, 0, NVM_MEMBERS, &pid);
    nvm__problem(problem, ZIO_NVM_IN_USE, ZIO_EBUSY, 0, pool->path);
    if (problem)
        problem->owner_pid = pid;
    return ZIO_EBUSY;
}

/* A place whose byte is locked by this process: it is nobody else's, and its last owner is dead. */
static void clear_place(struct zio_nvm_pool *pool, uint32_t slot) {
    struct nvm_member *member = &pool->shared->members[slot];
    uint64_t mask = nvm__enter_state(pool);
    if (atomic_load(&member->owns))
        nvm__disown_all(pool, slot);
    for (uint32_t i = 0; i < pool->file_slots; i++)
        pool->shared->files[i].users[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    atomic_store(&member->owns, 0);
    atomic_store(&member->staged, 0);
    atomic_store(&member->pid, 0);
    nvm__leave_state(pool, mask);
}

/* A free place, and the mapping that holds it. */
static int take_place(struct zio_nvm_pool *pool, uint32_t *slot, void **life) {
    struct flock lock;
    long fd = open_another(pool), result = -EAGAIN;
    if (fd < 0)
        return (int)fd;
    uint32_t first = atomic_fetch_add(&pool->shared->next_member, 1);
    for (uint32_t i = 0; i < NVM_MEMBERS && (result == -EAGAIN || result == -EACCES); i++) {
        *slot = (first + i) % NVM_MEMBERS;
        result = lock_bytes((int)fd, F_OFD_SETLK, F_WRLCK, PLACE_AT + *slot, 1, &lock);
    }
    if (result == 0) {
        long mapped = zio_syscall(SYS_mmap, 0, NVM_PAGE, PROT_NONE, MAP_SHARED, fd, 0);
        *life = (void *)mapped;
        if (mapped < 0 && mapped >= -4095)
            result = mapped;
    }
    zio_syscall(SYS_close, fd);
    if (result < 0)
        return result == -EAGAIN || result == -EACCES ? -EUSERS : (int)result;
    /* On stacked file systems (overlay) a mapping is one of the file below, and keeps no lock. */
    if (nvm__is_dead(pool, *slot)) {
        zio_syscall(SYS_munmap, *life, NVM_PAGE);
        return ZIO_ENOTSUP;
    }
    return 0;
}

/* Whether a mapping of the file keeps the lock of its description, as members need it. */
bool nvm__keeps_locks(int fd) {
    struct flock lock;
    long other = nvm__reopen(fd);
    if (other < 0)
        return true; /* no /proc: opening will tell */
    long result = lock_bytes((int)other, F_OFD_SETLK, F_WRLCK, GATE_AT, 1, &lock);
    long mapped = zio_syscall(SYS_mmap, 0, NVM_PAGE, PROT_NONE, MAP_SHARED, other, 0);
    zio_syscall(SYS_close, other);
    bool is_mapped = mapped >= 0 || mapped < -4095;
    bool keeps = result == 0 && is_mapped &&
                 lock_bytes(fd, F_OFD_GETLK, F_WRLCK, GATE_AT, 1, &lock) == 0 &&
                 lock.l_type != F_UNLCK;
    if (is_mapped)
        zio_syscall(SYS_munmap, mapped, NVM_PAGE);
    return keeps;
}

static uint32_t begin_life(struct zio_nvm_pool *pool, uint32_t slot) {
    struct nvm_member *member = &pool->shared->members[slot];
    return nvm__lock_name(slot, atomic_fetch_add(&member->incarnation, 1) + 1);
}

int nvm__join(struct zio_nvm_pool *pool) {
    void *life;
    int result = take_place(pool, &pool->slot, &life);
    if (result < 0)
        return result;
    pool->life = life;
    zio_syscall(SYS_madvise, life, NVM_PAGE, MADV_DONTFORK);
    pool->name = begin_life(pool, pool->slot);
    clear_place(pool, pool->slot);
    atomic_store(&nvm__self(pool)->pid, (int32_t)zio_syscall(SYS_getpid));
    return 0;
}

void nvm__clear_self(struct zio_nvm_pool *pool) {
    clear_place(pool, pool->slot);
}

/* Whoever holds the byte of a place may clear it: nobody lives there, and nobody can move in. */
void nvm__clear_dead(struct zio_nvm_pool *pool) {
    struct flock lock;
    int fd = -1;
    if (pool->read_only)
        return;
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->clear_lock);
    for (uint32_t slot = 0; slot < NVM_MEMBERS; slot++) {
        struct nvm_member *member = &pool->shared->members[slot];
        if (slot == pool->slot || atomic_load(&member->pid) == 0 || !nvm__is_dead(pool, slot))
            continue;
        if (fd < 0 && (fd = open_another(pool)) < 0)
            break;
        if (lock_bytes(fd, F_OFD_SETLK, F_WRLCK, PLACE_AT + slot, 1, &lock) != 0)
            continue;
        if (atomic_load(&member->pid) != 0)
            clear_place(pool, slot);
        lock_bytes(fd, F_OFD_SETLK, F_UNLCK, PLACE_AT + slot, 1, &lock);
    }
    if (fd >= 0)
        zio_syscall(SYS_close, fd);
    zio_unlock_exclusive(&pool->clear_lock);
    nvm__restore_signals(pool, mask);
}

/* The child's place is taken before it exists, so that what it inherits is in use without a gap. */
void zio_nvm_before_fork(struct zio_nvm_pool *pool) {
    struct nvm_heir *heir = &pool->heir;
    heir->ready = false;
    if (nvm__usable(pool) == ZIO_ENOTSUP || pool->read_only)
        return;
    uint64_t mask = nvm__block_signals(pool);
    zio_lock_exclusive(&pool->table_lock);
    zio_lock_exclusive(&pool->index_lock);
    zio_lock_exclusive(&pool->clear_lock);
    struct nvm_descriptor descriptor = {.number = -1};
    if (nvm__keep(&descriptor, open_another(pool)) == 0 &&
        take_place(pool, &heir->slot, &heir->life) == 0) {
        heir->ready = true;
        heir->descriptor = atomic_load(&descriptor.number);
        heir->name = begin_life(pool, heir->slot);
        clear_place(pool, heir->slot);
    } else {
        nvm__drop(&descriptor);
    }
    uint64_t inner = nvm__enter_state(pool);
    for (uint32_t i = 0; heir->ready && i < pool->file_slots; i++)
        if (pool->files[i].users > 0)
            pool->shared->files[i].users[heir->slot / 64] |= UINT64_C(1) << heir->slot % 64;
    nvm__leave_state(pool, inner);
    nvm__restore_signals(pool, mask);
}

static void begin_child(struct zio_nvm_pool *pool) {
    struct nvm_heir *heir = &pool->heir;
    zio__zero_bytes(&pool->nodes.lock, sizeof pool->nodes.lock);
    if (!heir->ready)
        return;
    zio_syscall(SYS_madvise, heir->life, NVM_PAGE, MADV_DONTFORK);
    nvm__drop(&pool->own);
    atomic_store(&pool->own.number, heir->descriptor);
    pool->pm.descriptor = heir->descriptor;
    pool->slot = heir->slot;
    pool->name = heir->name;
    pool->life = heir->life; /* the parent's is not mapped here */
    zio_syscall(SYS_madvise, pool->extent_blocks, pool->blocks * sizeof *pool->extent_blocks,
                MADV_DONTNEED);
    atomic_store(&nvm__self(pool)->pid, (int32_t)zio_syscall(SYS_getpid));
    nvm__free_worker(&pool->worker); /* of the parent's memory, a copy */
    pool->background = pool->wants_worker;
    atomic_store(pool->sentinel, 1);
}

void zio_nvm_after_fork(struct zio_nvm_pool *pool, bool child) {
    struct nvm_heir *heir = &pool->heir;
    if (pool->read_only || (!child && nvm__usable(pool) == ZIO_ENOTSUP))
        return;
    if (child) {
        begin_child(pool);
        zio__zero_bytes(&pool->table_lock, sizeof pool->table_lock);
        zio__zero_bytes(&pool->index_lock, sizeof pool->index_lock);
        zio__zero_bytes(&pool->clear_lock, sizeof pool->clear_lock);
    } else {
        zio_unlock_exclusive(&pool->clear_lock);
        zio_unlock_exclusive(&pool->index_lock);
        zio_unlock_exclusive(&pool->table_lock);
        if (heir->ready) {
            zio_syscall(SYS_munmap, heir->life, NVM_PAGE);
            zio_syscall(SYS_close, heir->descriptor);
        }
    }
    heir->ready = false;
}
