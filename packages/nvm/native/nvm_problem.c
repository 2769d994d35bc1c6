/* What is told about a failure. */
#include "nvm_internal.h"

#include "bytes.h"

int zio_nvm_abi_version(void) {
    return ZIO_NVM_ABI_VERSION;
}

const char *zio_nvm_problem_name(enum zio_nvm_problem_kind kind) {
    switch (kind) {
#define NAME_CASE(name, text)                                                                      \
    case ZIO_NVM_##name:                                                                           \
        return #name;
        ZIO_NVM_PROBLEMS(NAME_CASE)
#undef NAME_CASE
    default:
        return "UNKNOWN";
    }
}

const char *zio_nvm_problem_text(enum zio_nvm_problem_kind kind) {
    switch (kind) {
#define TEXT_CASE(name, text)                                                                      \
    case ZIO_NVM_##name:                                                                           \
        return text;
        ZIO_NVM_PROBLEMS(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "unknown problem";
    }
}

int nvm__problem(struct zio_nvm_problem *problem, enum zio_nvm_problem_kind kind, int code,
                 uint64_t offset, const char *path) {
    if (!problem)
        return code;
    problem->kind = kind;
    problem->code = code;
    problem->offset = offset;
    problem->action = NULL;
    problem->owner_pid = 0;
    size_t length = 0;
    while (path && path[length] && length + 1 < sizeof problem->path)
        length++;
    zio__copy_bytes(problem->path, path, length);
    problem->path[length] = 0;
    return code;
}

int nvm__system(struct zio_nvm_problem *problem, int code, const char *action, const char *path) {
    nvm__problem(problem, ZIO_NVM_SYSTEM, code, 0, path);
    if (problem)
        problem->action = action;
    return code;
}
