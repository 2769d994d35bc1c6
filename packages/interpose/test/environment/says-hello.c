/* A preload library that shows that it was loaded. */
#include <unistd.h>

__attribute__((constructor)) static void say_hello(void) {
    static const char text[] = "hello from the library\n";
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
}
