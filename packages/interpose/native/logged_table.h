/* The table of descriptors, for those who change it. Within a visit, but for what is said. */
#ifndef ZIO_LOGGED_TABLE_H
#define ZIO_LOGGED_TABLE_H

#include <stdbool.h>

/* Longer numbers have no entry: their files are never logged. */
enum { ZIO__DESCRIPTORS = 1 << 20, ZIO__LAST_STREAM = 2 };

/* From the constructor. False: there is no memory for it. */
bool zio__table_set_up(void);
void zio__table_after_fork(void);
/* The last number that is not unknown, or -1. Needs no visit. */
int zio__table_end(void);
/* Needs no visit. */
bool zio__table_knows(int fd);
/* Of a number up to the last one: a regular file that is not logged. */
bool zio__table_is_file(int fd);
/* Drops what was known of a number. */
void zio__table_forget(int fd);
/* Drops everything, what is left for good too. */
void zio__table_clear(void);
/* Looks what is behind an unknown descriptor. 0, or -errno with which opening it is refused. */
int zio__table_classify(int fd);

/* Around the end of the pool: nobody else begins a visit, and who is in one is waited for, within
 * bounds. Returns whether nobody is. */
bool zio__visits_stop(void);
void zio__visits_go_on(void);
/* From the constructor. False: there is no memory for it. */
bool zio__visits_set_up(void);
/* This process is another one, with one thread. */
void zio__visits_begin_anew(void);

#endif
