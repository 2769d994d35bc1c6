/* TRAP 10: views that lie across several of the kernel's mappings. The memory was split by advice,
 * locks, discards or growth; one request for all of it is refused by the kernel, so the library has
 * to go piece by piece. */
#include "modelled.h"
#include <sys/prctl.h>

static const size_t size = 64 * PAGE;

/* ---- ways to split ----------------------------------------------------------------------------
 */

static void by_advice(struct memory *memory) {
    for (size_t page = 3; page < 60; page += 7)
        need(madvise(memory->at + page * PAGE, 2 * PAGE, MADV_DONTDUMP) == 0, "madvise");
}

static void by_single_pages(struct memory *memory) {
    for (size_t page = 0; page < 64; page += 2)
        need(madvise(memory->at + page * PAGE, PAGE, MADV_DONTDUMP) == 0, "madvise");
}

static void by_names(struct memory *memory) {
#ifdef PR_SET_VMA
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory->at + 20 * PAGE, 9 * PAGE, "piece");
#endif
    need(madvise(memory->at + 24 * PAGE, PAGE, MADV_HUGEPAGE) == 0, "madvise");
}

static void by_discards(struct memory *memory) {
    memory_feed(memory, 0, size);
    for (size_t page = 5; page < 60; page += 16) {
        need(madvise(memory->at + page * PAGE, 3 * PAGE, MADV_DONTNEED) == 0, "madvise");
        model_set(memory->model + page * PAGE, 0, 3 * PAGE);
    }
}

static void by_mapping_over(struct memory *memory) {
    memory_feed(memory, 0, size);
    for (size_t page = 1; page < 60; page += 20) {
        byte *at = memory->at + page * PAGE;
        need(mmap(at, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                  0) == at,
             "mmap");
        model_set(memory->model + page * PAGE, 0, 5 * PAGE);
    }
}

static void by_locks(struct memory *memory) {
    memory_feed(memory, 0, size);
    for (size_t page = 2; page < 60; page += 11) {
        need(mlock(memory->at + page * PAGE, 4 * PAGE) == 0, "mlock");
        if (page % 3)
            need(munlock(memory->at + page * PAGE, 4 * PAGE) == 0, "munlock");
    }
}

static void by_protection(struct memory *memory) {
    memory_feed(memory, 0, 20 * PAGE);
    need(mprotect(memory->at + 9 * PAGE, 20 * PAGE, PROT_READ) == 0, "mprotect");
    need(mprotect(memory->at + 9 * PAGE, 20 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    memory_feed(memory, 30 * PAGE, 20 * PAGE);
}

/* Neighbouring mappings, made one after the other and used apart before they are used as one. */
static void by_growth(struct memory *memory) {
    munmap(memory->at, size);
    for (size_t page = 0; page < 64; page += 16) {
        byte *at = memory->at + page * PAGE;
        need(mmap(at, 16 * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at,
             "mmap");
        if (page % 32)
            memory_feed(memory, page * PAGE, 16 * PAGE);
        else
            memory_store(memory, page * PAGE, 1, 16 * PAGE);
    }
}

static void (*const splits[])(struct memory *) = {
    by_advice,       by_single_pages, by_names,      by_discards,
    by_mapping_over, by_locks,        by_protection, by_growth,
};

/* ---- what is then done with the whole ---------------------------------------------------------
 */

static void look(struct memory *memory) {
    check("looked at", memory);
}

static void look_backwards(struct memory *memory) {
    for (size_t page = 64; page-- > 0;)
        check_range("page", memory, page * PAGE, PAGE);
}

static void look_here_and_there(struct memory *memory) {
    for (size_t i = 0; i < 40; i++)
        check_range("byte", memory, choose(size), 1);
    check_sent("sent", memory);
}

static void overwrite(struct memory *memory) {
    memory_set(memory, 3000, 0x31, 50 * PAGE);
    check("overwritten", memory);
}

static void copy_within(struct memory *memory) {
    memory_copy(memory, 4096 + 5, memory, 0, size - 8192);
    check_sent("moved", memory);
    memory_copy(memory, 0, memory, 9000, size - 9000);
    check("moved", memory);
}

static void receive_again(struct memory *memory) {
    for (int i = 0; i < 4; i++) {
        memory_feed(memory, (size_t)i * 1000, size - (size_t)i * 2000);
        memory_store(memory, choose(size), 1, 1);
        check_sent("received", memory);
    }
}

static void fork_child(struct memory *memory) {
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        check("the child's", memory);
        _exit(0);
    }
    int status;
    need(waitpid(child, &status, 0) == child, "waitpid");
    check("the parent's", memory);
}

static void write_raw(struct memory *memory) {
    int fd = memfd_create("raw", MFD_CLOEXEC);
    byte *back = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(syscall(SYS_write, fd, memory->at, size) == (long)size, "SYS_write");
    need(syscall(SYS_pread64, fd, back, size, 0L) == (long)size, "SYS_pread64");
    say("raw write: %d", fnv(back, size) == fnv(memory->model, size));
    close(fd);
    munmap(back, size);
}

static void discard_all(struct memory *memory) {
    size_t locked_away = 0;
    for (size_t page = 0; page < 64; page += 8)
        if (madvise(memory->at + page * PAGE, 6 * PAGE, MADV_DONTNEED) == 0)
            model_set(memory->model + page * PAGE, 0, 6 * PAGE);
        else { /* locked memory is discarded up to the lock */
            munlock(memory->at, size);
            need(madvise(memory->at + page * PAGE, 6 * PAGE, MADV_DONTNEED) == 0, "madvise");
            model_set(memory->model + page * PAGE, 0, 6 * PAGE);
            locked_away++;
        }
    say("locked: %zu", locked_away);
    check("discarded in part", memory);
}

static void unlock_and_protect(struct memory *memory) {
    need(munlock(memory->at, size) == 0, "munlock");
    need(mprotect(memory->at, size, PROT_READ) == 0, "mprotect");
    check_sent("sent", memory);
    need(mprotect(memory->at, size, PROT_READ | PROT_WRITE) == 0, "mprotect");
    check("protected", memory);
    need(mlock(memory->at, size) == 0 && munlock(memory->at, size) == 0, "mlock");
    check("locked", memory);
}

/* The kernel refuses to resize what it could not merge; then the bytes move one by one, and are
 * right as well. */
static void resize(struct memory *memory) {
    byte *moved = mremap(memory->at, size, size + 40 * PAGE, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        moved = map_private(size + 40 * PAGE);
        model_copy(moved, memory->at, size);
    }
    memory->at = moved;
    check("resized", memory);
    expect_bytes("beyond", moved + size, 40 * PAGE, 0);
}

static void after_each_split(void (*use)(struct memory *)) {
    for (size_t s = 0; s < LENGTH_OF(splits); s++)
        for (int input = 0; input < 2; input++) {
            struct memory memory = memory_new(MAPPED, 0, size),
                          source = memory_new(MAPPED, 0, size);
            splits[s](&memory);
            memory_feed(&source, 0, size);
            if (input)
                memory_feed(&memory, 0, size);
            else
                memory_copy_by(memcpy, &memory, 0, &source, 0, size);
            use(&memory);
            use(&source);
            check("source", &source);
            munmap(memory.at, size);
        }
}

#define USE(name)                                                                                  \
    static void after_##name(void) {                                                               \
        after_each_split(name);                                                                    \
    }
USE(look)
USE(look_backwards)
USE(look_here_and_there)
USE(overwrite)
USE(copy_within)
USE(receive_again)
USE(fork_child)
USE(write_raw)
USE(discard_all)
USE(unlock_and_protect)
USE(resize)

static const struct sub_case cases[] = {
    {"look", after_look},
    {"look-backwards", after_look_backwards},
    {"look-here-and-there", after_look_here_and_there},
    {"overwrite", after_overwrite},
    {"copy-within", after_copy_within},
    {"receive-again", after_receive_again},
    {"fork", after_fork_child},
    {"write-raw", after_write_raw},
    {"discard", after_discard_all},
    {"unlock-and-protect", after_unlock_and_protect},
    {"resize", after_resize},
};
VICTIM_MAIN(cases)
