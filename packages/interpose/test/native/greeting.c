/* What the victim `executes` starts: says what it was given. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *told = getenv("TOLD");
    printf("greeting: %d", argc);
    for (int i = 1; i < argc; i++)
        printf(" %s", argv[i]);
    printf(", %s\n", told ? told : "not told");
    return 5;
}
