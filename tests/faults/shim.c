/* A disk that fails, for tests: LD_PRELOAD this library and calls that write below a folder fail by chance.
 *
 * TIMBRE_FAULTS_BELOW    the folder; without it nothing fails
 * TIMBRE_FAULTS_SEED     what the chances are drawn from
 * TIMBRE_FAULTS_MILLE    of a thousand calls so many fail (EIO, or ENOSPC where bytes are written)
 * TIMBRE_FAULTS_SHORT    of a thousand write calls so many write but half of what they were given
 * TIMBRE_FAULTS_QUOTA    bytes this process may still write there; then ENOSPC (-1 or unset: no bound)
 * TIMBRE_FAULTS_ERRNO    this error in every failing call
 *
 * A running process takes new values with faults_arm() (ctypes); faults_hit() says how many calls failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static uint64_t state;
static long mille, halves, quota = -1, hit;
static int always;

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

void faults_arm(const char *folder, long seed, long failing, long shortened, long bytes, long error) {
    snprintf(below, sizeof below, "%s", folder);
    state = (uint64_t)seed * 0xD1342543DE82EF95u + 1; /* no multiple of draw's step: else streams overlap */
    mille = failing, halves = shortened, quota = bytes, always = (int)error, hit = 0;
}

long faults_hit(void) { return hit; }

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("TIMBRE_FAULTS_BELOW");
    faults_arm(folder ? folder : "", from_environment("TIMBRE_FAULTS_SEED", 0),
               from_environment("TIMBRE_FAULTS_MILLE", 0), from_environment("TIMBRE_FAULTS_SHORT", 0),
               from_environment("TIMBRE_FAULTS_QUOTA", -1), from_environment("TIMBRE_FAULTS_ERRNO", 0));
}

/* splitmix64 */
static long draw(void) {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (long)((z ^ (z >> 31)) % 1000);
}

static int under(const char *path) {
    size_t length = strlen(below);
    return length && !strncmp(path, below, length) && (!path[length] || path[length] == '/');
}

static int concerns_path(int folder, const char *path) {
    char start[PATH_MAX], whole[2 * PATH_MAX], link[64];
    ssize_t length;
    if (!*below) return 0;
    if (*path == '/') return under(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(start, sizeof start)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        if ((length = readlink(link, start, sizeof start - 1)) < 0) return 0;
        start[length] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", start, path);
    return under(whole);
}

static int concerns(int handle) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (!*below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    if ((length = readlink(link, path, sizeof path - 1)) < 0) return 0;
    path[length] = 0;
    return under(path);
}

static int fails(int bytes) {
    long drawn = mille ? draw() : 1000;
    if (drawn >= mille) return 0;
    hit++;
    errno = always ? always : bytes && drawn % 2 ? ENOSPC : EIO;
    return 1;
}

/* How many of ``count`` bytes go through; -1 with errno where the call fails. */
static ssize_t allowed(int handle, size_t count) {
    if (!concerns(handle)) return (ssize_t)count;
    if (fails(1)) return -1;
    if (halves && count > 1 && draw() < halves) count /= 2;
    if (quota >= 0) {
        if (count && !quota) {
            hit++;
            errno = always ? always : ENOSPC;
            return -1;
        }
        if (count > (size_t)quota) count = (size_t)quota;
        quota -= (long)count;
    }
    return (ssize_t)count;
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

ssize_t write(int handle, const void *data, size_t count) {
    ssize_t some = allowed(handle, count);
    return some < 0 ? -1 : REAL(write)(handle, data, (size_t)some);
}

ssize_t pwrite(int handle, const void *data, size_t count, off_t offset) {
    ssize_t some = allowed(handle, count);
    return some < 0 ? -1 : REAL(pwrite)(handle, data, (size_t)some, offset);
}

ssize_t pwrite64(int handle, const void *data, size_t count, off64_t offset) {
    ssize_t some = allowed(handle, count);
    return some < 0 ? -1 : REAL(pwrite64)(handle, data, (size_t)some, offset);
}

ssize_t writev(int handle, const struct iovec *pieces, int count) {
    if (!concerns(handle)) return REAL(writev)(handle, pieces, count);
    return count ? write(handle, pieces[0].iov_base, pieces[0].iov_len) : 0; /* a short write */
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    if (concerns(fileno(file)) && (fails(1) || (quota >= 0 && (quota -= (long)(size * count)) < 0))) {
        quota = quota < 0 && quota != -1 ? 0 : quota;
        errno = errno ? errno : ENOSPC;
        return 0;
    }
    return REAL(fwrite)(data, size, count, file);
}

int fsync(int handle) { return concerns(handle) && fails(0) ? -1 : REAL(fsync)(handle); }
int fdatasync(int handle) { return concerns(handle) && fails(0) ? -1 : REAL(fdatasync)(handle); }

int rename(const char *from, const char *to) {
    return concerns_path(AT_FDCWD, to) && fails(0) ? -1 : REAL(rename)(from, to);
}

int renameat(int one, const char *from, int two, const char *to) {
    return concerns_path(two, to) && fails(0) ? -1 : REAL(renameat)(one, from, two, to);
}

int unlink(const char *path) {
    return concerns_path(AT_FDCWD, path) && fails(0) ? -1 : REAL(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags) {
    return concerns_path(folder, path) && fails(0) ? -1 : REAL(unlinkat)(folder, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    return concerns_path(AT_FDCWD, path) && fails(0) ? -1 : REAL(mkdir)(path, mode);
}

#define OPEN(name, real_call)                                                          \
    mode_t mode = 0;                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                               \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode = va_arg(more, mode_t);                                                   \
        va_end(more);                                                                  \
    }                                                                                  \
    if (flags & (O_WRONLY | O_RDWR | O_CREAT) && concerns_path(folder, path) && fails(0)) return -1; \
    return real_call

int open(const char *path, int flags, ...) {
    int folder = AT_FDCWD;
    OPEN(open, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    int folder = AT_FDCWD;
    OPEN(open64, REAL(open64)(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
    OPEN(openat, REAL(openat)(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    OPEN(openat64, REAL(openat64)(folder, path, flags, mode));
}
