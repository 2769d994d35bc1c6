/* The command line of the demo's programs: `--name VALUE` options from a table, sizes with
 * K, M and G (binary). Owns nothing; ends the program with status 2 and one line on stderr when
 * an argument is wrong. */
#ifndef ZIO_DEMO_COMMAND_LINE_H
#define ZIO_DEMO_COMMAND_LINE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
    const char *name; /* with its dashes; a row without a name ends the table */
    const char *placeholder;
    const char *help;
    long *number;        /* set for a number or a size */
    const char **choice; /* set for one of `choices` */
    const char *choices; /* "a|b|c"; NULL takes any text */
};

static inline void print_usage(FILE *to, const char *program, const struct option_row *rows) {
    fprintf(to, "usage: %s [options]\n", program);
    for (const struct option_row *row = rows; row->name; row++)
        fprintf(to, "  %-14s %-12s %s\n", row->name, row->choices ? row->choices : row->placeholder,
                row->help);
}

/* A number of at least 0 with an optional K, M or G; -1 when `text` is none. */
static inline long parse_size(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    int shift = 0;
    if (*end == 'K' || *end == 'k')
        shift = 10;
    else if (*end == 'M' || *end == 'm')
        shift = 20;
    else if (*end == 'G' || *end == 'g')
        shift = 30;
    if (shift)
        end++;
    if (errno || end == text || *end || value < 0 || value > (__LONG_MAX__ >> shift))
        return -1;
    return value << shift;
}

static inline int is_choice(const char *choices, const char *value) {
    size_t length = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, length) == 0 && (at[length] == '|' || at[length] == '\0'))
            return length > 0;
    }
    return 0;
}

static inline void parse_options(int argc, char **argv, const struct option_row *rows) {
    for (int i = 1; i < argc; i++) {
        const struct option_row *row = rows;
        if (strcmp(argv[i], "--help") == 0) {
            print_usage(stdout, argv[0], rows);
            exit(0);
        }
        while (row->name && strcmp(row->name, argv[i]) != 0)
            row++;
        if (!row->name) {
            fprintf(stderr, "%s: unknown option '%s' (--help lists them)\n", argv[0], argv[i]);
            exit(2);
        }
        const char *value = i + 1 < argc ? argv[++i] : "";
        int good = 1;
        if (row->number) {
            *row->number = parse_size(value);
            good = *row->number >= 0;
        } else {
            *row->choice = value;
            good = row->choices ? is_choice(row->choices, value) : *value != '\0';
        }
        if (!good) {
            fprintf(stderr, "%s: %s takes %s, not '%s'\n", argv[0], row->name,
                    row->choices ? row->choices : row->placeholder, value);
            exit(2);
        }
    }
}

#endif
