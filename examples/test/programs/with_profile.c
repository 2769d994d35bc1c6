/* with_profile COMMAND...: runs the command under a seccomp profile as a container engine loads it.
 * The rules are lines of standard input, made of the profile's JSON by the test:
 *     default ERRNO | arch NAME | allow NAME [INDEX OP VALUE VALUE] | errno NUMBER NAME
 * Then standard input is /dev/null. Names that this libseccomp does not know are passed over, as engines do. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static scmp_filter_ctx context;

static void fail(const char *what, int code) {
    fprintf(stderr, "with_profile: %s: %s\n", what, strerror(-code));
    exit(2);
}

static void add_architecture(const char *name) {
    int code = seccomp_arch_add(context, seccomp_arch_resolve_name(name));
    if (code != 0 && code != -EEXIST)
        fail(name, code);
}

static struct scmp_arg_cmp comparison(unsigned index, const char *operation,
                                      unsigned long long value, unsigned long long second) {
    if (strcmp(operation, "SCMP_CMP_EQ") == 0)
        return SCMP_CMP64(index, SCMP_CMP_EQ, value);
    if (strcmp(operation, "SCMP_CMP_NE") == 0)
        return SCMP_CMP64(index, SCMP_CMP_NE, value);
    if (strcmp(operation, "SCMP_CMP_MASKED_EQ") == 0)
        return SCMP_CMP64(index, SCMP_CMP_MASKED_EQ, value, second);
    fail(operation, -EINVAL);
    abort();
}

static void add_rule(uint32_t action, const char *name, unsigned count, struct scmp_arg_cmp argument) {
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return;
    int code = seccomp_rule_add(context, action, number, count, argument);
    if (code != 0)
        fail(name, code);
}

int main(int argc, char **argv) {
    struct scmp_arg_cmp none = {0};
    char line[256], name[64], operation[32];
    unsigned number, index;
    unsigned long long value, second;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "default %u", &number) == 1)
            context = seccomp_init(SCMP_ACT_ERRNO(number));
        else if (sscanf(line, "arch %63s", name) == 1)
            add_architecture(name);
        else if (sscanf(line, "errno %u %63s", &number, name) == 2)
            add_rule(SCMP_ACT_ERRNO(number), name, 0, none);
        else if (sscanf(line, "allow %63s %u %31s %llu %llu", name, &index, operation, &value,
                        &second) == 5)
            add_rule(SCMP_ACT_ALLOW, name, 1, comparison(index, operation, value, second));
        else if (sscanf(line, "allow %63s", name) == 1)
            add_rule(SCMP_ACT_ALLOW, name, 0, none);
        else
            fail(line, -EINVAL);
    }
    int nothing = open("/dev/null", O_RDONLY);
    int code = argc < 2 || nothing < 0 ? -EINVAL : seccomp_load(context);
    if (code != 0)
        fail("cannot load the filter", code);
    dup2(nothing, 0);
    execvp(argv[1], argv + 1);
    fail(argv[1], -errno);
}
