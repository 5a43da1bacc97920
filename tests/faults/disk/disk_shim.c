/* What a process does to files below a folder: recorded, and made to fail on request.
 *
 * Preloaded (LD_PRELOAD) with DATELINE_DISK_ROOT, the folder, and DATELINE_DISK_LOG, the record. Each
 * call is done and recorded under one lock, so the record has the order in which things happened.
 * What goes to standard output stands in it, too: it says what was acknowledged when. Where a file is
 * synced its whole content is recorded, and where a folder is, its names: so what libraries do without
 * libc's functions (FILE, direct system calls) is known once it is durable. Of SQLite's files and the
 * journal the writes themselves are enough.
 *
 * `disk_fail` is called by the process itself, through ctypes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK, LINK, MKDIR, RMDIR, SAID };
enum { FAIL_WRITES = 1, FAIL_SYNCS = 2 };

struct entry {
    uint64_t kind, inode, number, path, other, data; /* the last three are lengths */
};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int log_fd = -1;
static char root[PATH_MAX];

static struct {
    char part[256];
    int calls, after, times, error;
} fault;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("DATELINE_DISK_LOG"), *folder = getenv("DATELINE_DISK_ROOT");
    if (!path || !folder) return;
    snprintf(root, sizeof root, "%s/", folder);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* From now on the calls of a kind (FAIL_WRITES, FAIL_SYNCS) on files whose path has `part` fail with
 * `error`, `times` times (-1: for good), after `after` that go through. Error 0 writes half. */
void disk_fail(const char *part, int calls, int after, int times, int error)
{
    pthread_mutex_lock(&lock);
    snprintf(fault.part, sizeof fault.part, "%s", part);
    fault.calls = calls, fault.after = after, fault.times = times, fault.error = error;
    pthread_mutex_unlock(&lock);
}

static int fails(const char *path, int call)
{
    if (!(fault.calls & call) || !fault.times || !strstr(path, fault.part)) return 0;
    if (fault.after > 0) return fault.after--, 0;
    if (fault.times > 0) fault.times--;
    return 1;
}

static void record(uint64_t kind, uint64_t inode, uint64_t number, const char *path, const char *other,
                   const void *data, size_t length)
{
    if (log_fd < 0) return;
    struct entry head = {kind, inode, number, strlen(path), strlen(other), length};
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)path, head.path},
                            {(void *)other, head.other},
                            {(void *)data, length}};
    int kept = errno;
    if (syscall(SYS_writev, log_fd, parts, 4) < 0) abort();
    errno = kept;
}

/* Whether `path` is below the folder. */
static int is_ours(const char *path) { return root[0] && !strncmp(path, root, strlen(root)); }

static int path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_ours(path) || (root[0] && !strncmp(path, root, strlen(root) - 1) && !path[strlen(root) - 1]);
}

static void absolute(int folder, const char *name, char *path)
{
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    char base[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) base[0] = 0;
    } else {
        path_of(folder, base);
    }
    if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) path[0] = 0;
}

static uint64_t inode_of(int fd)
{
    struct stat facts;
    return fstat(fd, &facts) ? 0 : facts.st_ino;
}

/* --- Files that are opened ----------------------------------------------------------------- */

static int opened(int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    absolute(folder, name, path);
    if (!is_ours(path) || !(flags & (O_CREAT | O_TRUNC)))
        return (int)syscall(SYS_openat, folder, name, flags, mode);
    pthread_mutex_lock(&lock);
    int there = !access(path, F_OK);
    int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && !there) record(CREATE, inode_of(fd), 0, path, "", "", 0);
    else if (fd >= 0 && (flags & O_TRUNC)) record(TRUNCATE, inode_of(fd), 0, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return opened(folder, path, flags, mode); }

static void before_fopen(const char *path, const char *mode)
{
    if (mode[0] == 'w' && is_ours(path)) close(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666));
}

FILE *fopen(const char *path, const char *mode)
{
    REAL(fopen);
    before_fopen(path, mode);
    return real(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    REAL(fopen64);
    before_fopen(path, mode);
    return real(path, mode);
}

/* --- What is written ----------------------------------------------------------------------- */

/* At `place`; -1 is where the file stands. */
static ssize_t written(int fd, const void *data, size_t length, off_t place)
{
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (!ours && fd != 1)
        return place < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, place);
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (ours && fails(path, FAIL_WRITES)) {
        if (fault.error) {
            pthread_mutex_unlock(&lock);
            errno = fault.error;
            return -1;
        }
        length = length > 1 ? length / 2 : length;
    }
    done = place < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, place);
    if (done > 0 && ours) {
        off_t from = place < 0 ? lseek(fd, 0, SEEK_CUR) - done : place;
        record(WRITE, inode_of(fd), (uint64_t)from, path, "", data, (size_t)done);
    } else if (done > 0) {
        record(SAID, 0, 0, "", "", data, (size_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t place) { return written(fd, data, length, place); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t place) { return written(fd, data, length, place); }

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t total = 0;
    for (int n = 0; n < count; n++) {
        if (!parts[n].iov_len) continue;
        ssize_t done = written(fd, parts[n].iov_base, parts[n].iov_len, -1);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[n].iov_len) break;
    }
    return total;
}

static int cut(int fd, off_t size)
{
    char path[PATH_MAX];
    if (!path_of(fd, path)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (!done) record(TRUNCATE, inode_of(fd), (uint64_t)size, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

/* --- What is made durable ------------------------------------------------------------------ */

static void record_names(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) return;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (struct dirent *each; (each = readdir(folder));)
        if (strcmp(each->d_name, ".") && strcmp(each->d_name, ".."))
            fprintf(out, "%llu %d %s\n", (unsigned long long)each->d_ino, each->d_type == DT_DIR, each->d_name);
    fclose(out);
    closedir(folder);
    record(SYNC_FOLDER, 0, 0, path, "", text, length);
    free(text);
}

static void record_content(int fd, const char *path, const struct stat *facts)
{
    char *data = malloc((size_t)facts->st_size + 1);
    char own[64];
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    int reading = (int)syscall(SYS_openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0);
    ssize_t length = pread(reading, data, (size_t)facts->st_size, 0);
    syscall(SYS_close, reading);
    record(SYNC, facts->st_ino, 1, path, "", data, length < 0 ? 0 : (size_t)length);
    free(data);
}

static int ends(const char *path, const char *with)
{
    size_t all = strlen(path), part = strlen(with);
    return all >= part && !strcmp(path + all - part, with);
}

static int synced(int fd, long call)
{
    char path[PATH_MAX];
    struct stat facts;
    if (!path_of(fd, path) || fstat(fd, &facts)) return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    if (fails(path, FAIL_SYNCS)) {
        pthread_mutex_unlock(&lock);
        errno = fault.error;
        return -1;
    }
    /* Nothing here can lose power: the record alone says that it was synced. */
    if (S_ISDIR(facts.st_mode)) record_names(path);
    else if (ends(path, ".sqlite3") || ends(path, "-wal") || ends(path, ".journal"))
        record(SYNC, facts.st_ino, 0, path, "", "", 0);
    else record_content(fd, path, &facts);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* --- Names --------------------------------------------------------------------------------- */

static int named(uint64_t kind, int first, const char *name, int second, const char *other, long call, int flags)
{
    char path[PATH_MAX], to[PATH_MAX] = "";
    absolute(first, name, path);
    if (other) absolute(second, other, to);
    pthread_mutex_lock(&lock);
    int done = (int)(other ? syscall(call, first, name, second, other, flags) : syscall(call, first, name, flags));
    if (!done && is_ours(path)) record(kind, 0, 0, path, to, "", 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *a, const char *b) { return named(RENAME, AT_FDCWD, a, AT_FDCWD, b, SYS_renameat2, 0); }
int renameat(int f, const char *a, int g, const char *b) { return named(RENAME, f, a, g, b, SYS_renameat2, 0); }
int link(const char *a, const char *b) { return named(LINK, AT_FDCWD, a, AT_FDCWD, b, SYS_linkat, 0); }
int linkat(int f, const char *a, int g, const char *b, int flags) { return named(LINK, f, a, g, b, SYS_linkat, flags); }
int unlink(const char *a) { return named(UNLINK, AT_FDCWD, a, 0, NULL, SYS_unlinkat, 0); }
int rmdir(const char *a) { return named(RMDIR, AT_FDCWD, a, 0, NULL, SYS_unlinkat, AT_REMOVEDIR); }
int unlinkat(int f, const char *a, int flags)
{
    return named(flags & AT_REMOVEDIR ? RMDIR : UNLINK, f, a, 0, NULL, SYS_unlinkat, flags);
}
int mkdir(const char *a, mode_t mode) { return named(MKDIR, AT_FDCWD, a, 0, NULL, SYS_mkdirat, (int)mode); }
int mkdirat(int f, const char *a, mode_t mode) { return named(MKDIR, f, a, 0, NULL, SYS_mkdirat, (int)mode); }
