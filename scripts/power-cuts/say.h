/* Lines for scripts/power-cuts.mjs: each is on the serial line before anything else happens, and ends with a full stop, because
 * the power may go in the middle of one. */
#ifndef ZIO_POWER_CUTS_SAY_H
#define ZIO_POWER_CUTS_SAY_H

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#define SAY(...)                                                                                   \
    do {                                                                                           \
        printf(__VA_ARGS__);                                                                       \
        printf(" .\n");                                                                            \
        fflush(stdout);                                                                            \
        tcdrain(STDOUT_FILENO);                                                                    \
    } while (0)

#endif
