/* Records that several writers append at once: each is bytes of one value. */
#ifndef NVM_RECORDS_H
#define NVM_RECORDS_H
#include "victim.h"

#include <fcntl.h>

/* How many there are of each value (or only that there are some), and what was torn. */
UNUSED static void tell_records(const char *name, size_t size, bool exactly) {
    static byte record[1000];
    int fd = open(name, O_RDONLY), counts[256] = {0}, torn = 0;
    while (read(fd, record, size) == (ssize_t)size) {
        counts[record[0]]++;
        for (size_t i = 0; i < size; i++)
            torn += record[i] != record[0];
    }
    for (int i = 0; i < 256; i++)
        if (counts[i])
            exactly ? say("%d records of %d", counts[i], i) : say("some records of %d", i);
    say("%d bytes at the wrong place", torn);
    close(fd);
}

#endif
