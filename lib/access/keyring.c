#include "access/keyring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "access/key_file.h"
#include "access/key_refresh.h"
#include "base/clock.h"
#include "base/log.h"

enum { PAUSE_MS = 10 };

struct sb_keyring {
    char *run_dir, *url, *command;
    pthread_mutex_t lock;          /* of what follows, up to the blank line */
    const struct sb_jwks *current; /* NULL: none so far */
    struct stat seen;              /* of the file that was last tried */

    atomic_int waiting;
    atomic_int child; /* a refresh of ours that was not waited for yet, or 0 */
};

struct sb_keyring *sb_keyring_new(const char *run_dir, const char *url, const char *command)
{
    struct sb_keyring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return NULL;
    pthread_mutex_init(&ring->lock, NULL);
    ring->run_dir = strdup(run_dir);
    ring->url = strdup(url);
    ring->command = strdup(command);
    if (ring->run_dir != NULL && ring->url != NULL && ring->command != NULL)
        return ring;
    sb_keyring_free(ring);
    return NULL;
}

void sb_keyring_free(struct sb_keyring *ring)
{
    if (ring == NULL)
        return;
    sb_jwks_release(ring->current);
    pthread_mutex_destroy(&ring->lock);
    free(ring->run_dir);
    free(ring->url);
    free(ring->command);
    free(ring);
}

static bool same_version(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Under the lock. A bad version is remembered like a good one: it is not read again. */
static void load(struct sb_keyring *ring)
{
    const struct sb_jwks *set;
    const char *problem = sb_key_file_read(ring->run_dir, ring->url, &set, &ring->seen);
    if (problem != NULL) {
        SB_LOG(SB_LOG_ERROR, "jwks.unusable", NULL, SB_LOG_TEXT("directory", ring->run_dir),
               SB_LOG_TEXT("reason", problem));
        return;
    }
    sb_jwks_release(ring->current);
    ring->current = set;
}

/* The newest keys. *st is the file's state, zeroed if there is none. */
static const struct sb_jwks *newest(struct sb_keyring *ring, struct stat *st)
{
    *st = (struct stat){0};
    bool found = sb_key_file_stat(ring->run_dir, st);
    pthread_mutex_lock(&ring->lock);
    if (found && !same_version(st, &ring->seen))
        load(ring);
    const struct sb_jwks *set = sb_jwks_hold(ring->current);
    pthread_mutex_unlock(&ring->lock);
    return set;
}

/* An ended child stays in the process table until somebody asks for it. */
static void reap(struct sb_keyring *ring)
{
    int child = atomic_load(&ring->child);
    if (child != 0 && waitpid(child, NULL, WNOHANG) != 0)
        atomic_compare_exchange_strong(&ring->child, &child, 0);
}

static enum sb_key_refresh refresh(struct sb_keyring *ring)
{
    pid_t child;
    reap(ring);
    enum sb_key_refresh state = sb_key_refresh_start(ring->run_dir, ring->command, &child);
    if (state == SB_KEY_REFRESH_STARTED)
        atomic_store(&ring->child, child);
    return state;
}

const struct sb_jwks *sb_keyring_get(struct sb_keyring *ring)
{
    struct stat st;
    const struct sb_jwks *set = newest(ring, &st);
    int64_t age_s = sb_clock_now_ms() / 1000 - (int64_t)st.st_mtim.tv_sec;
    reap(ring);
    /* An age below 0 is that of a clock that was put back. */
    if (set != NULL && (age_s < 0 || age_s > SB_KEY_FILE_AGE_MAX_S))
        (void)!refresh(ring);
    return set;
}

/* Keys that are not had, or NULL. */
static const struct sb_jwks *other_than(struct sb_keyring *ring, const struct sb_jwks *had)
{
    struct stat st;
    const struct sb_jwks *set = newest(ring, &st);
    if (set != had)
        return set;
    sb_jwks_release(set);
    return NULL;
}

static const struct sb_jwks *wait_for_other(struct sb_keyring *ring, const struct sb_jwks *had)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int64_t deadline_us = sb_clock_mono_us() + SB_KEYRING_WAIT_MS * 1000LL;
    const struct sb_jwks *set = other_than(ring, had);
    while (set == NULL && sb_clock_mono_us() < deadline_us) {
        enum sb_key_refresh state = refresh(ring);
        if (state != SB_KEY_REFRESH_NONE)
            nanosleep(&pause, NULL);
        set = other_than(ring, had); /* also one that ended before the refresh was found not due */
        if (state == SB_KEY_REFRESH_NONE)
            break;
    }
    return set;
}

const struct sb_jwks *sb_keyring_renew(struct sb_keyring *ring, const struct sb_jwks *had)
{
    /* Else a provider that does not answer would hold every worker of the process. */
    bool may_wait = atomic_fetch_add(&ring->waiting, 1) < SB_KEYRING_WAITERS_MAX;
    const struct sb_jwks *set = may_wait ? wait_for_other(ring, had) : other_than(ring, had);
    atomic_fetch_sub(&ring->waiting, 1);
    return set;
}
