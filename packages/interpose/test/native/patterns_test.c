/* Patterns of file names: each line of the table is a pattern, a text, and whether it matches. */
#include <stdio.h>

#include "file_patterns.h"

static const struct {
    const char *pattern, *text;
    bool matches;
} cases[] = {
    {"*.aof", "appendonly.aof", true},
    {"*.aof", "appendonly.aof.1", false},
    {"*.aof*", "appendonly.aof.1", true},
    {"*", "", true},
    {"*", "a/b", false},
    {"/a/*/c", "/a/b/c", true},
    {"/a/*/c", "/a/b/b/c", false},
    {"/a/?", "/a//", false},
    {"?", "a", true},
    {"?", "", false},
    {"[abc]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[!a-c]x", "dx", true},
    {"[^a-c]x", "ax", false},
    {"[]]", "]", true},
    {"[]-a]", "_", true},
    {"[a-]", "-", true},
    {"[/]", "/", false},
    {"[a", "[a", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", true},
    {"a*b*c", "aXbYbZc", true},
    {"a*b*c", "aXbYbZ", false},
    {"*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

static int failures;

static void expect(const char *what, bool is, bool should) {
    if (is != should) {
        failures++;
        printf("%s: %d\n", what, is);
    }
}

int main(void) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].pattern, zio__glob_matches(cases[i].pattern, cases[i].text),
               cases[i].matches);
    zio__patterns_set_up("*.log::/data/*/x\\:y:back\\\\slash:");
    expect("name", zio__patterns_match("/any/where/a.log"), true);
    expect("whole", zio__patterns_match("/data/1/x:y"), true);
    expect("below", zio__patterns_match("/data/1/2/x:y"), false);
    expect("elsewhere", zio__patterns_match("/other/data/1/x:y"), false);
    expect("nothing", zio__patterns_match("/any/where/"), false);
    expect("plain", zio__patterns_match("/a.log/b"), false);
    expect("may", zio__patterns_may_match("a.log"), true);
    expect("may, by the end of a path", zio__patterns_may_match("../x:y"), true);
    expect("may not", zio__patterns_may_match("/data/1/z"), false);
    zio__patterns_set_up("/a/[b/]c");
    expect("a set with a slash", zio__patterns_may_match("bc"), true);
    if (failures == 0)
        puts("patterns hold");
    return failures != 0;
}
