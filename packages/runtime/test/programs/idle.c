/* Does nothing: a program to be linked in different ways. */
int main(void) {
    return 0;
}
