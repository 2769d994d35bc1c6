/* Changes of files that the kernel makes on the program's behalf: truncation, names, times. Around
 * each the file has everything that was logged, and nobody logs to it. */
#ifndef ZIO_LOGGED_CHANGES_H
#define ZIO_LOGGED_CHANGES_H

#include <stdbool.h>

#include "logged_files.h"

/* A change that may be under way; errno is kept by all. */
struct zio__change {
    struct zio__visit visit;
    struct zio_storage_file *file; /* NULL: the file is not logged, and nothing is to be ended */
    int refusal;                   /* not 0: -errno with which the call fails */
};

/* Of the file that a path names, or a descriptor has. Where it is not logged nothing happens. */
void zio__change_path(struct zio__change *change, int directory, const char *path, bool follows);
void zio__change_descriptor(struct zio__change *change, int fd);
/* `path`: its new name; "": it has none any more; NULL: as before. `written` is a descriptor of the
 * file where its data changed, or -1. */
void zio__change_end(struct zio__change *change, const char *path, int written);

/* Programs look at many files: what has another name than those of the patterns, and was reached by
 * no link, needs no further look. The identity is that of a regular file, found under this path. */
bool zio__has_other_name(int directory, const char *path, bool follows, uint64_t device,
                         uint64_t inode);

/* Whether a path names a file that is or may come under the log, and its identity, as found. The
 * pool is opened where it must be. */
bool zio__path_is_ours(int directory, const char *path, bool follows);

/* The file at a path is left to the kernel before it is used in a way that cannot be followed. */
void zio__path_leave(int directory, const char *path);

#endif
