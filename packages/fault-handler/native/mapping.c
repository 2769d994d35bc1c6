/* What memory lies at an address: PROCMAP_QUERY where the kernel has it (Linux 6.11), else
 * /proc/self/maps read in small pieces. No malloc and less than 2 KiB of stack, because it
 * runs inside hooks on stacks of unknown depth. */
#include <errno.h>
#include <linux/ioctl.h>
#include <sys/mman.h>

#include <zio/syscall.h>
#include <zio/uffd.h>

#include "internal.h"

/* struct procmap_query of Linux 6.11, for older headers. */
struct map_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};
_Static_assert(sizeof(struct map_query) == 104, "as the kernel declares it");
#define MAP_QUERY _IOWR('f', 17, struct map_query)
enum { QUERY_READABLE = 1, QUERY_WRITABLE = 2, QUERY_EXECUTABLE = 4, QUERY_SHARED = 8 };

enum { NAME_BYTES = 96 }; /* holds every name but paths: "[anon:" takes up to 80 characters */

/* One mapping as either source describes it. */
struct description {
    uint64_t start, end, inode, page_bytes;
    uint32_t flags; /* QUERY_* */
    uint32_t device;
    char name[NAME_BYTES]; /* cut off */
};

static bool has_prefix(const char *text, const char *prefix) {
    while (*prefix != '\0')
        if (*text++ != *prefix++)
            return false;
    return true;
}

static bool is_ordinary_name(const char *name) {
    return name[0] == '\0' || has_prefix(name, "[heap]") || has_prefix(name, "[anon:");
}

/* mprotect with PROT_GROWSDOWN and the protection that is there already changes nothing in
 * a mapping that grows down, and is refused with EINVAL in every other. maps and
 * PROCMAP_QUERY do not show the flag, and smaps costs a walk through all pages. */
static bool grows_down(const struct description *found, uint64_t address) {
    unsigned protection = PROT_GROWSDOWN;
    if (found->flags & QUERY_READABLE)
        protection |= PROT_READ;
    if (found->flags & QUERY_WRITABLE)
        protection |= PROT_WRITE;
    if (found->flags & QUERY_EXECUTABLE)
        protection |= PROT_EXEC;
    return zio_syscall(SYS_mprotect, address & ~UINT64_C(4095), 4096, protection) != -EINVAL;
}

static void fill_mapping(const struct description *found, uint64_t address,
                         struct zio_mapping *mapping) {
    bool readable = found->flags & QUERY_READABLE, writable = found->flags & QUERY_WRITABLE;
    bool stack = has_prefix(found->name, "[stack");
    bool anonymous = !(found->flags & QUERY_SHARED) && found->inode == 0 && found->device == 0 &&
                     found->page_bytes <= 4096 && (stack || is_ordinary_name(found->name));
    *mapping = (struct zio_mapping){
        .start = found->start,
        .end = found->end,
        .readable = readable,
        .writable = writable,
        .grows_down = stack || (anonymous && readable && writable && grows_down(found, address)),
    };
    mapping->private_anonymous = anonymous && !mapping->grows_down;
}

static int query_mapping(int fd, uint64_t address, struct description *found) {
    struct map_query request = {
        .size = sizeof request,
        .query_addr = address,
        .vma_name_addr = (uint64_t)(uintptr_t)found->name,
        .vma_name_size = NAME_BYTES,
    };
    found->name[0] = '\0';
    long code = zio_syscall(SYS_ioctl, fd, MAP_QUERY, &request);
    if (code == -ENAMETOOLONG) { /* a path */
        request = (struct map_query){.size = sizeof request, .query_addr = address};
        code = zio_syscall(SYS_ioctl, fd, MAP_QUERY, &request);
        found->name[0] = '/', found->name[1] = '\0';
    }
    if (code < 0)
        return (int)code;
    found->start = request.vma_start;
    found->end = request.vma_end;
    found->flags = (uint32_t)request.vma_flags;
    found->page_bytes = request.vma_page_size;
    found->inode = request.inode;
    found->device = request.dev_major | request.dev_minor;
    return 0;
}

/* Reads "start-end rwxp offset major:minor inode   name" one byte at a time. */
struct scanner {
    int fd;
    long at, have;
    char buffer[1024];
};

static int next_byte(struct scanner *scan) {
    if (scan->at == scan->have) {
        do {
            scan->have = zio_syscall(SYS_read, scan->fd, scan->buffer, sizeof scan->buffer);
        } while (scan->have == -EINTR);
        scan->at = 0;
        if (scan->have <= 0) {
            scan->have = 0;
            return -1;
        }
    }
    return (unsigned char)scan->buffer[scan->at++];
}

static int hex_digit(int c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* A number up to the first byte that is no digit of the base; that byte is consumed. */
static uint64_t scan_number(struct scanner *scan, uint64_t base, int *last) {
    uint64_t value = 0;
    for (;;) {
        *last = next_byte(scan);
        int digit = hex_digit(*last);
        if (digit < 0 || (uint64_t)digit >= base)
            return value;
        value = value * base + (uint64_t)digit;
    }
}

/* False at the end of the file. */
static bool scan_line(struct scanner *scan, struct description *found) {
    int c;
    found->start = scan_number(scan, 16, &c);
    if (c != '-')
        return false;
    found->end = scan_number(scan, 16, &c);
    found->flags = 0;
    if (next_byte(scan) == 'r')
        found->flags |= QUERY_READABLE;
    if (next_byte(scan) == 'w')
        found->flags |= QUERY_WRITABLE;
    if (next_byte(scan) == 'x')
        found->flags |= QUERY_EXECUTABLE;
    if (next_byte(scan) == 's')
        found->flags |= QUERY_SHARED;
    next_byte(scan);
    scan_number(scan, 16, &c);
    found->device = (uint32_t)(scan_number(scan, 16, &c) | scan_number(scan, 16, &c));
    found->inode = scan_number(scan, 10, &c);
    found->page_bytes = 4096; /* huge pages of hugetlbfs have an inode */
    while (c == ' ')
        c = next_byte(scan);
    int length = 0;
    for (; c != '\n' && c >= 0; c = next_byte(scan))
        if (length < NAME_BYTES - 1)
            found->name[length++] = (char)c;
    found->name[length] = '\0';
    return c == '\n';
}

static int parse_mappings(int fd, uint64_t address, struct description *found) {
    struct scanner scan;
    scan.fd = fd;
    scan.at = scan.have = 0;
    while (scan_line(&scan, found))
        if (address < found->end)
            return address >= found->start ? 0 : ZIO_ENOENT;
    return ZIO_ENOENT;
}

int zio_mapping_query(const struct zio_uffd *uffd, uint64_t address, struct zio_mapping *mapping) {
    struct description found;
    bool may_query = !(uffd->disabled & ZIO_FEATURE_PROCMAP_QUERY);
    int code = ZIO_ENOSYS;
    if (uffd->maps.ended)
        return code;
    if (may_query && zio_kept_is_ours(&uffd->maps))
        code = query_mapping(uffd->maps.number, address, &found);
    if (code != 0 && code != ZIO_ENOENT) {
        /* Not the kept one: a position in it would be shared by all threads. */
        long fd = zio__maps_open(uffd);
        /* ENOENT must keep meaning "nothing is mapped there". */
        if (fd < 0)
            return fd == -ENOENT ? ZIO_ENOSYS : (int)fd;
        code = may_query ? query_mapping((int)fd, address, &found) : ZIO_ENOSYS;
        if (code != 0 && code != ZIO_ENOENT)
            code = parse_mappings((int)fd, address, &found);
        zio_syscall(SYS_close, fd);
    }
    if (code == 0)
        fill_mapping(&found, address, mapping);
    return code;
}

bool zio_mapping_can_query(void) {
    const struct zio_uffd none = {.fd = -1};
    long fd = zio__maps_open(&none);
    if (fd < 0)
        return false;
    struct map_query request = {.size = sizeof request, .query_addr = (uintptr_t)&request};
    long code = zio_syscall(SYS_ioctl, fd, MAP_QUERY, &request);
    zio_syscall(SYS_close, fd);
    return code == 0;
}
