/* The identity provider's keys in this process: RUN_DIR/jwks.json, parsed once a version and shared
 * by all threads. A look at the file's state tells whether there is a new version; one that cannot
 * be used is logged once and the keys at hand are kept, as they are when the file vanishes or the
 * provider is down: nothing but a newer file takes keys away. */
#ifndef SB_ACCESS_KEYRING_H
#define SB_ACCESS_KEYRING_H

#include "access/jwks.h"

enum {
    SB_KEYRING_WAIT_MS = 2000, /* the longest a request waits for a refresh */
    SB_KEYRING_WAITERS_MAX = 4 /* requests of a process that wait at once; more do not */
};

struct sb_keyring;

/* A keyring for the keys of url. command is the program that refreshes them. NULL: out of memory.
 */
SB_NONNULL_ALL SB_MUST_CHECK struct sb_keyring *sb_keyring_new(const char *run_dir, const char *url,
                                                               const char *command);
/* When no thread uses it any more. NULL is allowed. */
void sb_keyring_free(struct sb_keyring *ring);

/* The newest keys; the caller releases them. Keys over SB_KEY_FILE_AGE_MAX_S old are returned too,
 * and a refresh is started which nobody waits for. NULL: there are none. */
SB_NONNULL_ALL SB_MUST_CHECK const struct sb_jwks *sb_keyring_get(struct sb_keyring *ring);

/* For a token whose key was not among had (NULL: there were none): keys newer than had, which the
 * caller releases. Starts a refresh if that is due (access/key_refresh), and waits while one runs,
 * SB_KEYRING_WAIT_MS at most. NULL: there are none. */
SB_NONNULL(1)
SB_MUST_CHECK const struct sb_jwks *sb_keyring_renew(struct sb_keyring *ring,
                                                     const struct sb_jwks *had);

#endif
