/*
 * Counts the file operations of a process below one folder, and at one of them kills the process,
 * makes the operation fail, or writes less than was asked for. Preloaded; told what to do by:
 *
 *   TORTURE_BELOW     the folder
 *   TORTURE_AT        number of the operation, from 1; 0 for none
 *   TORTURE_ACTION    kill-before, kill-half, kill-after, fail, short
 *   TORTURE_ERROR     errno of `fail`
 *   TORTURE_STICKY    1: `fail` and `short` go on from that operation
 *   TORTURE_LOG       file that gets a line for each operation
 *   TORTURE_LOG_DATA  1: each line is followed by the bytes that were written
 *   TORTURE_BOOT_ID   file that is read in place of the kernel's boot id
 *
 * A line of the log: name, number, result, offset, bytes that follow, path, second path; tabs between.
 * What the process says on its standard output is logged too, as `say`. An injected failure is said on the
 * standard output: `injected NUMBER NAME PATH`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

enum action { NONE, KILL_BEFORE, KILL_HALF, KILL_AFTER, FAIL, SHORT };

struct operation {
    const char *name;
    int writes; /* it has bytes that can be halved */
    char path[PATH_MAX];
    char second[PATH_MAX];
    long number;
    long long offset;
};

static const char *below;
static size_t below_length;
static enum action action;
static long at, counted;
static int error_number, sticky, log_file = -1, log_data;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void start(void) {
    static const char *const actions[] = {"", "kill-before", "kill-half", "kill-after", "fail", "short"};
    below = setting("TORTURE_BELOW");
    below_length = strlen(below);
    at = atol(setting("TORTURE_AT"));
    for (int known = 0; known < 6; known++)
        if (!strcmp(setting("TORTURE_ACTION"), actions[known])) action = known;
    error_number = atoi(setting("TORTURE_ERROR"));
    sticky = atoi(setting("TORTURE_STICKY"));
    log_data = atoi(setting("TORTURE_LOG_DATA"));
    if (*setting("TORTURE_LOG"))
        log_file = syscall(SYS_openat, AT_FDCWD, setting("TORTURE_LOG"),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static void put(int file, const void *bytes, size_t size) {
    while (size > 0) {
        ssize_t done = syscall(SYS_write, file, bytes, size);
        if (done <= 0) die();
        bytes = (const char *)bytes + done;
        size -= done;
    }
}

static void note(const struct operation *operation, long long result, const struct iovec *parts, int count) {
    if (log_file < 0) return;
    char line[2 * PATH_MAX + 256];
    long long size = log_data && parts && result > 0 ? result : 0;
    int length = snprintf(line, sizeof line, "%s\t%ld\t%lld\t%lld\t%lld\t%s\t%s\n", operation->name,
                          operation->number, result, operation->offset, size, operation->path,
                          operation->second);
    put(log_file, line, length);
    for (int part = 0; part < count && size > 0; part++) {
        long long here = (long long)parts[part].iov_len < size ? (long long)parts[part].iov_len : size;
        put(log_file, parts[part].iov_base, here);
        size -= here;
    }
}

static void path_of_descriptor(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

static void path_at(int folder, const char *name, char *path) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    char start[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (syscall(SYS_getcwd, start, sizeof start) < 0) start[0] = 0;
    } else {
        path_of_descriptor(folder, start);
    }
    if (snprintf(path, PATH_MAX, "%s/%s", start, name) >= PATH_MAX) path[0] = 0;
}

static int is_below(const char *path) {
    return below_length && !strncmp(path, below, below_length) &&
           (path[below_length] == '/' || path[below_length] == 0);
}

/* Number the operation under the lock that keeps the log in order. Returns -1 where it has to fail, else how
 * many of `size` bytes are to be written. */
static long long enter(struct operation *operation, long long size) {
    pthread_mutex_lock(&order);
    operation->number = ++counted;
    int here = at && (counted == at || (sticky && counted > at));
    if (!here) return size;
    if (action == KILL_BEFORE) die();
    if (action == KILL_HALF) {
        if (!operation->writes) die();
        return size / 2;
    }
    int applies = action == FAIL && (error_number != EMFILE || !strcmp(operation->name, "open")) &&
                  (error_number != EOPNOTSUPP || !strcmp(operation->name, "fallocate"));
    if (applies || (action == SHORT && operation->writes && size > 1)) {
        char line[PATH_MAX + 128];
        int length = snprintf(line, sizeof line, "injected %ld %s %s\n", operation->number,
                              operation->name, operation->path);
        put(STDOUT_FILENO, line, length);
    }
    if (applies) return -1;
    return action == SHORT && operation->writes && size > 1 ? size / 2 : size;
}

static long long leave(struct operation *operation, long long result, const struct iovec *parts, int count) {
    int error = errno;
    note(operation, result, parts, count);
    if (operation->number == at && (action == KILL_AFTER || action == KILL_HALF)) die();
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

static long long refuse(struct operation *operation) {
    errno = error_number;
    return leave(operation, -1, NULL, 0);
}

/* ---- operations on names ---- */

static int open_at(int folder, const char *name, int flags, mode_t mode) {
    if (!strcmp(name, BOOT_ID) && *setting("TORTURE_BOOT_ID")) name = setting("TORTURE_BOOT_ID");
    struct operation operation = {.name = "open"};
    path_at(folder, name, operation.path);
    if (!is_below(operation.path)) return syscall(SYS_openat, folder, name, flags, mode);
    struct stat found;
    if ((flags & O_CREAT) && syscall(SYS_newfstatat, AT_FDCWD, operation.path, &found, 0) < 0)
        strcpy(operation.second, "new");
    else if (flags & O_TRUNC)
        strcpy(operation.second, "truncate");
    operation.offset = flags & O_ACCMODE;
    if (enter(&operation, 0) < 0) return refuse(&operation);
    return leave(&operation, syscall(SYS_openat, folder, name, flags, mode), NULL, 0);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode); }

static int with_name(const char *what, int folder, const char *name, long call, long argument) {
    struct operation operation = {.name = what};
    path_at(folder, name, operation.path);
    if (!is_below(operation.path)) return syscall(call, folder, name, argument);
    if (enter(&operation, 0) < 0) return refuse(&operation);
    return leave(&operation, syscall(call, folder, name, argument), NULL, 0);
}

int mkdir(const char *name, mode_t mode) { return with_name("mkdir", AT_FDCWD, name, SYS_mkdirat, mode); }
int mkdirat(int folder, const char *name, mode_t mode) { return with_name("mkdir", folder, name, SYS_mkdirat, mode); }
int unlink(const char *name) { return with_name("unlink", AT_FDCWD, name, SYS_unlinkat, 0); }
int rmdir(const char *name) { return with_name("unlink", AT_FDCWD, name, SYS_unlinkat, AT_REMOVEDIR); }
int unlinkat(int folder, const char *name, int flags) { return with_name("unlink", folder, name, SYS_unlinkat, flags); }

static int with_names(const char *what, int from, const char *name, int to, const char *second, long call, int flags) {
    struct operation operation = {.name = what};
    path_at(from, name, operation.path);
    path_at(to, second, operation.second);
    if (!is_below(operation.path) && !is_below(operation.second))
        return syscall(call, from, name, to, second, flags);
    if (enter(&operation, 0) < 0) return refuse(&operation);
    return leave(&operation, syscall(call, from, name, to, second, flags), NULL, 0);
}

int rename(const char *name, const char *second) {
    return with_names("rename", AT_FDCWD, name, AT_FDCWD, second, SYS_renameat2, 0);
}
int renameat(int from, const char *name, int to, const char *second) {
    return with_names("rename", from, name, to, second, SYS_renameat2, 0);
}
int renameat2(int from, const char *name, int to, const char *second, unsigned int flags) {
    return with_names("rename", from, name, to, second, SYS_renameat2, flags);
}
int link(const char *name, const char *second) {
    return with_names("link", AT_FDCWD, name, AT_FDCWD, second, SYS_linkat, 0);
}
int linkat(int from, const char *name, int to, const char *second, int flags) {
    return with_names("link", from, name, to, second, SYS_linkat, flags);
}

/* ---- operations on descriptors ---- */

static ssize_t write_parts(const char *what, int file, const struct iovec *parts, int count, long long offset) {
    struct operation operation = {.name = what, .writes = 1, .offset = offset};
    path_of_descriptor(file, operation.path);
    int placed = offset >= 0;
    if (!is_below(operation.path)) {
        if (file == STDOUT_FILENO && log_file >= 0) {
            operation.name = "say";
            pthread_mutex_lock(&order);
            ssize_t said = syscall(SYS_writev, file, parts, count);
            note(&operation, said, parts, count);
            pthread_mutex_unlock(&order);
            return said;
        }
        return placed ? syscall(SYS_pwritev, file, parts, count, offset, 0)
                      : syscall(SYS_writev, file, parts, count);
    }
    long long size = 0;
    for (int part = 0; part < count; part++) size += parts[part].iov_len;
    long long allowed = enter(&operation, size);
    if (allowed < 0) return refuse(&operation);
    if (!placed) {
        struct stat found;
        int appends = syscall(SYS_fcntl, file, F_GETFL) & O_APPEND;
        operation.offset = appends && !syscall(SYS_fstat, file, &found) ? found.st_size
                                                                      : syscall(SYS_lseek, file, 0, SEEK_CUR);
    }
    struct iovec cut[count > 0 ? count : 1];
    int used = 0;
    for (long long rest = allowed; used < count && rest > 0; used++) {
        cut[used] = parts[used];
        if ((long long)cut[used].iov_len > rest) cut[used].iov_len = rest;
        rest -= cut[used].iov_len;
    }
    ssize_t done = placed ? syscall(SYS_pwritev, file, cut, used, offset, 0) : syscall(SYS_writev, file, cut, used);
    return leave(&operation, done, cut, used);
}

static ssize_t write_one(const char *what, int file, const void *data, size_t size, long long offset) {
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    return write_parts(what, file, &part, 1, offset);
}

ssize_t write(int file, const void *data, size_t size) { return write_one("write", file, data, size, -1); }
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) { return write_one("write", file, data, size, offset); }
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) { return write_one("write", file, data, size, offset); }
ssize_t writev(int file, const struct iovec *parts, int count) { return write_parts("write", file, parts, count, -1); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) { return write_parts("write", file, parts, count, offset); }
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset) { return write_parts("write", file, parts, count, offset); }

/* The kernel copies: without these a library falls back to read and write, which are counted. */
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size, unsigned int flags) {
    (void)from, (void)from_offset, (void)to, (void)to_offset, (void)size, (void)flags;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    (void)to, (void)from, (void)offset, (void)size;
    errno = ENOSYS;
    return -1;
}

static int with_descriptor(const char *what, int file, long call, long long length) {
    struct operation operation = {.name = what, .offset = length};
    path_of_descriptor(file, operation.path);
    if (!is_below(operation.path)) return syscall(call, file, length);
    if (enter(&operation, 0) < 0) return refuse(&operation);
    return leave(&operation, syscall(call, file, length), NULL, 0);
}

static int with_space(int file, int mode, long long offset, long long length) {
    struct operation operation = {.name = "fallocate", .offset = offset};
    path_of_descriptor(file, operation.path);
    if (!is_below(operation.path)) return syscall(SYS_fallocate, file, mode, offset, length);
    strcpy(operation.second, mode & FALLOC_FL_PUNCH_HOLE ? "hole" : "space");
    if (enter(&operation, 0) < 0) return refuse(&operation);
    return leave(&operation, syscall(SYS_fallocate, file, mode, offset, length), NULL, 0);
}

int fallocate(int file, int mode, off_t offset, off_t length) { return with_space(file, mode, offset, length); }
int fallocate64(int file, int mode, off64_t offset, off64_t length) { return with_space(file, mode, offset, length); }

int fsync(int file) { return with_descriptor("fsync", file, SYS_fsync, 0); }
int fdatasync(int file) { return with_descriptor("fsync", file, SYS_fdatasync, 0); }
int ftruncate(int file, off_t length) { return with_descriptor("truncate", file, SYS_ftruncate, length); }
int ftruncate64(int file, off64_t length) { return with_descriptor("truncate", file, SYS_ftruncate, length); }
