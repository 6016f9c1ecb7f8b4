/* Preloaded into a program (LD_PRELOAD): counts its calls of what can fail, and makes the chosen
 * one fail. Without SB_FAULTS it only passes calls on. See faults.h. */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FRAMES_MAX = 24 };

static struct faults private_faults; /* until the file is mapped, and where there is none */
static struct faults *faults = &private_faults;
static __thread bool inside; /* this file's own calls pass */

/* The function behind this file's one of the same name, found at its first call. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&(name)) real;                                                           \
        if (real == NULL)                                                                          \
            real = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                                   \
        real;                                                                                      \
    })

static bool within(const void *caller, const char *library)
{
    Dl_info info;
    return dladdr(caller, &info) != 0 && strstr(info.dli_fname, library) != NULL;
}

static void note_site(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    size_t length = 0;
    for (int i = 2; i < count && length < FAULT_SITE_MAX; i++) {
        Dl_info info = {0};
        bool known = dladdr(frames[i], &info) != 0 && info.dli_fname != NULL;
        const char *slash = known ? strrchr(info.dli_fname, '/') : NULL;
        length += (size_t)snprintf(faults->site + length, FAULT_SITE_MAX - length, "%s+0x%zx ",
                                   slash != NULL ? slash + 1 : "?",
                                   (size_t)frames[i] - (size_t)info.dli_fbase);
    }
}

/* Counts a call of this kind; whether it is to fail. One made by a library whose name has except in
 * it is passed over. */
static bool fails(unsigned kind, const void *caller, const char *except)
{
    if ((faults->kinds & kind) == 0 || inside || (except != NULL && within(caller, except)))
        return false;
    uint64_t number = ++faults->counted;
    if (number < faults->first || number > faults->last)
        return false;
    inside = true;
    if (faults->failed++ == 0)
        note_site();
    inside = false;
    return true;
}

static int error_or(int usual)
{
    return faults->error != 0 ? (int)faults->error : usual;
}

/* SQLite's pages get memory of their own where a test counts blocks: a growing table's are no leak.
 */
static void keep_pages_apart(void)
{
    enum { PAGES = 2000, PAGE_AND_HEADER = 4096 + 512 };
    static _Alignas(16) char pages[PAGES * PAGE_AND_HEADER];
    __typeof__(&sqlite3_config) config = (__typeof__(config))dlsym(RTLD_NEXT, "sqlite3_config");
    if (config != NULL && getenv("SB_FAULTS_PAGES_APART") != NULL)
        config(SQLITE_CONFIG_PAGECACHE, pages, PAGE_AND_HEADER, PAGES);
}

/* Maps what the test made; backtrace() loads a library at its first call. */
__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SB_FAULTS");
    void *frame;
    inside = true;
    backtrace(&frame, 1);
    keep_pages_apart();
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        void *memory = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (memory != MAP_FAILED) {
            struct faults *shared = memory;
            shared->blocks = private_faults.blocks;
            shared->bytes = private_faults.bytes;
            faults = shared;
        }
    }
    inside = false;
}

/* --- Memory ----------------------------------------------------------------------------------- */

#ifndef SB_SANITIZED /* AddressSanitizer has the allocator */

/* libfcgi asserts that it gets memory, so making it fail says nothing of the program: what that
 * does about it is to see that there is some before it calls libfcgi. */
#define NO_MEMORY() fails(FAULT_MEMORY, __builtin_return_address(0), "libfcgi")

static void *account(void *memory)
{
    if (memory != NULL) {
        faults->blocks++;
        faults->bytes += (int64_t)malloc_usable_size(memory);
    }
    return memory;
}

static void discount(void *memory)
{
    if (memory != NULL) {
        faults->blocks--;
        faults->bytes -= (int64_t)malloc_usable_size(memory);
    }
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return NO_MEMORY() ? no_memory() : account(REAL(malloc)(size));
}

void *calloc(size_t count, size_t size)
{
    return NO_MEMORY() ? no_memory() : account(REAL(calloc)(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (NO_MEMORY())
        return no_memory();
    discount(memory);
    void *moved = REAL(realloc)(memory, size);
    account(moved != NULL || size == 0 ? moved : memory);
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return NO_MEMORY() ? no_memory() : account(REAL(aligned_alloc)(alignment, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (NO_MEMORY())
        return ENOMEM;
    int error = REAL(posix_memalign)(memory, alignment, size);
    if (error == 0)
        account(*memory);
    return error;
}

void free(void *memory)
{
    discount(memory);
    REAL(free)(memory);
}

#endif

/* --- Files, sockets, pipes -------------------------------------------------------------------- */

static int failure(int usual)
{
    errno = error_or(usual);
    return -1;
}

static enum fault_kind kind_of(int fd)
{
    struct stat st;
    int error = errno;
    mode_t mode = fstat(fd, &st) == 0 ? st.st_mode : 0;
    errno = error;
    if (S_ISREG(mode))
        return FAULT_FILE;
    return S_ISSOCK(mode) || S_ISFIFO(mode) ? FAULT_PEER : 0;
}

static bool fd_fails(int fd)
{
    return fails(kind_of(fd), NULL, NULL);
}

/* The same for what changes a file. */
static bool change_fails(int fd)
{
    unsigned kind = kind_of(fd);
    return fails(kind == FAULT_FILE ? FAULT_FILE | FAULT_DISK : kind, NULL, NULL);
}

/* Whether a write that is to fail takes half of its bytes; else errno is set. */
static bool falls_short(int fd, size_t size)
{
    if (faults->way == FAULT_SHORT && size > 1)
        return true;
    failure(kind_of(fd) == FAULT_PEER ? EPIPE : ENOSPC);
    return false;
}

static ssize_t failed_read(int fd)
{
    return failure(kind_of(fd) == FAULT_PEER ? ECONNRESET : EIO);
}

ssize_t read(int fd, void *data, size_t size)
{
    return fd_fails(fd) ? failed_read(fd) : REAL(read)(fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    return fd_fails(fd) ? failed_read(fd) : REAL(pread)(fd, data, size, at);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at)
{
    return pread(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!change_fails(fd))
        return REAL(write)(fd, data, size);
    return falls_short(fd, size) ? REAL(write)(fd, data, size / 2) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (!change_fails(fd))
        return REAL(pwrite)(fd, data, size, at);
    return falls_short(fd, size) ? REAL(pwrite)(fd, data, size / 2, at) : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return pwrite(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fd_fails(fd) ? failure(EPIPE) : REAL(writev)(fd, parts, count);
}

int fsync(int fd)
{
    return change_fails(fd) ? failure(EIO) : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return change_fails(fd) ? failure(EIO) : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return change_fails(fd) ? failure(EIO) : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    return change_fails(fd) ? error_or(ENOSPC) : REAL(posix_fallocate)(fd, at, size);
}

void *mmap(void *where, size_t size, int protection, int flags, int fd, off_t at)
{
    if (fd < 0 || !fd_fails(fd))
        return REAL(mmap)(where, size, protection, flags, fd, at);
    failure(ENOMEM);
    return MAP_FAILED;
}

void *mmap64(void *where, size_t size, int protection, int flags, int fd, off64_t at)
{
    return mmap(where, size, protection, flags, fd, at);
}

/* The mode of open() and openat(), there only with O_CREAT. */
#define OPEN_MODE(flags)                                                                           \
    ({                                                                                             \
        mode_t given = 0;                                                                          \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        if (((flags)&O_CREAT) != 0)                                                                \
            given = va_arg(args, mode_t);                                                          \
        va_end(args);                                                                              \
        given;                                                                                     \
    })

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = OPEN_MODE(flags);
    return fails(FAULT_FILE, NULL, NULL) ? failure(EMFILE) : REAL(openat)(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    return openat(AT_FDCWD, path, flags, OPEN_MODE(flags));
}

int open64(const char *path, int flags, ...)
{
    return openat(AT_FDCWD, path, flags, OPEN_MODE(flags));
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(FAULT_FILE, NULL, NULL) ? failure(ENOSPC)
                                         : REAL(renameat)(from_dir, from, to_dir, to);
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int flock(int fd, int operation)
{
    return fails(FAULT_LOCK, NULL, NULL) ? failure(EIO) : REAL(flock)(fd, operation);
}

/* Only taking a lock can fail, and not with ENOLCK, which SQLite takes for a lock that is held. The
 * argument is a pointer or less, and passed on as one. */
int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    bool takes = (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
                  command == F_OFD_SETLKW) &&
                 ((const struct flock *)argument)->l_type != F_UNLCK;
    return takes && fails(FAULT_LOCK, NULL, NULL) ? failure(EIO)
                                                  : REAL(fcntl64)(fd, command, argument);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return fcntl64(fd, command, argument);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return fd_fails(fd) ? failure(EMFILE) : REAL(accept4)(fd, address, size, flags);
}

/* --- SQLite and threads ----------------------------------------------------------------------- */

/* SQLite's own steps, of sqlite3_exec(), are passed over: it asks the statement how it ended, and
 * would take one that never ran for done. They fail when files do. */
int sqlite3_step(sqlite3_stmt *statement)
{
    if (!fails(FAULT_STEP, __builtin_return_address(0), "libsqlite3"))
        return REAL(sqlite3_step)(statement);
    inside = true;
    if (faults->way == FAULT_LIES)
        REAL(sqlite3_step)(statement);
    if (faults->way == FAULT_ROLLS_BACK)
        sqlite3_exec(sqlite3_db_handle(statement), "ROLLBACK", NULL, NULL, NULL);
    inside = false;
    return error_or(SQLITE_IOERR);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    return fails(FAULT_THREAD, NULL, NULL)
               ? EAGAIN
               : REAL(pthread_create)(thread, attributes, run, argument);
}
