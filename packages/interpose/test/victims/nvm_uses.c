/* The other uses of files whose writes may be logged: names, sizes, descriptors, and the ways that
 * are left to the kernel. The pattern is *.log. */
#include "nvm_file.h"

#include <aio.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#include "direct_call.h"

/* ---- what the kernel does to it --------------------------------------------------------------- */

static void truncations(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed();
    TELL(write(fd, at, MESSAGE));
    TELL(ftruncate(fd, 100001));
    tell_size(fd);
    TELL(write(fd, at, 5000));
    tell_size(fd);
    TELL(ftruncate(fd, MESSAGE * 2));
    TELL(truncate(NAME, MESSAGE + 77));
    tell_content("truncated");
    TELL(pwrite(fd, at, 30000, 90000));
    TELL(fallocate(fd, 0, 0, MESSAGE * 3));
    tell_size(fd);
    TELL(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 95000, 10000));
    tell_content("punched");
    TELL(posix_fallocate(fd, MESSAGE * 3, 1000));
    tell_size(fd);
    TELL(ftruncate(fd, -1));
    int again = open(NAME, O_WRONLY | O_TRUNC);
    tell_size(fd);
    TELL(write(again, at, 65536));
    TELL(write(fd, at, 65536));
    tell_size(fd);
    close(again);
    again = creat(NAME, 0600);
    tell_size(fd);
    TELL(write(again, at + 1, 20000));
    tell_content("truncated again");
    again = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
    TELL(write(again, at + 2, 20000));
    tell_content("and again");
    close(fd);
}

static void names(void) {
    byte *at = relayed();
    struct stat status;
    int fd = open_log(O_RDWR | O_APPEND);
    TELL(write(fd, at, 100000));
    TELL(rename(NAME, "other.log"));
    TELL(write(fd, at, 100000));
    TELL(stat(NAME, &status));
    TELL(stat("other.log", &status));
    say("renamed: %lld", (long long)status.st_size);
    TELL(rename("other.log", NAME));
    tell_content("renamed and back");
    int new = open("new.log", O_RDWR | O_CREAT, 0600);
    TELL(write(new, at + 7, 150000));
    TELL(rename("new.log", NAME));
    tell_content("replaced");
    TELL(write(fd, at, 1000));
    TELL(fstat(fd, &status));
    say("replaced file: %lld, links %d", (long long)status.st_size, (int)status.st_nlink);
    TELL(write(new, at, 1000));
    tell_content("the new one");
    TELL(link(NAME, "linked.log"));
    TELL(unlink("linked.log"));
    TELL(write(new, at, 1000));
    tell_content("linked and unlinked");
    TELL(unlink(NAME));
    TELL(write(new, at, 2000));
    TELL(fstat(new, &status));
    say("unlinked: %lld, links %d", (long long)status.st_size, (int)status.st_nlink);
    byte *back = map_private(MESSAGE);
    TELL(pread(new, back, MESSAGE, 0));
    show("unlinked", back, MESSAGE);
    close(fd), close(new);
    fd = open_log(O_RDWR);
    tell_content("a file of the old name");
    TELL(write(fd, at, 30000));
    mkdir("directory", 0700);
    int plain = open("plain", O_RDWR | O_CREAT, 0600);
    TELL(write(plain, at, 40000));
    TELL(rename("plain", NAME));
    TELL(write(plain, at, 40000));
    tell_content("a file that got the name");
    close(plain), close(fd);
    fd = open("directory/data.log", O_RDWR | O_CREAT, 0600);
    TELL(write(fd, at, 40000));
    TELL(rename("directory", "moved"));
    TELL(write(fd, at, 40000));
    TELL(stat("moved/data.log", &status));
    say("in a moved directory: %lld", (long long)status.st_size);
    TELL(remove("moved/data.log"));
    TELL(remove("moved"));
    close(fd);
}

static void times(void) {
    byte *at = relayed();
    struct stat before, after;
    int fd = open_log(O_RDWR);
    TELL(write(fd, at, 100));
    fstat(fd, &before);
    usleep(30000);
    TELL(write(fd, at, 100));
    fstat(fd, &after);
    say("written: %s", after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
                               (after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                                after.st_mtim.tv_nsec > before.st_mtim.tv_nsec)
                           ? "later"
                           : "not later");
    say("now: %s", labs((long)(time(NULL) - after.st_mtime)) < 3 ? "about" : "no");
    struct timespec set[2] = {{1000, 5000}, {2000, 7000}};
    TELL(futimens(fd, set));
    fstat(fd, &after);
    say("set: %lld.%09ld", (long long)after.st_mtim.tv_sec, after.st_mtim.tv_nsec);
    set[1].tv_sec = 3000;
    TELL(utimensat(AT_FDCWD, NAME, set, 0));
    struct statx extended;
    TELL(statx(AT_FDCWD, NAME, 0, STATX_BASIC_STATS, &extended));
    say("statx: %lld bytes, %lld", (long long)extended.stx_size,
        (long long)extended.stx_mtime.tv_sec);
    TELL(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
    TELL(fstatat(fd, "", &after, AT_EMPTY_PATH));
    say("by descriptor: %lld", (long long)after.st_size);
    TELL(lstat(NAME, &after));
    say("lstat: %lld", (long long)after.st_size);
    symlink(NAME, "way");
    TELL(stat("way", &after));
    say("by a link: %lld", (long long)after.st_size);
    close(fd);
}

/* ---- descriptors ------------------------------------------------------------------------------ */

static void descriptors(void) {
    byte *at = relayed();
    int fd = open_log(O_RDWR), copied = dup(fd), high = fcntl(fd, F_DUPFD_CLOEXEC, 40);
    TELL(write(fd, at, 50000));
    TELL(write(copied, at, 50000));
    TELL(write(high, at, 50000));
    tell_size(copied);
    close(fd);
    TELL(write(copied, at, 100));
    int other = open("plain", O_RDWR | O_CREAT, 0600);
    say("same number: %d", other == fd);
    TELL(write(other, at, 30000));
    TELL(dup2(copied, other) == other);
    TELL(write(other, at, 100));
    TELL(fcntl(other, F_SETFL, O_APPEND));
    TELL(lseek(other, 0, SEEK_SET));
    TELL(write(other, at, 100));
    TELL(pwrite(other, at, 100, 5));
    tell_size(other);
    close_range(3, 3, 0); /* none of ours */
    close(copied), close(high);
    TELL(write(other, at, 100));
    /* libc closes the number, and gives it away again, unseen. */
    FILE *stream = fopen("plain", "r");
    int number = fileno(stream);
    fclose(stream);
    int reused = open(NAME, O_RDWR);
    say("number of a stream: %d", reused == number);
    TELL(write(reused, at, 1000));
    syscall(SYS_close, other);
    TELL(write(other, at, 1000));
    /* Another file comes under the number of a logged one, and no hook sees it. */
    DIRECT(SYS_close, reused);
    say("same number: %d", (int)DIRECT(SYS_openat, AT_FDCWD, "plain", O_RDWR) == reused);
    TELL(write(reused, "in the plain file", 17));
    close(reused);
    tell_content("descriptors");
    int ends[2];
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    fd = open(NAME, O_RDWR | O_APPEND);
    char control[CMSG_SPACE(sizeof(int))] = {0}, text = 'd';
    struct iovec piece = {&text, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    TELL(sendmsg(ends[0], &message, 0));
    close(fd);
    TELL(recvmsg(ends[1], &message, 0));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    TELL(write(fd, at, 12345));
    tell_content("by a socket");
    int nothing = open(".", O_TMPFILE | O_RDWR, 0600);
    if (nothing >= 0) {
        TELL(write(nothing, at, 40000));
        tell_size(nothing);
    }
}

/* The program closes what it does not know, and a standard stream: nothing of ours may get its
 * number. */
static void low_numbers(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed(), *back = map_private(MESSAGE);
    TELL(write(fd, at, MESSAGE));
    TELL(ftruncate(fd, MESSAGE + 200000));
    TELL(pwrite(fd, at, 100000, 5000));
    TELL(close_range(100, ~0u, 0));
    TELL(close(0));
    TELL(pread(fd, back, 100000, MESSAGE + 1000));
    TELL(fcntl(0, F_GETFD));
    TELL(write(0, "lost", 4));
    tell_content("low numbers");
}

static void synchronous(void) {
    byte *at = relayed();
    int fd = open_log(O_WRONLY | O_APPEND | O_DSYNC), other = open(NAME, O_WRONLY | O_SYNC);
    for (int i = 0; i < 4; i++) {
        TELL(write(fd, at, 60000));
        TELL(pwrite(other, at, 100, i * 50000));
    }
    sync();
    TELL(syncfs(fd));
    TELL(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    tell_content("synchronous");
    close(fd), close(other);
}

/* ---- ways that are not followed --------------------------------------------------------------- */

static void streams(void) {
    byte *at = relayed();
    int fd = open_log(O_RDWR | O_APPEND);
    TELL(write(fd, at, 70000));
    FILE *stream = fopen(NAME, "a");
    TELL(fputs("by a stream\n", stream) >= 0);
    TELL(fclose(stream));
    TELL(write(fd, at, 70000));
    tell_content("appended by both");
    stream = fopen(NAME, "r+");
    char line[100];
    TELL(fseek(stream, 70000, SEEK_SET));
    TELL(fgets(line, sizeof line, stream) != NULL);
    say("read: %s", line);
    TELL(fseek(stream, 0, SEEK_END));
    TELL(ftell(stream));
    TELL(fputs("more", stream) >= 0);
    fclose(stream);
    TELL(dprintf(fd, "%s %d\n", "formatted", 5));
    TELL(write(fd, at, 1000));
    stream = fdopen(dup(fd), "a");
    TELL(fputs("and more", stream) >= 0);
    fclose(stream);
    tell_content("streams");
    stream = fopen(NAME, "w");
    TELL(fputs("anew", stream) >= 0);
    fclose(stream);
    TELL(write(fd, at, 1000));
    tell_content("written anew");
    close(fd);
}

static void mapped(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed();
    TELL(write(fd, at, MESSAGE));
    byte *shared = mmap(NULL, MESSAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(shared != MAP_FAILED, "mmap");
    show("mapped", shared, MESSAGE);
    TELL(pwrite(fd, "changed", 7, 5000));
    show("changed", shared, MESSAGE);
    memset(shared + 70000, 'm', 5000);
    tell_content("through the mapping");
    munmap(shared, MESSAGE);
    TELL(write(fd, at, 1000));
    tell_content("unmapped");
    close(fd);
}

static void transfers(void) {
    int fd = open_log(O_RDWR);
    byte *at = relayed(), *back = map_private(MESSAGE);
    int other = open("plain", O_RDWR | O_CREAT, 0600), ends[2];
    need(pipe(ends) == 0, "pipe");
    TELL(write(fd, at, MESSAGE));
    off_t from = 1000;
    TELL(sendfile(other, fd, &from, 100000));
    from = 0;
    TELL(copy_file_range(fd, &from, other, NULL, 50000, 0));
    from = 3;
    TELL(splice(fd, &from, ends[1], NULL, 4096, 0));
    TELL(read(ends[0], back, 4096));
    show("spliced", back, 4096);
    TELL(pread(other, back, MESSAGE, 0));
    show("sent", back, MESSAGE);
    from = 500;
    TELL(sendfile(fd, other, &from, 100000));
    TELL(write(fd, at, 1000));
    tell_size(fd);
    tell_content("transfers");
    struct aiocb request = {.aio_fildes = fd, .aio_buf = at, .aio_nbytes = 3000, .aio_offset = 50};
    const struct aiocb *list[1] = {&request};
    TELL(aio_write(&request));
    TELL(aio_suspend(list, 1, NULL));
    TELL(aio_return(&request));
    tell_content("asynchronous");
    close(fd), close(other);
}

static void direct(void) {
    byte *at = heap_at(0, MESSAGE);
    feed(at, MESSAGE);
    int fd = open_log(O_RDWR);
    TELL(write(fd, at, 2 * PAGE));
    int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFL, flags | O_DIRECT) != 0)
        skip("no O_DIRECT here");
    TELL(write(fd, at, 2 * PAGE));
    TELL(write(fd, at + 1, 100));
    TELL(fcntl(fd, F_SETFL, flags));
    TELL(write(fd, at, 100));
    tell_content("direct");
    close(fd);
}

static const struct sub_case cases[] = {
    {"truncations", truncations},
    {"names", names},
    {"times", times},
    {"descriptors", descriptors},
    {"synchronous", synchronous}, {"low-numbers", low_numbers},
    {"streams", streams},
    {"mapped", mapped},
    {"transfers", transfers},
    {"direct", direct},
};

VICTIM_MAIN(cases)
