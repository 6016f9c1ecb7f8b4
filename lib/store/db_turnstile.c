#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/db_sqlite.h"

static void log_failure(const char *operation)
{
    SB_LOG(SB_LOG_ERROR, "db.error", NULL, SB_LOG_TEXT("operation", operation),
           SB_LOG_TEXT("reason", strerrordesc_np(errno)));
}

int sb_db_turnstile_open(const char *path)
{
    char name[4096];
    int length = snprintf(name, sizeof name, "%s.lock", path);
    errno = ENAMETOOLONG;
    int fd = -1;
    if (length > 0 && (size_t)length < sizeof name)
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        log_failure("turnstile.open");
    return fd;
}

/* An open file description lock (fcntl(2)): the process's POSIX locks, which SQLite uses, are gone
 * as soon as any descriptor of the file is closed; this one is not, and threads exclude each
 * other too. */
bool sb_db_turnstile_take(int turnstile)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;
    do
        result = fcntl(turnstile, F_OFD_SETLKW, &whole);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        log_failure("turnstile.take");
    return result == 0;
}

void sb_db_turnstile_release(int turnstile)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(turnstile, F_OFD_SETLK, &whole);
}
