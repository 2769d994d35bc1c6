/* Until glibc 2.33 stat and its kin were no functions of libc.so.6 but came with the linker, on top of the ones below.
 * Built into what is linked against the stubs of an older glibc. struct stat is not looked at here. */
#if defined(__x86_64__)
#define STAT_VERSION 1
#elif defined(__aarch64__)
#define STAT_VERSION 0
#else
#error "which version of struct stat does this architecture have?"
#endif

int __xstat64(int version, const char *path, void *status);
int __lxstat64(int version, const char *path, void *status);
int __fxstat64(int version, int descriptor, void *status);
int __fxstatat64(int version, int directory, const char *path, void *status, int flags);

#define DEFINE(name, parameters, call) \
    int name parameters { return call; } \
    int name##64 parameters { return call; }

/* clang-format off */
DEFINE(stat, (const char *path, void *status), __xstat64(STAT_VERSION, path, status))
DEFINE(lstat, (const char *path, void *status), __lxstat64(STAT_VERSION, path, status))
DEFINE(fstat, (int descriptor, void *status), __fxstat64(STAT_VERSION, descriptor, status))
DEFINE(fstatat, (int directory, const char *path, void *status, int flags),
       __fxstatat64(STAT_VERSION, directory, path, status, flags))
/* clang-format on */
