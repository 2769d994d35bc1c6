/* Prints "ready", then the name of every signal that reaches it, and ends at SIGTERM with status
 * 7. Stops when it is told to, as programs do. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaddset(&set, caught[i]);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready %d %d\n", getpid(), getpgrp());
    fflush(stdout);
    for (;;) {
        int number = sigwaitinfo(&set, NULL);
        if (number > 0)
            printf("%s\n", sigabbrev_np(number));
        fflush(stdout);
        if (number == SIGTERM)
            return 7;
    }
}
