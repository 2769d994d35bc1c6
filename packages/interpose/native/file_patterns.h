/* Which files are logged, by their names: ZIO_NVM_FILES. */
#ifndef ZIO_FILE_PATTERNS_H
#define ZIO_FILE_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the list apart, into memory of its own. From the constructor. */
void zio__patterns_set_up(const char *list);

/* Whether a pattern matches: one with a slash the whole absolute path, another its last name. */
bool zio__patterns_match(const char *path);

/* Whether a file whose last name in `path` is its own may be matched: false is sure. */
bool zio__patterns_may_match(const char *path);

/* A glob with *, ?, [...] and \ before a character that stands for itself; no wildcard matches a
 * slash. For tests. */
bool zio__glob_matches(const char *pattern, const char *text);

#endif
