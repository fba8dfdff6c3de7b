/* Preloaded into a process, makes reads of files whose path holds $FAULT_PATH fail with EIO, from the $FAULT_AFTER-th on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int faulty(int fd) {
    static long count = 0;
    char link[64], path[4096];
    const char *part = getenv("FAULT_PATH"), *after = getenv("FAULT_AFTER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!part || length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, part)) return 0;
    return __sync_fetch_and_add(&count, 1) >= (after ? atol(after) : 0);
}

#define READ(name, parameters, arguments) \
    ssize_t name parameters { \
        static __typeof__(name) *real; \
        if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
        if (faulty(fd)) { errno = EIO; return -1; } \
        return real arguments; \
    }

READ(read, (int fd, void *to, size_t size), (fd, to, size))
READ(pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
READ(pread64, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at))
READ(preadv, (int fd, const struct iovec *to, int count, off_t at), (fd, to, count, at))
READ(preadv64, (int fd, const struct iovec *to, int count, off64_t at), (fd, to, count, at))
