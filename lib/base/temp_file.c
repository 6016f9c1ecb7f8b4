#include "base/temp_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where there is no O_TMPFILE. The lock is there for whoever finds the name before it is gone. */
static int open_named(const char *directory)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/XXXXXX", directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -1;
    (void)flock(fd, LOCK_SH | LOCK_NB);
    if (unlink(path) == 0)
        return fd;
    close(fd);
    return -1;
}

int sb_temp_file_open(const char *directory)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return -1;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    /* EISDIR: the kernel does not know the flag; EOPNOTSUPP: the file system does not, as NFS. */
    return fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR) ? fd : open_named(directory);
}

bool sb_temp_file_append(int fd, int64_t *length, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t written = pwrite(fd, at, size, *length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        *length += written;
        at += written;
        size -= (size_t)written;
    }
    return true;
}

static bool is_left_over(int directory, const char *name, int fd, int64_t before_ms)
{
    struct stat st, named;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           st.st_mtim.tv_sec * (int64_t)1000 + st.st_mtim.tv_nsec / 1000000 < before_ms &&
           flock(fd, LOCK_EX | LOCK_NB) == 0 &&
           fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == st.st_ino && named.st_dev == st.st_dev;
}

static bool remove_left_over(int directory, const char *name, int64_t before_ms)
{
    /* Not waiting, because a named pipe has nobody at its other end. */
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;
    bool removed =
        is_left_over(directory, name, fd, before_ms) && unlinkat(directory, name, 0) == 0;
    close(fd);
    return removed;
}

enum sb_error sb_temp_files_remove(const char *directory, int64_t before_ms, int64_t *removed)
{
    *removed = 0;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SB_OK : SB_E_UNAVAILABLE;
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        close(fd);
        return SB_E_UNAVAILABLE;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        *removed += remove_left_over(fd, entry->d_name, before_ms);
    closedir(entries);
    return SB_OK;
}
