/* Reads of an executable what decides whether a library can be preloaded into it: the header, the
 * name of its loader, the names of the libraries that it asks for. Any bytes may come in. */
#include "exec_target.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zio/syscall.h>

#include "sanitizer_name.h"

enum {
    START_BYTES = 1024, /* the header and, as a rule, the program headers */
    NAME_BYTES = 64,
    LINE_BYTES = 256, /* what the kernel reads of a script's first line */
    SCRIPTS = 5,      /* the kernel follows no deeper chain */
    HEADERS = 64,
    ENTRIES = 512,
    BATCH = 16,
};

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#else
#define OWN_MACHINE EM_AARCH64
#endif

struct program {
    long fd;
    long length; /* of start */
    _Alignas(8) char start[START_BYTES];
    Elf64_Phdr dynamic, loader, strings; /* p_type 0: there is none */
};

static long read_at(const struct program *program, void *to, size_t length, uint64_t offset) {
    return zio_syscall(SYS_pread64, program->fd, to, length, offset);
}

static bool begins_with(const char *text, const char *word) {
    while (*word && *text == *word)
        text++, word++;
    return *word == 0;
}

static const char *base_name(const char *path) {
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

/* A text of the file's, cut off. */
static bool read_text(const struct program *program, char *text, uint64_t offset) {
    long length = read_at(program, text, NAME_BYTES - 1, offset);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* The program header at `index`, mostly from what has been read already. */
static bool header(const struct program *program, unsigned index, Elf64_Phdr *found) {
    const Elf64_Ehdr *elf = (const void *)program->start;
    uint64_t at = elf->e_phoff + (uint64_t)index * sizeof *found;
    if (at % 8 == 0 && at <= START_BYTES - sizeof *found &&
        at + sizeof *found <= (uint64_t)program->length) {
        *found = *(const Elf64_Phdr *)(program->start + at);
        return true;
    }
    return read_at(program, found, sizeof *found, at) == (long)sizeof *found;
}

static void find_segments(struct program *program) {
    const Elf64_Ehdr *elf = (const void *)program->start;
    Elf64_Phdr each;
    program->dynamic.p_type = program->loader.p_type = 0;
    for (unsigned i = 0; i < elf->e_phnum && i < HEADERS && header(program, i, &each); i++)
        if (each.p_type == PT_DYNAMIC)
            program->dynamic = each;
        else if (each.p_type == PT_INTERP)
            program->loader = each;
}

static uint64_t offset_of(const struct program *program, uint64_t address) {
    const Elf64_Ehdr *elf = (const void *)program->start;
    Elf64_Phdr each;
    for (unsigned i = 0; i < elf->e_phnum && i < HEADERS && header(program, i, &each); i++)
        if (each.p_type == PT_LOAD && address >= each.p_vaddr &&
            address - each.p_vaddr < each.p_filesz)
            return each.p_offset + (address - each.p_vaddr);
    return 0;
}

/* Calls for each entry of the dynamic section until one says that it has seen enough. */
typedef bool (*entry_visitor)(const struct program *program, const Elf64_Dyn *entry,
                              uint64_t *value);

static bool visit(const struct program *program, entry_visitor visitor, uint64_t *value) {
    Elf64_Dyn entries[BATCH];
    uint64_t all = program->dynamic.p_filesz / sizeof entries[0];
    for (uint64_t done = 0; done < all && done < ENTRIES;) {
        size_t count = all - done < BATCH ? all - done : BATCH;
        long bytes = read_at(program, entries, count * sizeof entries[0],
                             program->dynamic.p_offset + done * sizeof entries[0]);
        if (bytes < (long)sizeof entries[0])
            return false;
        count = (size_t)bytes / sizeof entries[0];
        for (size_t i = 0; i < count; i++) {
            if (entries[i].d_tag == DT_NULL)
                return false;
            if (visitor(program, &entries[i], value))
                return true;
        }
        done += count;
    }
    return false;
}

static bool is_string_table(const struct program *program, const Elf64_Dyn *entry,
                            uint64_t *value) {
    (void)program;
    *value = entry->d_un.d_val;
    return entry->d_tag == DT_STRTAB;
}

static bool is_sanitizer(const struct program *program, const Elf64_Dyn *entry, uint64_t *value) {
    char name[NAME_BYTES];
    return entry->d_tag == DT_NEEDED && read_text(program, name, *value + entry->d_un.d_val) &&
           zio__is_sanitizer(base_name(name));
}

static bool needs_sanitizer(const struct program *program) {
    uint64_t address, strings;
    return program->dynamic.p_type != 0 && visit(program, is_string_table, &address) &&
           (strings = offset_of(program, address)) != 0 && visit(program, is_sanitizer, &strings);
}

static bool has_our_loader(const struct program *program) {
    char text[NAME_BYTES];
    /* Nothing is preloaded into a static program, but its children inherit the environment. */
    if (program->loader.p_type == 0 || !read_text(program, text, program->loader.p_offset))
        return true;
    const char *name = base_name(text);
    return begins_with(name, "ld-linux") || begins_with(name, "ld64.so") ||
           begins_with(name, "ld.so") ||
           (begins_with(name, "ld-") && name[3] >= '0' && name[3] <= '9');
}

static bool suits(struct program *program) {
    const Elf64_Ehdr *elf = (const void *)program->start;
    if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_ident[EI_DATA] != ELFDATA2LSB ||
        elf->e_machine != OWN_MACHINE)
        return false;
    if (elf->e_phentsize != sizeof(Elf64_Phdr))
        return true;
    find_segments(program);
    return has_our_loader(program) && !needs_sanitizer(program);
}

/* The interpreter of a script, in place; NULL: it is none. */
static const char *interpreter(struct program *program) {
    char *line = program->start;
    long end = program->length < LINE_BYTES ? program->length : LINE_BYTES - 1, at = 2;
    if (program->length < 3 || line[0] != '#' || line[1] != '!')
        return NULL;
    while (at < end && (line[at] == ' ' || line[at] == '\t'))
        at++;
    char *name = line + at;
    while (at < end && line[at] != ' ' && line[at] != '\t' && line[at] != '\n' && line[at] != 0)
        at++;
    line[at] = 0;
    return *name ? name : NULL;
}

/* Never anything but a regular file: others do something when they are opened. */
static long open_program(const struct zio__exec_target *target) {
    struct stat status;
    int flags = *target->path ? 0 : AT_EMPTY_PATH;
    if (zio_syscall(SYS_newfstatat, target->directory, target->path, &status, flags) != 0 ||
        !S_ISREG(status.st_mode))
        return -1;
    if (*target->path)
        return zio_syscall(SYS_openat, target->directory, target->path,
                           O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return target->directory;
}

bool zio__may_be_preloaded(const struct zio__exec_target *given) {
    struct program program;
    struct zio__exec_target target = *given;
    for (int depth = 0; depth <= SCRIPTS; depth++) {
        program.fd = open_program(&target);
        if (program.fd < 0)
            return true;
        program.length = read_at(&program, program.start, START_BYTES, 0);
        bool is_elf =
            program.length >= (long)sizeof(Elf64_Ehdr) && begins_with(program.start, ELFMAG);
        bool may = !is_elf || suits(&program);
        if (program.fd != target.directory)
            zio_syscall(SYS_close, program.fd);
        if (is_elf)
            return may;
        target = (struct zio__exec_target){AT_FDCWD, interpreter(&program)};
        if (!target.path)
            return true;
    }
    return true;
}
