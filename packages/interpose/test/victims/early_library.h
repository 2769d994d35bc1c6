/* What the early library shows to the program that loaded it. */
#ifndef EARLY_LIBRARY_H
#define EARLY_LIBRARY_H
int early_failures(void);
int early_echo(unsigned stream);
unsigned char *early_memory(void);
#endif
