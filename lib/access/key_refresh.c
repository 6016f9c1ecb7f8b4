#include "access/key_refresh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

extern char **environ;

static const char lock_name[] = "jwks.lock";

static void complain(const char *path, int error)
{
    SB_LOG(SB_LOG_ERROR, "jwks.refresh_failed", NULL, SB_LOG_TEXT("path", path),
           SB_LOG_TEXT("reason", strerror(error)));
}

static int open_lock(const char *run_dir)
{
    int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    int fd = openat(dir, lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = errno;
    close(dir);
    errno = error;
    return fd;
}

/* Under the lock: whether a refresh may be started now, which is then noted. A time in the future
 * is that of a clock that was put back. */
static bool claim(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    int64_t last_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    int64_t age_ms = sb_clock_now_ms() - last_ms;
    bool never = st.st_size == 0; /* just made */
    if (!never && age_ms >= 0 && age_ms < SB_KEY_REFRESH_COOLDOWN_S * 1000LL)
        return false;
    return pwrite(fd, "\n", 1, 0) == 1;
}

/* The environment without what a client has put there where the endpoint is a CGI program: the
 * command must not see credentials, nor a proxy of the client's choice. NULL: out of memory. */
static char **clean_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    char **clean = calloc(count + 1, sizeof *clean);
    if (clean == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "HTTP_", 5) != 0)
            clean[kept++] = environ[i];
    }
    return clean;
}

/* An error number. */
static int spawn(const char *command, int lock, char **environment, pid_t *child)
{
    char *const argv[] = {(char *)command, (char *)"jwks", (char *)"refresh", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none); /* endpoints block what ends a process */
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    int error = posix_spawn_file_actions_adddup2(&actions, lock, STDIN_FILENO);
    for (int fd = STDOUT_FILENO; error == 0 && fd <= STDERR_FILENO; fd++)
        error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (error == 0) /* libcurl's own descriptors outlive an exec */
        error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (error == 0)
        error = posix_spawn(child, command, &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

enum sb_key_refresh sb_key_refresh_start(const char *run_dir, const char *command, pid_t *child)
{
    int lock = open_lock(run_dir);
    if (lock < 0) {
        complain(run_dir, errno);
        return SB_KEY_REFRESH_NONE;
    }
    enum sb_key_refresh result = SB_KEY_REFRESH_NONE;
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        result = SB_KEY_REFRESH_RUNNING;
    } else if (claim(lock)) {
        char **environment = clean_environment();
        int error = environment == NULL ? ENOMEM : spawn(command, lock, environment, child);
        free(environment);
        if (error == 0)
            result = SB_KEY_REFRESH_STARTED;
        else
            complain(command, error);
    }
    close(lock); /* a child's copy keeps the lock */
    return result;
}

static bool same_file(int a, int b)
{
    struct stat st_a, st_b;
    return fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
           st_a.st_ino == st_b.st_ino;
}

int sb_key_refresh_lock(const char *run_dir)
{
    int fd = open_lock(run_dir);
    if (fd >= 0 && same_file(fd, STDIN_FILENO)) {
        close(fd);
        fd = STDIN_FILENO;
    }
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR)
            return -1;
    }
    return fd;
}

void sb_key_refresh_command(char path[static PATH_MAX])
{
    static const char tree[] = "/cgi-bin/";
    static const char *const places[] = {"bin/switchboard", "../../bin/switchboard"};
    char self[PATH_MAX];
    snprintf(path, PATH_MAX, "%s/bin/switchboard", SB_PREFIX);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    char *end = NULL;
    for (char *at = strstr(self, tree); at != NULL; at = strstr(at + 1, tree))
        end = at + 1;
    if (end == NULL)
        return;
    *end = '\0';
    for (size_t i = 0; i < SB_COUNT(places); i++) {
        char candidate[PATH_MAX];
        int size = snprintf(candidate, sizeof candidate, "%s%s", self, places[i]);
        if (size < PATH_MAX && access(candidate, X_OK) == 0) {
            memcpy(path, candidate, (size_t)size + 1);
            return;
        }
    }
}
