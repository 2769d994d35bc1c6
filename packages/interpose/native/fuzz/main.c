/* zio-fuzz-program FILE: executes the program in FILE. Each line is a verb and numbers; blocks
 * (fork, threads) take the lines that follow. The output starts each line with the number of the
 * line of the program that it tells about. Ends by looking at every slot. */
#include "fuzz.h"
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

struct slot fuzz_slots[SLOTS];
static struct operation *program;
static size_t length;

/* ---- what is printed ------------------------------------------------------------------------- */

void fuzz_flush(struct output *output) {
    for (size_t done = 0; done < output->used;) {
        size_t part = output->used - done < SMALL / 2 ? output->used - done : SMALL / 2;
        ssize_t n = write(1, output->text + done, part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(99);
        done += (size_t)n;
    }
    output->used = 0;
}

void fuzz_say(struct context *context, const char *format, ...) {
    struct output *output = context->output;
    if (output->room - output->used < 512) {
        if (context->is_child || context->threads > 1)
            return; /* theirs is printed by others, and what fits is enough to be compared */
        fuzz_flush(output);
    }
    va_list values;
    va_start(values, format);
    int n = vsnprintf(output->text + output->used, 500, format, values);
    va_end(values);
    output->used += n < 500 ? (size_t)n : 499;
}

void fuzz_die(const char *what) {
    char line[200];
    int n = snprintf(line, sizeof line, "zio-fuzz-program: %s: %s\n", what, strerror(errno));
    if (write(1, line, (size_t)n) < 0)
        _exit(99);
    _exit(98);
}

/* ---- slots ----------------------------------------------------------------------------------- */

struct slot *fuzz_slot(const struct context *context, long index) {
    size_t i = (size_t)index % SLOTS;
    if (context->threads > 1) {
        size_t own = (SLOTS - SHARED_SLOTS) / context->threads;
        i = i % own * context->threads + context->thread;
    }
    return &fuzz_slots[i];
}

struct slot *fuzz_source_slot(const struct context *context, long index) {
    size_t i = (size_t)index % SLOTS;
    return i >= SLOTS - SHARED_SLOTS ? &fuzz_slots[i] : fuzz_slot(context, index);
}

bool fuzz_may_look(const struct context *context, size_t i) {
    return i >= SLOTS - SHARED_SLOTS || fuzz_may_change(context, &fuzz_slots[i]);
}

bool fuzz_may_change(const struct context *context, const struct slot *slot) {
    size_t i = (size_t)(slot - fuzz_slots);
    size_t own = (SLOTS - SHARED_SLOTS) / context->threads * context->threads;
    return context->threads == 1 || (i < own && i % context->threads == context->thread);
}

struct range fuzz_range(struct slot *slot, long offset, long length) {
    if (slot->kind == EMPTY || slot->n == 0)
        return (struct range){slot, NULL, 0};
    size_t at = (size_t)offset % slot->n;
    size_t room = slot->n - at, n = length < 0 ? room : (size_t)length;
    return (struct range){slot, slot->at + at, n < room ? n : room};
}

struct range fuzz_pages(struct slot *slot, long offset, long length) {
    struct range range = fuzz_range(slot, offset, length);
    if (slot->kind != MAPPED || range.n == 0)
        return (struct range){slot, NULL, 0};
    size_t start = (size_t)(range.at - slot->at) / PAGE * PAGE;
    size_t end = ((size_t)(range.at - slot->at) + range.n + PAGE - 1) / PAGE * PAGE;
    if (end > slot->n)
        end = slot->n / PAGE * PAGE;
    return (struct range){slot, slot->at + start, end > start ? end - start : 0};
}

/* ---- the program ----------------------------------------------------------------------------- */

static const struct verb *verb_named(const char *name, size_t n) {
    static const struct verb *const tables[] = {
        fuzz_memory_verbs,  fuzz_mapping_verbs, fuzz_copy_verbs,
        fuzz_input_verbs,   fuzz_output_verbs,  fuzz_file_verbs,
        fuzz_process_verbs, fuzz_thread_verbs,  fuzz_signal_verbs,
        fuzz_handle_verbs,  fuzz_content_verbs, fuzz_name_verbs,
        fuzz_transfer_verbs, fuzz_company_verbs};
    for (size_t t = 0; t < LENGTH_OF(tables); t++)
        for (const struct verb *verb = tables[t]; verb->name != NULL; verb++)
            if (strlen(verb->name) == n && strncmp(verb->name, name, n) == 0)
                return verb;
    return NULL;
}

/* Lines that are empty or begin with # are skipped. */
static void load(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fuzz_die(path);
    char line[400];
    size_t room = 0;
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        size_t name = strcspn(line, " \n");
        if (name == 0 || line[0] == '#')
            continue;
        if (length == room) {
            room = room ? room * 2 : 256;
            program = realloc(program, room * sizeof *program);
            if (program == NULL)
                fuzz_die("realloc");
        }
        struct operation *operation = &program[length++];
        *operation = (struct operation){.verb = verb_named(line, name), .number = number};
        if (operation->verb == NULL)
            fuzz_die(line);
        char *at = line + name;
        for (int i = 0; i < ARGUMENTS; i++)
            operation->a[i] = strtol(at, &at, 10);
    }
    fclose(file);
}

size_t fuzz_next(const long *a) {
    const char *operation = (const char *)a - offsetof(struct operation, a);
    return (size_t)((const struct operation *)(const void *)operation - program) + 1;
}

size_t fuzz_further(const struct context *context, size_t from, long count) {
    size_t left = context->limit > from ? context->limit - from : 0;
    return from + ((size_t)count < left ? (size_t)count : left);
}

/* How many of the following operations belong to a block. */
static long taken_by(const struct operation *operation) {
    if (strcmp(operation->verb->name, "fork") == 0)
        return operation->a[0] + operation->a[1];
    if (strcmp(operation->verb->name, "child") == 0)
        return operation->a[0];
    if (strcmp(operation->verb->name, "threads") == 0)
        return operation->a[0] * operation->a[1];
    return 0;
}

void fuzz_execute(struct context *context, size_t from, size_t to) {
    size_t outer = context->limit;
    for (size_t i = from; i < to;) {
        context->limit = to;
        const struct operation *operation = &program[i];
        fuzz_say(context, "%d %s", operation->number, operation->verb->name);
        operation->verb->run(context, operation->a);
        fuzz_say(context, "\n");
        i = fuzz_further(context, i + 1, taken_by(operation));
    }
    context->limit = outer;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--relay") == 0)
        return fuzz_relay();
    if (argc == 4)
        return fuzz_visit(argv[1], argv[2], argv[3]);
    if (argc != 2)
        return 97;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGPIPE, SIG_IGN);
    load(argv[1]);
    static char text[16 * SMALL];
    struct output output = {text, 0, sizeof text};
    struct context context = {.stream = 1, .threads = 1, .output = &output};
    fuzz_execute(&context, 0, length);
    for (int i = 0; i < SLOTS; i++)
        if (fuzz_slots[i].kind != EMPTY)
            fuzz_say(
                &context, "0 slot %d: %zu %016llx\n", i, fuzz_slots[i].n,
                (unsigned long long)fuzz_hash(FUZZ_HASH_START, fuzz_slots[i].at, fuzz_slots[i].n));
    fuzz_tell_files(&context);
    fuzz_say(&context, "0 end\n");
    fuzz_flush(&output);
    return 0;
}
